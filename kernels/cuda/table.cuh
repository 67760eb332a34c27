/* The table of the kernels that are compiled here. */
#ifndef LOPT_KERNELS_CUDA_TABLE_CUH
#define LOPT_KERNELS_CUDA_TABLE_CUH

#include "kernels/cuda/kernels.h"

void GPU_SYMBOL(gpu_load_step)(gpu_launch *l);
void GPU_SYMBOL(gpu_load_advance)(gpu_launch *l);
void GPU_SYMBOL(gpu_load_transfer)(gpu_launch *l);
void GPU_SYMBOL(gpu_enter)(gpu_launch *l, const gpu_model *m, void *const *params, const void *const *grads);
void GPU_SYMBOL(gpu_prepare)(gpu_launch *l, const gpu_model *m);
void GPU_SYMBOL(gpu_advance)(gpu_launch *l, const gpu_model *m);
void GPU_SYMBOL(gpu_gather)(gpu_launch *l, const gpu_model *m);
void GPU_SYMBOL(gpu_finish)(gpu_launch *l, const gpu_model *m);
void GPU_SYMBOL(gpu_apply)(gpu_launch *l, const gpu_model *m);
void GPU_SYMBOL(gpu_set_rates)(gpu_launch *l, const gpu_model *m, float lr_scale, float weight_decay);
void GPU_SYMBOL(gpu_start)(gpu_launch *l, const gpu_model *m, const start_rates *rates);
void GPU_SYMBOL(gpu_sum_rates)(gpu_launch *l, const gpu_model *m);
void GPU_SYMBOL(gpu_exchange_params)(gpu_launch *l, const gpu_model *m, gpu_exchange what);
void GPU_SYMBOL(gpu_pack)(gpu_launch *l, const gpu_model *m, const state_piece *piece, float *to);
void GPU_SYMBOL(gpu_unpack)(gpu_launch *l, const gpu_model *m, const state_piece *piece, const float *from);
void GPU_SYMBOL(gpu_in_place)(gpu_launch *l, void *memory, uint64_t bytes, uint32_t key);

static void gpu_load(gpu_launch *l) {
    GPU_SYMBOL(gpu_load_step)(l);
    GPU_SYMBOL(gpu_load_advance)(l);
    GPU_SYMBOL(gpu_load_transfer)(l);
}

static const gpu_kernels gpu_kernel_table = {
    gpu_load,
    GPU_SYMBOL(gpu_enter),
    GPU_SYMBOL(gpu_prepare),
    GPU_SYMBOL(gpu_advance),
    GPU_SYMBOL(gpu_gather),
    GPU_SYMBOL(gpu_finish),
    GPU_SYMBOL(gpu_apply),
    GPU_SYMBOL(gpu_set_rates),
    GPU_SYMBOL(gpu_start),
    GPU_SYMBOL(gpu_sum_rates),
    GPU_SYMBOL(gpu_exchange_params),
    GPU_SYMBOL(gpu_pack),
    GPU_SYMBOL(gpu_unpack),
    GPU_SYMBOL(gpu_in_place),
};

#endif
