/* Phase 1 on fp32 state. */
#include "kernels/cuda/advance.cuh"

ADVANCE_KERNELS(, fp32_state)
