/* Phase 1 on the default cell's fp32 state, by tensor cores: inputs and weights as sums of two fp16 numbers. */
#include "kernels/cuda/advance_mma.cuh"

enum { SPLIT_RESIDENT = 3 }; /* 168 registers */

ADVANCE_MMA(split, fp32_format, SPLIT_RESIDENT)
