/* Phase 1 on mixed state, hidden state in fp16 and averages in bf16: the same cell in fp32 for all shapes but the default one, which goes to
 * tensor cores. */
#include "kernels/cuda/advance.cuh"
#include "kernels/cuda/advance_mma.h"

ADVANCE_ANY(_mixed, mixed_state)

void GPU_SYMBOL(gpu_load_advance_mixed)(gpu_launch *l) {
    CUDA_LOAD(l, lopt_advance_any_mixed);
    GPU_SYMBOL(gpu_load_advance_mma)(l);
}

void GPU_SYMBOL(gpu_advance_mixed)(gpu_launch *l, const gpu_model *m, const gpu_cell *cell) {
    if (dims_default_cell(m->dims)) GPU_SYMBOL(gpu_advance_mma)(l, m, cell);
    else CUDA_LAUNCH(l, lopt_advance_any_mixed, gpu_grid(l, m->num_chunks, ADVANCE_ANY_RESIDENT), *m);
}
