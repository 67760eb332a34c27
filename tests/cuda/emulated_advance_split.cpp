#include "tests/support/cuda_emulation.h"

#include "kernels/cuda/advance_split.cu"
