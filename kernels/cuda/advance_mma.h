/* Phase 1 on the default cell by tensor cores: on mixed state; on fp32 state. */
#ifndef LOPT_KERNELS_CUDA_ADVANCE_MMA_H
#define LOPT_KERNELS_CUDA_ADVANCE_MMA_H

#include "kernels/cuda/kernels.h"

void GPU_SYMBOL(gpu_load_advance_mma)(gpu_launch *l);
void GPU_SYMBOL(gpu_advance_mma)(gpu_launch *l, const gpu_model *m);
void GPU_SYMBOL(gpu_load_advance_split)(gpu_launch *l);
void GPU_SYMBOL(gpu_advance_split)(gpu_launch *l, const gpu_model *m);

#endif
