/* Phase 1 on the default cell's fp32 state, by tensor cores: inputs and weights as sums of two fp16 numbers. */
#define VF_FAST_LOG /* no worse than what rounding does to the features (tests/cuda/split_test.cpp) */
#include "kernels/cuda/advance_mma.cuh"

/* 4 have 128 registers instead of 168 and spill some of them; on an H200 they are 2 to 4 % faster all the same. */
enum { SPLIT_RESIDENT = 3 };

ADVANCE_MMA(split, fp32_format, SPLIT_RESIDENT)
