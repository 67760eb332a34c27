/* Phase 1: rules 1 to 11 for every parameter of the tensors that take part. A thread is two parameters, a warp takes tiles, a block chunks.
 * With one parameter per thread, twice as many weights would be fetched: 1690 instructions per parameter instead of 1504.
 *
 * Per parameter with the default sizes, fp32 (mixed): 76 (40) bytes of state and 4 of gradient read, as much state and 4, with attention 8,
 * of waiting updates written; 718 multiply-adds, with attention. */
#ifndef LOPT_KERNELS_CUDA_ADVANCE_CUH
#define LOPT_KERNELS_CUDA_ADVANCE_CUH

#define VF_LANES 2
#include "kernels/cuda/block.cuh"
#include "kernels/cuda/kernels.h"

#include "kernels/cell/gru.h"
#include "kernels/cell/guard.h"
#include "kernels/cell/handover.h"

/* The shapes that are compiled with constant sizes, and all others. Tensor and global sizes do not matter here. */
struct attending_shape {
    static __device__ lopt_dims dims(const gpu_model &) { return {10, 30, 20, 4, 1, 1, 1, 1}; }
};
struct plain_shape {
    static __device__ lopt_dims dims(const gpu_model &) { return {10, 30, 20, 4, 0, 1, 1, 1}; }
};
struct any_shape {
    static __device__ lopt_dims dims(const gpu_model &m) { return m.dims; }
};

/* What the tiles of a chunk share. */
struct chunk_work {
    const float *bias; /* [3P], shared memory */
    const void *grads; /* of the chunk's first parameter */
    float divisor, mean_log_lr;
    float log_lr_add;     /* each alpha is raised by it first: guard_settled */
    float log_lr_max;     /* see gpu_model */
    float handed_over;    /* guard_handed_over */
    float *tiles;         /* the chunk's private state */
    float *move, *attend; /* of that parameter */
    unsigned n;
};

/* How private state is kept (model.h): hidden state, averages and log learning rates of a thread's two parameters, i and i + 32.
 * tile: from this lane on. */
struct fp32_state {
    static const int mixed = 0;
    static __device__ vf load(const float *tile, int c) { return vf{tile[c * GPU_TILE], tile[c * GPU_TILE + GPU_WARP]}; }
    static __device__ void store(float *tile, int c, vf a) {
        tile[c * GPU_TILE] = a.x;
        tile[c * GPU_TILE + GPU_WARP] = a.y;
    }
    static __device__ vf load_hidden(const float *tile, int c) { return load(tile, c); }
    static __device__ vf load_average(const float *tile, int c) { return load(tile, c); }
    static __device__ vf load_rate(const float *tile, int c) { return load(tile, c); }
    static __device__ void store_hidden(float *tile, int c, vf a) { store(tile, c, a); }
    static __device__ void store_average(float *tile, int c, vf a) { store(tile, c, a); }
    static __device__ void store_rate(float *tile, int c, vf a) { store(tile, c, a); }
};
struct mixed_state {
    static const int mixed = 1;
    static __device__ uint32_t load(const float *tile, int c) { return ((const uint32_t *)tile)[c * GPU_WARP]; }
    static __device__ void store(float *tile, int c, uint32_t both) { ((uint32_t *)tile)[c * GPU_WARP] = both; }
    static __device__ vf load_hidden(const float *tile, int c) {
        const uint32_t both = load(tile, c);
        return vf{fp16_to_float((uint16_t)both), fp16_to_float((uint16_t)(both >> 16))};
    }
    static __device__ vf load_average(const float *tile, int c) {
        const uint32_t both = load(tile, c);
        return vf{bf16_to_float((uint16_t)both), bf16_to_float((uint16_t)(both >> 16))};
    }
    static __device__ vf load_rate(const float *tile, int c) { return vf{tile[c * GPU_WARP], tile[c * GPU_WARP + GPU_WARP]}; }
    static __device__ void store_hidden(float *tile, int c, vf a) { store(tile, c, floats_to_fp16(a.x, a.y)); }
    static __device__ void store_average(float *tile, int c, vf a) { store(tile, c, floats_to_bf16(a.x, a.y)); }
    static __device__ void store_rate(float *tile, int c, vf a) {
        tile[c * GPU_WARP] = a.x;
        tile[c * GPU_WARP + GPU_WARP] = a.y;
    }
};

