/* A team: the workers that share one task. On the CPU a team is one thread and these calls vanish; on CUDA it is a thread block.
 * Loops over vectors stride by the team: TEAM_FOR_BLOCKS gives each worker every size-th block of VF_LANES elements. */
#ifndef LOPT_CELL_TEAM_H
#define LOPT_CELL_TEAM_H

#include <stddef.h>

#include "kernels/cell/vf.h"

/* The device's side of CUDA, and what the tests put in its place (they define LOPT_CUDA_EMULATION and CUDA's words). */
#if defined(__CUDA_ARCH__) || defined(LOPT_CUDA_EMULATION)
#define CELL_TEAM_IS_BLOCK 1
/* Kept from the compiler, so that what follows from it is made again wherever it is wanted: else it would take registers, or predicates, from loops
 * around those of the team. */
CELL_FN unsigned team_rank(void) {
    unsigned rank = threadIdx.x;
#ifdef __CUDA_ARCH__
    asm volatile("" : "+r"(rank));
#endif
    return rank;
}
#define TEAM_SIZE ((size_t)blockDim.x)
CELL_FN void team_sync(void) { __syncthreads(); }
#else
#define CELL_TEAM_IS_BLOCK 0
CELL_FN unsigned team_rank(void) { return 0; }
#define TEAM_SIZE ((size_t)1)
CELL_FN void team_sync(void) {}
#endif
#define TEAM_RANK ((size_t)team_rank())

/* for each element index i < n of this worker */
#define TEAM_FOR(i, n) for (size_t i = TEAM_RANK; i < (size_t)(n); i += TEAM_SIZE)
/* for each first index i of a block of VF_LANES elements, i < n, of this worker */
#define TEAM_FOR_BLOCKS(i, n) for (size_t i = TEAM_RANK * VF_LANES; i < (size_t)(n); i += TEAM_SIZE * VF_LANES)

/* Elements of block i that exist. */
CELL_FN int block_lanes(size_t i, size_t n) { return n - i < VF_LANES ? (int)(n - i) : VF_LANES; }
CELL_FN vf block_load(const float *p, size_t i, size_t n) {
    return n - i < VF_LANES ? vf_load_first(p + i, (int)(n - i)) : vf_load(p + i);
}
CELL_FN void block_store(float *p, size_t i, size_t n, vf a) {
    if (n - i < VF_LANES) vf_store_first(p + i, a, (int)(n - i));
    else vf_store(p + i, a);
}

#endif
