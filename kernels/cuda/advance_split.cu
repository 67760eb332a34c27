/* Phase 1 on the default cell's fp32 state, by tensor cores: inputs and weights as sums of two fp16 numbers. */
#define VF_FAST_LOG /* no worse than what rounding does to the features (tests/cuda/split_test.cpp) */
#include "kernels/cuda/advance_mma.cuh"

enum { SPLIT_RESIDENT = 4 }; /* on an H200 4 % faster than 3 with 168 registers instead of 128 */

ADVANCE_MMA(split, fp32_format, SPLIT_RESIDENT)