/* Log learning rates as the guard lets a step begin. */
__device__ static inline vf begin_rates(const chunk_work &k, vf log_lr) {
    return vf_min(log_lr + vf_set1(k.log_lr_add), vf_set1(k.log_lr_max));
}
__device__ static inline bool first_step(const chunk_work &k) { return k.log_lr_max > GPU_UNBOUND; }

/* Bits of the gradient entries of a pair, and what they are. A thread goes on past a load, but not past the first use of what it loads: so all
 * that a tile needs is read before any of it is looked at. */
struct gradient_bits {
    uint32_t x, y;
};
__device__ static inline gradient_bits gradient_load(const gpu_model &m, const chunk_work &k, unsigned i, unsigned i2) {
    gradient_bits g = {0, 0};
    if (i < k.n) g.x = number_bits(m.grad_type, k.grads, i);
    if (i2 < k.n) g.y = number_bits(m.grad_type, k.grads, i2);
    return g;
}
__device__ static inline float gradient_of(const gpu_model &m, const chunk_work &k, uint32_t bits) {
    const float g = gradient_divided(number_value(m.grad_type, bits), k.divisor);
    return m.zero_nonfinite && !gradient_usable(g) ? 0.0f : g;
}

/* Add what the pair contributes: n numbers, and the three of the readout. */
__device__ static inline void add_sums(int n, const vf *a, vf exists, float *sums) {
    for (int j = 0; j < n; j++) sums[j] += vf_sum(exists * a[j]);
}
__device__ static inline void add_readout(const cell_readout &o, vf exists, float *sums) {
    sums[0] += vf_sum(exists * o.direction * o.direction);
    sums[1] += vf_sum(exists * o.attention * o.attention);
    sums[2] += vf_sum(exists * o.log_lr);
}

/* 1 or 0 for each of the pair. */
__device__ static inline vf exists_of(const chunk_work &k, unsigned i, unsigned i2) {
    return vf{i < k.n ? 1.0f : 0.0f, i2 < k.n ? 1.0f : 0.0f};
}

__device__ static inline void store_moves(lopt_dims d, const chunk_work &k, unsigned i, unsigned i2, const cell_readout &o) {
    if (i < k.n) k.move[i] = o.move.x;
    if (i2 < k.n) k.move[i2] = o.move.y;
    if (d.attention && i < k.n) k.attend[i] = o.attend.x;
    if (d.attention && i2 < k.n) k.attend[i2] = o.attend.y;
}

/* Lanes beyond n compute on zero gradients, write state that nobody reads, and take part in no sum. */
template <class state>
__device__ static inline void advance_tile(lopt_dims d, const gpu_model &m, const cell_weights &w, const chunk_work &k, unsigned t,
                                           float *sums) {
    const int P = d.param, S = d.scales, C = dims_state(d);
    const unsigned i = t * GPU_TILE + gpu_lane(), i2 = i + GPU_WARP;
    float *tile = k.tiles + t * gpu_tile_floats(d, state::mixed) + gpu_lane();
    vf h[PARAM_SIZE_MAX], gates[3 * PARAM_SIZE_MAX], x[FEATURES_MAX], gbar[SCALES_MAX], lam[SCALES_MAX];
    const gradient_bits bits = gradient_load(m, k, i, i2);
    for (int j = 0; j < P; j++) h[j] = state::load_hidden(tile, j);
    for (int s = 0; s < S; s++) gbar[s] = state::load_average(tile, P + s), lam[s] = state::load_average(tile, P + S + s);
    const vf log_lr = begin_rates(k, state::load_rate(tile, C - 1));
    const vf lam_before = lam[0], g = {gradient_of(m, k, bits.x), gradient_of(m, k, bits.y)};
    cell_decays decays;
    decays_forward(d, &w, h, first_step(k), &decays);
    averages_forward(d, &decays, g, gbar, lam);
    for (int s = 0; s < S; s++) state::store_average(tile, P + s, gbar[s]), state::store_average(tile, P + S + s, lam[s]);
    features_forward(d, gbar, lam, log_lr - k.mean_log_lr, x);
    gru_forward(d, &w, k.bias, x, h, gates);
    cell_readout o = readout_forward(d, &w, h, x, log_lr);
    if (k.handed_over > 0.0f)
        handover_blend(&w, k.handed_over, handover_direction(gbar[handover_scale(d)], lam_before), log_lr, &o);
    for (int j = 0; j < P; j++) state::store_hidden(tile, j, h[j]);
    state::store_rate(tile, C - 1, o.log_lr);
    store_moves(d, k, i, i2, o);
    add_sums(P, h, exists_of(k, i, i2), sums);
    add_sums(dims_features(d), x, exists_of(k, i, i2), sums + P);
    add_readout(o, exists_of(k, i, i2), sums + P + dims_features(d));
}

