/* Phase 1 on fp32 state: by multiply-adds, for all shapes; the default one goes to tensor cores where the model has fragments for them. */
#include "kernels/cuda/advance.cuh"
#include "kernels/cuda/advance_mma.h"

/* Blocks on a multiprocessor: 168 registers hold the default cell. */
enum { ADVANCE_RESIDENT = 3 };

ADVANCE_ANY(, fp32_state)

__global__ __launch_bounds__(GPU_BLOCK, ADVANCE_RESIDENT) void lopt_advance_attending(const __grid_constant__ gpu_model m,
                                                                                      const __grid_constant__ gpu_cell c) {
    advance_chunks<attending_shape, fp32_state>(m, cell_of(c));
}
__global__ __launch_bounds__(GPU_BLOCK, ADVANCE_RESIDENT) void lopt_advance_plain(const __grid_constant__ gpu_model m,
                                                                                  const __grid_constant__ gpu_cell c) {
    advance_chunks<plain_shape, fp32_state>(m, cell_of(c));
}

void GPU_SYMBOL(gpu_load_advance)(gpu_launch *l) {
    CUDA_LOAD(l, lopt_advance_any);
    CUDA_LOAD(l, lopt_advance_attending);
    CUDA_LOAD(l, lopt_advance_plain);
    GPU_SYMBOL(gpu_load_advance_split)(l);
}

void GPU_SYMBOL(gpu_advance)(gpu_launch *l, const gpu_model *m, const gpu_cell *cell) {
    const unsigned grid = gpu_grid(l, m->num_chunks, ADVANCE_RESIDENT);
    if (!dims_default_cell(m->dims)) CUDA_LAUNCH(l, lopt_advance_any, gpu_grid(l, m->num_chunks, ADVANCE_ANY_RESIDENT), *m);
    else if (m->fragments) GPU_SYMBOL(gpu_advance_split)(l, m, cell);
    else if (m->dims.attention) CUDA_LAUNCH(l, lopt_advance_attending, grid, *m, *cell);
    else CUDA_LAUNCH(l, lopt_advance_plain, grid, *m, *cell);
}
