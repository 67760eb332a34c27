/* NCCL and the CUDA runtime, loaded when a communicator of theirs is opened: a build that can use them runs without them too, and takes the
 * library that the process has already (PyTorch brings its own). LOPT_NCCL_LIBRARY and LOPT_CUDART_LIBRARY in the environment name others. */
#ifndef LOPT_CSRC_COMM_NCCL_API_H
#define LOPT_CSRC_COMM_NCCL_API_H

#include <cuda_runtime_api.h>
#include <nccl.h>

#include "lopt/lopt.h"

/* X(symbol): every function that is used; its member has the same name and type. */
#define NCCL_SYMBOLS(X)       \
    X(ncclGetUniqueId)        \
    X(ncclCommInitRankConfig) \
    X(ncclCommGetAsyncError)  \
    X(ncclCommFinalize)       \
    X(ncclCommDestroy)        \
    X(ncclCommAbort)          \
    X(ncclBroadcast)          \
    X(ncclSend)               \
    X(ncclRecv)               \
    X(ncclGroupStart)         \
    X(ncclGroupEnd)           \
    X(ncclGetErrorString)
#define CUDA_SYMBOLS(X)          \
    X(cudaGetDeviceCount)        \
    X(cudaSetDevice)             \
    X(cudaMalloc)                \
    X(cudaFree)                  \
    X(cudaMemcpyAsync)           \
    X(cudaStreamCreateWithFlags) \
    X(cudaStreamQuery)           \
    X(cudaStreamDestroy)         \
    X(cudaPointerGetAttributes)  \
    X(cudaGetLastError)          \
    X(cudaGetErrorString)

typedef struct nccl_api {
#define MEMBER(symbol) __typeof__(symbol) *symbol;
    NCCL_SYMBOLS(MEMBER)
    CUDA_SYMBOLS(MEMBER)
#undef MEMBER
} nccl_api;

/* LOPT_ERR_UNSUPPORTED where a library or a function is not there. They stay loaded. */
lopt_status nccl_api_load(nccl_api *out);

#endif