__device__ static inline chunk_work chunk_begin(lopt_dims d, const gpu_model &m, const gpu_chunk &c, const float *bias) {
    const uint64_t tile_at = m.tensors[c.tensor].tile_at + c.first / GPU_TILE, at = tile_at * GPU_TILE;
    const float *guard = m.guard ? m.guard + GUARD_STATE * c.tensor : NULL;
    chunk_work k;
    k.bias = bias;
    k.grads = number_at(m.grad_type, m.buffers[c.tensor].grads, c.first);
    k.divisor = gradient_divisor(m);
    k.mean_log_lr = m.control->mean_log_lr;
    k.log_lr_add = guard_settled(guard);
    k.handed_over = guard_handed_over(guard);
    k.log_lr_max = m.log_lr_max[c.tensor];
    k.tiles = m.state + tile_at * gpu_tile_floats(d, m.mixed);
    k.move = m.move + at;
    k.attend = m.attend ? m.attend + at : (float *)m.buffers[c.tensor].params + c.first;
    k.n = c.n;
    return k;
}

template <class shape, class state> __device__ static inline void advance_chunks(const gpu_model &m, const cell_weights &w) {
    __shared__ float bias[3 * PARAM_SIZE_MAX];
    __shared__ float part[GPU_WARPS][GPU_SUMS_MAX];
    const lopt_dims d = shape::dims(m);
    if (step_skipped(m)) return;
    GRID_FOR(chunk, m.num_chunks) {
        const gpu_chunk c = m.chunks[chunk];
        if (m.buffers[c.tensor].grads == NULL) continue;
        for (int j = (int)threadIdx.x; j < 3 * d.param; j += GPU_BLOCK) bias[j] = m.bias_param[c.tensor * padded(3 * d.param) + j];
        __syncthreads();
        const chunk_work k = chunk_begin(d, m, c, bias);
        float sums[GPU_SUMS_MAX];
        for (int j = 0; j < gpu_sums(d); j++) sums[j] = 0.0f;
        for (unsigned t = gpu_warp(); t * GPU_TILE < c.n; t += GPU_WARPS) {
            asm volatile("" ::: "memory"); /* or the biases are hoisted into registers that are not there, and spilled */
            advance_tile<state>(d, m, w, k, t, sums);
        }
        block_sums(sums, gpu_sums(d), busy_warps(c.n), part, m.sums + chunk * (unsigned)gpu_sums(d));
    }
}

__device__ static inline cell_weights cell_of(const gpu_cell &c) {
    enum { INPUTS = 22, P = 10, S = 4 };
    cell_weights w;
    w.gate = c.weights;
    w.candidate = w.gate + INPUTS * 2 * P;
    w.update = w.candidate + INPUTS * P;
    w.attention = w.update + P;
    w.scale_decay = w.attention + P;
    w.input_decay = w.scale_decay + P;
    w.rate = w.input_decay + P;
    w.update_gradient = w.rate + P;
    w.attention_gradient = w.update_gradient + S;
    w.scale_decay_bias = c.scale_decay_bias;
    w.input_decay_bias = c.input_decay_bias;
    w.rate_bias = c.rate_bias;
    w.momentum = c.momentum;
    w.step_offset = c.step_offset;
    return w;
}

/* The kernel for all shapes, on one kind of state; blocks on a multiprocessor. */
enum { ADVANCE_ANY_RESIDENT = 2 };
#define ADVANCE_ANY(suffix, state)                                                                                          \
    __global__ __launch_bounds__(GPU_BLOCK,                                                                                 \
                                 ADVANCE_ANY_RESIDENT) void lopt_advance_any##suffix(const __grid_constant__ gpu_model m) { \
        advance_chunks<any_shape, state>(m, m.weights->cell);                                                               \
    }

#endif
