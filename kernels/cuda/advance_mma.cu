/* Phase 1 on the default cell's mixed state, by tensor cores: inputs and weights rounded to fp16, coarser elementary functions. */
#define VF_COARSE
#include "kernels/cuda/advance_mma.cuh"

enum { MMA_RESIDENT = 4 }; /* more have too few registers */

ADVANCE_MMA(mma, mixed_format, MMA_RESIDENT)
