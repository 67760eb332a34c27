#include "kernels/cuda/gpu.h"

static const gpu_runtime *replaced;

#ifdef LOPT_HAVE_CUDA
const gpu_runtime *gpu_runtime_cuda(void); /* runtime.cu */
#else
static const gpu_runtime *gpu_runtime_cuda(void) { return NULL; }
#endif

const gpu_runtime *gpu_runtime_current(void) { return replaced ? replaced : gpu_runtime_cuda(); }
void gpu_runtime_replace(const gpu_runtime *r) { replaced = r; }
