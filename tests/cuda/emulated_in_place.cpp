#include "tests/support/cuda_emulation.h"

#include "kernels/cuda/in_place.cu"
