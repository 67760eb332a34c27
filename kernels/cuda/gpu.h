/* A GPU as the host code uses it: a table of calls with two bodies, CUDA's runtime and, in the tests, the CPU. Plain C. */
#ifndef LOPT_KERNELS_CUDA_GPU_H
#define LOPT_KERNELS_CUDA_GPU_H

#include "kernels/cuda/kernels.h"
#include "lopt/lopt.h"

typedef struct gpu_runtime {
    const gpu_kernels *kernels;
    /* Devices are numbered from 0. LOPT_ERR_DEVICE: no driver; LOPT_ERR_ARGUMENT: no such device; LOPT_ERR_UNSUPPORTED: too old, or
     * this build has no code for it. */
    lopt_status (*open)(int device, unsigned *multiprocessors);
    /* Memory of the device, zeroed in the order of the stream. */
    lopt_status (*allocate)(int device, size_t bytes, void *stream, void **out);
    void (*release)(int device, void *memory); /* waits for what still uses it; NULL: nothing */
    /* LOPT_ERR_ARGUMENT, saying what it is instead, unless p points to this device's memory (or to managed memory). */
    lopt_status (*check_pointer)(int device, const void *p);
    lopt_status (*check_stream)(int device, void *stream);
    /* 1: the stream is being captured into a graph. */
    int (*capturing)(int device, void *stream);
    /* These wait until they are done. */
    lopt_status (*upload)(int device, void *to, const void *from, size_t bytes, void *stream);
    lopt_status (*download)(int device, void *to, const void *from, size_t bytes, void *stream);
    lopt_status (*wait)(int device); /* for all of the device's work */
    /* Kernels are enqueued between these two, by the calling thread. end: fails where a launch has. */
    lopt_status (*begin)(int device, void *stream, gpu_launch *out);
    lopt_status (*end)(gpu_launch *l);
    /* What benchmarks and tests need besides. A graph replays what was enqueued on the stream between the two. */
    lopt_status (*stream_create)(int device, void **out); /* one that waits for no other */
    void (*stream_destroy)(int device, void *stream);
    lopt_status (*capture_begin)(int device, void *stream);
    lopt_status (*capture_end)(int device, void *stream, void **graph);
    lopt_status (*graph_launch)(int device, void *graph, void *stream);
    void (*graph_destroy)(int device, void *graph);
    lopt_status (*copy)(int device, void *to, const void *from, size_t bytes,
                        void *stream); /* within the device's memory; enqueued */
    lopt_status (*name)(int device, char *out, size_t size);
} gpu_runtime;

/* NULL: this build has none. */
const gpu_runtime *gpu_runtime_current(void);
/* For tests, before anything uses a GPU. NULL: that of the build. */
void gpu_runtime_replace(const gpu_runtime *r);

#endif
