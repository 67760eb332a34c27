/* What memory allows a step: nothing but reading and writing in place, as phase 1 does with its state. A block for each piece, so that what is read at a
 * time lies close together: blocks that stride through memory, each at its own pace, get 7 % less of an H200 (docs/gpu.md). */
#include "kernels/cuda/block.cuh"
#include "kernels/cuda/kernels.h"

enum { PIECE = 5 }; /* vectors of a lane at a time: 2.5 KB of a warp, as a tile of fp32 state */

/* Changes the bits of `key` in all words of memory [n]. */
__global__ void lopt_in_place(words4 *memory, uint64_t n, uint32_t key) {
    const uint64_t first = ((uint64_t)blockIdx.x * GPU_WARPS + gpu_warp()) * (PIECE * GPU_WARP) + gpu_lane();
    words4 v[PIECE];
    CELL_UNROLL
    for (int k = 0; k < PIECE; k++)
        if (first + k * GPU_WARP < n) v[k] = read_once(memory + first + k * GPU_WARP);
    CELL_UNROLL
    for (int k = 0; k < PIECE; k++) {
        for (int w = 0; w < 4; w++) v[k].word[w] ^= key;
        if (first + k * GPU_WARP < n) write_once(memory + first + k * GPU_WARP, v[k]);
    }
}

void GPU_SYMBOL(gpu_in_place)(gpu_launch *l, void *memory, uint64_t bytes, uint32_t key) {
    const uint64_t n = bytes / sizeof(words4), blocks = (n + PIECE * GPU_BLOCK - 1) / (PIECE * GPU_BLOCK);
    if (n > 0)
        CUDA_LAUNCH(l, lopt_in_place, (unsigned)blocks, (words4 *)memory, n, key); /* a GPU's memory is less than 2^31 of them */
}
