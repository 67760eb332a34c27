/* What the kernels of phase 1 share: rules 1 to 11 (docs/cell.md) for every parameter of the tensors that take part. A thread is a parameter, a warp takes tiles, a
 * block chunks. */
#ifndef LOPT_KERNELS_CUDA_ADVANCE_CUH
#define LOPT_KERNELS_CUDA_ADVANCE_CUH

#include "kernels/cuda/block.cuh"
#include "kernels/cuda/kernels.h"

#include "kernels/cell/guard.h"
#include "kernels/cell/handover.h"

/* What the tiles of a chunk share. Places are those of its band, of which it takes some (gpu_chunk). */
struct chunk_work {
    const float *bias; /* [3P] */
    const void *grads; /* of the band's first parameter */
    float divisor, mean_log_lr;
    float log_lr_add;  /* each alpha is raised by it first: guard_settled */
    float log_lr_max;  /* see gpu_model */
    float handed_over; /* guard_handed_over */
    float *tiles;      /* the band's private state */
    void *move;        /* of that parameter: gpu_moves */
    float *attend;
    unsigned n;            /* parameters of the band */
    unsigned first, apart; /* the first warp's first parameter; from a warp's tile to its next */
    unsigned state_apart;  /* the same in bytes of state */
};

__device__ static inline chunk_work chunk_begin(lopt_dims d, const gpu_model &m, const gpu_chunk &c) {
    const uint64_t tile_at = m.tensors[c.tensor].tile_at + c.band / GPU_TILE, at = tile_at * GPU_TILE;
    const float *guard = m.guard ? m.guard + GUARD_STATE * c.tensor : NULL;
    chunk_work k;
    k.bias = m.bias_param + c.tensor * padded(3 * d.param);
    k.grads = number_at(m.grad_type, m.buffers[c.tensor].grads, c.band);
    k.divisor = gradient_divisor(m);
    k.mean_log_lr = m.control->mean_log_lr;
    k.log_lr_add = guard_settled(guard);
    k.handed_over = guard_handed_over(guard);
    k.log_lr_max = m.log_lr_max[c.tensor];
    k.tiles = m.state + tile_at * gpu_tile_floats(d, m.mixed);
    k.move = gpu_move_at(gpu_moves_of(d, m.mixed), m.move, at);
    k.attend = m.attend ? m.attend + at : (float *)m.buffers[c.tensor].params + c.band;
    k.n = c.band_n;
    k.first = gpu_chunk_begin(&c);
    k.apart = gpu_chunk_apart(&c);
    k.state_apart = c.chunks * (unsigned)(GPU_WARPS * gpu_tile_floats(d, m.mixed) * sizeof(float));
    return k;
}

/* A log learning rate as the guard lets a step begin. */
__device__ static inline float begin_rate(const chunk_work &k, float log_lr) { return vf_min(log_lr + k.log_lr_add, k.log_lr_max); }
__device__ static inline bool first_step(const chunk_work &k) { return k.log_lr_max > GPU_UNBOUND; }

/* Bits of the gradient entry at `at`, and what they are. A thread goes on past a load, but not past the first use of what it loads: so all that a
 * tile needs is read before any of it is looked at. */
__device__ static inline uint32_t gradient_load(const gpu_model &m, const void *at, bool exists) {
    if (!exists) return 0;
    return m.grad_type == NUMBER_FP32 ? read_once((const uint32_t *)at) : number_bits(m.grad_type, at, 0);
}
__device__ static inline float gradient_of(const gpu_model &m, const chunk_work &k, uint32_t bits) {
    const float g = gradient_divided(number_value(m.grad_type, bits), k.divisor);
    return m.zero_nonfinite && !gradient_usable(g) ? 0.0f : g;
}

/* Add what a parameter contributes, if there is one: n numbers, and the three of the readout. */
__device__ static inline void add_sums(int n, const float *a, bool exists, float *sums) {
    const float factor = exists ? 1.0f : 0.0f;
    for (int j = 0; j < n; j++) sums[j] += factor * a[j];
}
__device__ static inline void add_readout(const cell_readout &o, bool exists, float *sums) {
    const float squares_and_rate[3] = {o.direction * o.direction, o.attention * o.attention, o.log_lr};
    add_sums(3, squares_and_rate, exists, sums);
}

__device__ static inline void store_moves(lopt_dims d, int mixed, const chunk_work &k, unsigned i, const cell_readout &o,
                                          bool exists) {
    if (!exists) return;
    switch (gpu_moves_of(d, mixed)) {
    case MOVES_HALVES: ((uint16_t *)k.move)[i] = float_to_bf16(o.move); break;
    case MOVES_PAIRS: ((uint32_t *)k.move)[i] = floats_to_bf16(o.move, o.attend); break;
    case MOVES_FLOATS:
        ((float *)k.move)[i] = o.move;
        if (d.attention) k.attend[i] = o.attend;
    }
}

#endif
