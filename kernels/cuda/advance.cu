/* Phase 1 on fp32 state. */
#include "kernels/cuda/advance.cuh"

ADVANCE_ANY(, fp32_state)

__global__ __launch_bounds__(GPU_BLOCK, 2) void lopt_advance_attending(const __grid_constant__ gpu_model m,
                                                                       const __grid_constant__ gpu_cell c) {
    advance_chunks<attending_shape, fp32_state>(m, cell_of(c));
}
__global__ __launch_bounds__(GPU_BLOCK, 2) void lopt_advance_plain(const __grid_constant__ gpu_model m,
                                                                   const __grid_constant__ gpu_cell c) {
    advance_chunks<plain_shape, fp32_state>(m, cell_of(c));
}

void GPU_SYMBOL(gpu_load_advance)(gpu_launch *l) {
    CUDA_LOAD(l, lopt_advance_any);
    CUDA_LOAD(l, lopt_advance_attending);
    CUDA_LOAD(l, lopt_advance_plain);
}

void GPU_SYMBOL(gpu_advance)(gpu_launch *l, const gpu_model *m, const gpu_cell *cell) {
    const unsigned grid = gpu_grid(l, m->num_chunks, 2);
    if (!dims_default_cell(m->dims)) CUDA_LAUNCH(l, lopt_advance_any, grid, *m);
    else if (m->dims.attention) CUDA_LAUNCH(l, lopt_advance_attending, grid, *m, *cell);
    else CUDA_LAUNCH(l, lopt_advance_plain, grid, *m, *cell);
}
