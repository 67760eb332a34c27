/* Phase 1 on mixed state: hidden state in fp16, averages in bf16; the same cell, in fp32. */
#include "kernels/cuda/advance.cuh"

ADVANCE_KERNELS(_mixed, mixed_state)
