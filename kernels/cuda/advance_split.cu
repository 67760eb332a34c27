/* Phase 1 on the default cell's fp32 state, by tensor cores: inputs and weights as sums of two fp16 numbers. */
#define VF_FAST_LOG /* no worse than what rounding does to the features (tests/cuda/split_test.cpp) */
#include "kernels/cuda/advance_mma.cuh"

enum {
    SPLIT_RESIDENT = 4
}; /* some 20 registers are spilled, most of them outside of the loop over tiles; 3 without that are 2 to 4 % slower on an H200 */

ADVANCE_MMA(split, fp32_format, SPLIT_RESIDENT)
