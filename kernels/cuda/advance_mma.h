/* Phase 1 on the default cell's mixed state, by tensor cores. */
#ifndef LOPT_KERNELS_CUDA_ADVANCE_MMA_H
#define LOPT_KERNELS_CUDA_ADVANCE_MMA_H

#include "kernels/cuda/kernels.h"

void GPU_SYMBOL(gpu_load_advance_mma)(gpu_launch *l);
void GPU_SYMBOL(gpu_advance_mma)(gpu_launch *l, const gpu_model *m, const gpu_cell *cell);

#endif
