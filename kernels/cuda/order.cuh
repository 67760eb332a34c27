/* Order among the blocks of one launch. A thread of the block does these for all: what it makes known is what the block had done before its last
 * barrier, and what it learns counts for the others from the next barrier on (PTX ISA, memory consistency model: release, acquire, and the
 * causality that barriers carry on). Which block is when is left open, so that no result may hang on it. */
#ifndef LOPT_KERNELS_CUDA_ORDER_CUH
#define LOPT_KERNELS_CUDA_ORDER_CUH

#include "kernels/cuda/block.cuh"

#ifdef LOPT_CUDA_EMULATION
static inline uint32_t order_take(uint32_t *next) { return (*next)++; }
static inline uint32_t order_count_down(uint32_t *left) { return (*left)--; }
static inline void order_publish(uint32_t *flag) { *flag = 1; }
static inline bool order_published(const uint32_t *flag) { return *flag != 0; }
static inline void order_pause(void) { emulation::die("waits for what no block before it has done"); }
#else
/* A number that nobody else gets, from 0; orders nothing. */
__device__ static inline uint32_t order_take(uint32_t *next) {
    uint32_t before;
    asm volatile("atom.relaxed.gpu.global.add.u32 %0, [%1], 1;" : "=r"(before) : "l"(__cvta_generic_to_global(next)) : "memory");
    return before;
}
/* How many were left. Whoever takes the last one knows what all the others have done. */
__device__ static inline uint32_t order_count_down(uint32_t *left) {
    uint32_t before;
    asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], -1;" : "=r"(before) : "l"(__cvta_generic_to_global(left)) : "memory");
    return before;
}
__device__ static inline void order_publish(uint32_t *flag) {
    asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(__cvta_generic_to_global(flag)), "r"(1) : "memory");
}
__device__ static inline bool order_published(const uint32_t *flag) {
    uint32_t set;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(set) : "l"(__cvta_generic_to_global(flag)) : "memory");
    return set != 0;
}
__device__ static inline void order_pause(void) { asm volatile("nanosleep.u32 100;"); }
#endif

/* Whether this block is the last of those that `left` counts. last: shared. Every thread must come, after a barrier. */
__device__ static inline bool block_is_last(uint32_t *left, uint32_t *last) {
    if (team_rank() == 0) *last = order_count_down(left) == 1;
    __syncthreads();
    return *last;
}
__device__ static inline void block_waits_for(const uint32_t *flag) {
    if (team_rank() == 0)
        while (!order_published(flag)) order_pause();
    __syncthreads();
}

#endif
