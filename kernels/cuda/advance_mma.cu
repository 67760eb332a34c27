/* Phase 1 on the default cell's mixed state, by tensor cores: inputs and weights rounded to fp16, coarser elementary functions. */
#define VF_COARSE
#include "kernels/cuda/advance_mma.cuh"

enum { MMA_RESIDENT = 4 }; /* registers allow no more */

ADVANCE_MMA(mma, mixed_format, MMA_RESIDENT)
