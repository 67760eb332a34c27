/* How kernels are launched, and how this code can be compiled for something else than a GPU: the tests run every kernel's source on the
 * CPU by including their own definitions of CUDA's words and of CUDA_LAUNCH first. */
#ifndef LOPT_KERNELS_CUDA_LAUNCH_H
#define LOPT_KERNELS_CUDA_LAUNCH_H

/* Where a group of kernels goes. */
typedef struct gpu_launch {
    void *stream;
    unsigned multiprocessors; /* blocks that stride over the work: so many times what each holds */
    int device_before;        /* what was current for the caller */
    int error;                /* of the first launch that failed, as the runtime numbers them; 0: none */
} gpu_launch;

#ifdef __CUDACC__
#include <cuda_runtime.h>
#include <nvtx3/nvToolsExt.h>

#define GPU_SYMBOL(name) name##_cuda
/* kernel<<<grid, GPU_BLOCK>>>(...), inside a range that profilers show under the kernel's name */
#define CUDA_LAUNCH(launch, kernel, grid, ...)                                        \
    do {                                                                              \
        if ((launch)->error == 0) {                                                   \
            cudaLaunchConfig_t config_ = {};                                          \
            config_.gridDim = dim3((unsigned)(grid));                                 \
            config_.blockDim = dim3(GPU_BLOCK);                                       \
            config_.stream = (cudaStream_t)(launch)->stream;                          \
            nvtxRangePushA(#kernel);                                                  \
            (launch)->error = (int)cudaLaunchKernelEx(&config_, kernel, __VA_ARGS__); \
            nvtxRangePop();                                                           \
        }                                                                             \
    } while (0)
/* Brings a kernel to the device now: at its first launch that might be within a capture, which must not wait for it. */
#define CUDA_LOAD(launch, kernel)                                                                     \
    do {                                                                                              \
        cudaFuncAttributes attributes_;                                                               \
        if ((launch)->error == 0) (launch)->error = (int)cudaFuncGetAttributes(&attributes_, kernel); \
    } while (0)
#endif

#endif
