/* How kernels are launched, and how this code can be compiled for something else than a GPU: the tests run every kernel's source on the
 * CPU by including their own definitions of CUDA's words and of CUDA_LAUNCH first. */
#ifndef LOPT_KERNELS_CUDA_LAUNCH_H
#define LOPT_KERNELS_CUDA_LAUNCH_H

enum { GPU_STAYS = -1 };

/* Where a group of kernels goes. */
typedef struct gpu_launch {
    void *stream;
    unsigned multiprocessors; /* blocks that stride over the work: so many times what each holds */
    int device_before;        /* what was current for the caller, and is not now; or GPU_STAYS */
    int error;                /* of the first launch that failed, as the runtime numbers them; 0: none */
    int overlaps;             /* a kernel can begin before the one that it follows has ended: device, driver and code are such */
} gpu_launch;

#ifdef __CUDACC__
#include <cuda_runtime.h>
#include <nvtx3/nvToolsExt.h>

#define GPU_SYMBOL(name) name##_cuda
/* kernel<<<grid, GPU_BLOCK>>>(...), inside a range that profilers show under the kernel's name. early: see CUDA_FOLLOW. */
#define CUDA_LAUNCH_AS(launch, early, kernel, grid, ...)                              \
    do {                                                                              \
        if ((launch)->error == 0) {                                                   \
            cudaLaunchConfig_t config_ = {};                                          \
            cudaLaunchAttribute early_ = {};                                          \
            early_.id = cudaLaunchAttributeProgrammaticStreamSerialization;           \
            early_.val.programmaticStreamSerializationAllowed = 1;                    \
            config_.gridDim = dim3((unsigned)(grid));                                 \
            config_.blockDim = dim3(GPU_BLOCK);                                       \
            config_.stream = (cudaStream_t)(launch)->stream;                          \
            config_.attrs = &early_;                                                  \
            config_.numAttrs = (early) ? 1 : 0;                                       \
            nvtxRangePushA(#kernel);                                                  \
            (launch)->error = (int)cudaLaunchKernelEx(&config_, kernel, __VA_ARGS__); \
            nvtxRangePop();                                                           \
        }                                                                             \
    } while (0)
#define CUDA_LAUNCH(launch, kernel, grid, ...) CUDA_LAUNCH_AS(launch, 0, kernel, grid, __VA_ARGS__)
/* For a kernel with step_follows (block.cuh), where the launch before it in the stream is one of the same call: it may take its place on the
 * multiprocessors before that one has ended, which is to hide what it takes to get there. What that one follows has ended too, since it has waited for it
 * itself or was an ordinary launch. */
#define CUDA_FOLLOW(launch, kernel, grid, ...) CUDA_LAUNCH_AS(launch, (launch)->overlaps, kernel, grid, __VA_ARGS__)
/* Brings a kernel to the device now: at its first launch that might be within a capture, which must not wait for it. */
#define CUDA_LOAD(launch, kernel)                                                                     \
    do {                                                                                              \
        cudaFuncAttributes attributes_;                                                               \
        if ((launch)->error == 0) (launch)->error = (int)cudaFuncGetAttributes(&attributes_, kernel); \
    } while (0)
#endif

#endif
