/* Phase 1 on the default cell's mixed state, by tensor cores: inputs and weights rounded to fp16, coarser elementary functions. */
#define VF_COARSE
#include "kernels/cuda/advance_mma.cuh"

enum { MMA_RESIDENT = 4 }; /* blocks on a multiprocessor: registers allow no more */

__global__ __launch_bounds__(GPU_BLOCK, MMA_RESIDENT) void lopt_advance_attending_mma(const __grid_constant__ gpu_model m,
                                                                                      const __grid_constant__ gpu_cell c) {
    advance_chunks_mma<attending_shape, mixed_format>(m, c);
}
__global__ __launch_bounds__(GPU_BLOCK, MMA_RESIDENT) void lopt_advance_plain_mma(const __grid_constant__ gpu_model m,
                                                                                  const __grid_constant__ gpu_cell c) {
    advance_chunks_mma<plain_shape, mixed_format>(m, c);
}

void GPU_SYMBOL(gpu_load_advance_mma)(gpu_launch *l) {
    CUDA_LOAD(l, lopt_advance_attending_mma);
    CUDA_LOAD(l, lopt_advance_plain_mma);
}

void GPU_SYMBOL(gpu_advance_mma)(gpu_launch *l, const gpu_model *m, const gpu_cell *cell) {
    const unsigned grid = gpu_grid(l, m->num_chunks, MMA_RESIDENT);
    if (m->dims.attention) CUDA_LAUNCH(l, lopt_advance_attending_mma, grid, *m, *cell);
    else CUDA_LAUNCH(l, lopt_advance_plain_mma, grid, *m, *cell);
}
