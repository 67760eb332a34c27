#include "tests/support/cuda_emulation.h"

#include "kernels/cuda/transfer.cu"
