/* Phase 1 on the default cell's fp32 state, by tensor cores: inputs and weights as sums of two fp16 numbers. */
#include "kernels/cuda/advance_mma.cuh"

enum { SPLIT_RESIDENT = 3 }; /* blocks on a multiprocessor: 168 registers */

__global__ __launch_bounds__(GPU_BLOCK, SPLIT_RESIDENT) void lopt_advance_attending_split(const __grid_constant__ gpu_model m,
                                                                                          const __grid_constant__ gpu_cell c) {
    advance_chunks_mma<attending_shape, fp32_format>(m, c);
}
__global__ __launch_bounds__(GPU_BLOCK, SPLIT_RESIDENT) void lopt_advance_plain_split(const __grid_constant__ gpu_model m,
                                                                                      const __grid_constant__ gpu_cell c) {
    advance_chunks_mma<plain_shape, fp32_format>(m, c);
}

void GPU_SYMBOL(gpu_load_advance_split)(gpu_launch *l) {
    CUDA_LOAD(l, lopt_advance_attending_split);
    CUDA_LOAD(l, lopt_advance_plain_split);
}

void GPU_SYMBOL(gpu_advance_split)(gpu_launch *l, const gpu_model *m, const gpu_cell *cell) {
    const unsigned grid = gpu_grid(l, m->num_chunks, SPLIT_RESIDENT);
    if (m->dims.attention) CUDA_LAUNCH(l, lopt_advance_attending_split, grid, *m, *cell);
    else CUDA_LAUNCH(l, lopt_advance_plain_split, grid, *m, *cell);
}
