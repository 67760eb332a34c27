/* An optimizer on a GPU. All of its device memory is one block.
 *
 * Bytes per parameter: 76 state (mixed: 40), 4 true parameters, 4 waiting updates, 0.015 to 0.06 (in small models up to 0.5) sums of chunks and lists of
 * them; for each tensor some 700 of levels and the padding of its last tile, which count where tensors are small; 0.4 MB in any model;
 * 4 more for the attended points that wait, where there is attention, state is fp32 and params are 16-bit (fp32 params are their waiting room). */
#ifndef LOPT_OPTIMIZER_CUDA_H
#define LOPT_OPTIMIZER_CUDA_H

#include "csrc/optimizer/optimizer.h"
#include "kernels/cuda/gpu.h"

enum {
    CUDA_STAGING = 1 << 16, /* floats on their way between a state file and the device */
    /* Parameters from which on a step is one launch from phase 1 on. On an H200 it is 2 to 8 % slower with ResNet-50's 25.6 M, where what goes on after the
     * last tensor's phase 1 counts, and 2 to 4 % faster from GPT-2's 124 M on; nothing between was measured. */
    CUDA_FUSED_FROM = 48 << 20
};

typedef struct cuda_optimizer {
    lopt_optimizer common; /* first: the two pointers are one */
    const gpu_runtime *gpu;
    unsigned multiprocessors;
    uint32_t chunk_size;
    int fused;                              /* from phase 1 on in one launch, where the model has a list of work */
    gpu_model model;                        /* its pointers go into `memory`; the caller's scalars are filled in per step */
    void *memory;                           /* the device's */
    float *staging;                         /* [CUDA_STAGING] of it */
    const void **seen_params, **seen_grads; /* [num_tensors] pointers that were found good */
} cuda_optimizer;

/* How steps are launched from now on; the bits are the same. */
void cuda_set_fused(lopt_optimizer *opt, int fused);

/* Parameters of a chunk: the fewest with which blocks are through tensors of so many in no more turns than with GPU_CHUNK_MAX (GPU_CHUNK_MAX / 2, but for
 * models so large that blocks have many turns), where as many are at work at once as on an H100 or H200: four on a multiprocessor. Whole tiles for each
 * warp of a block. The GPU at hand has no say, or sums, and so bits, would depend on it. */
uint32_t cuda_chunk_size(const size_t *counts, size_t num_tensors);

/* Chunk k of those of a model, of `size` parameters each, in a tensor whose count and chunks are known. */
gpu_chunk cuda_chunk_at(const gpu_tensor *tensors, uint32_t tensor, uint64_t k, uint32_t size);

/* The list of work of steps that are one launch, into work [2 num_chunks]; returns how many pieces it has. Phase 1 of all chunks; phase 2 of a tensor's
 * begins so long after its last that the blocks of so many multiprocessors seldom find it not ready, and from then on there are two pieces for each of
 * phase 1. tensors: their chunks and nothing else of them. */
uint64_t cuda_work_order(const gpu_tensor *tensors, uint64_t num_chunks, uint32_t chunk_size, unsigned multiprocessors,
                         uint32_t *work);

/* The model's memory, and in it everything that does not depend on the caller's parameters. */
lopt_status cuda_plan(cuda_optimizer *opt, const lopt_weights *w, void *stream);

#endif
