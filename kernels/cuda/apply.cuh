/* Phase 2 (rule 12): what waited goes to the parameters, now that the tensor's RMS is known.
 *
 * Bytes per parameter: theta 4, what waits 4 (mixed state without attention 2, fp32 state with it 8), read; 8 written. */
#ifndef LOPT_KERNELS_CUDA_APPLY_CUH
#define LOPT_KERNELS_CUDA_APPLY_CUH

#include "kernels/cell/readout.h"
#include "kernels/cuda/block.cuh"

/* A chunk's share of phase 2. */
struct apply_work {
    readout_rates rates;
    number_type type; /* of params */
    float *theta;
    const void *move;    /* gpu_moves */
    const float *attend; /* NULL: none, or not there */
    void *params;
};

/* Updates that wait, as they wait: of four parameters, or of one. `both`: whether there are attended ones. */
template <gpu_moves> struct waiting;
template <> struct waiting<MOVES_FLOATS> {
    floats4 move, attend;
    bool both;
    static __device__ waiting four(const apply_work &w, unsigned at) {
        const floats4 none = {{0.0f, 0.0f, 0.0f, 0.0f}}, *move = (const floats4 *)((const float *)w.move + at);
        return {read_once(move), w.attend ? read_once((const floats4 *)(w.attend + at)) : none, w.attend != NULL};
    }
    static __device__ waiting one(const apply_work &w, unsigned at) {
        return {{{((const float *)w.move)[at]}}, {{w.attend ? w.attend[at] : 0.0f}}, w.attend != NULL};
    }
    __device__ float move_of(int j) const { return move.at[j]; }
    __device__ float attend_of(int j) const { return attend.at[j]; }
};
template <> struct waiting<MOVES_HALVES> {
    words2 move;
    static constexpr bool both = false;
    static __device__ waiting four(const apply_work &w, unsigned at) {
        return {read_once((const words2 *)((const uint16_t *)w.move + at))};
    }
    static __device__ waiting one(const apply_work &w, unsigned at) { return {{{((const uint16_t *)w.move)[at]}}}; }
    __device__ float move_of(int j) const { return bf16_to_float((uint16_t)(move.word[j / 2] >> 16 * (j % 2))); }
    __device__ float attend_of(int) const { return 0.0f; }
};
template <> struct waiting<MOVES_PAIRS> {
    words4 pair;
    static constexpr bool both = true;
    static __device__ waiting four(const apply_work &w, unsigned at) {
        return {read_once((const words4 *)((const uint32_t *)w.move + at))};
    }
    static __device__ waiting one(const apply_work &w, unsigned at) { return {{{((const uint32_t *)w.move)[at]}}}; }
    __device__ float move_of(int j) const { return bf16_to_float((uint16_t)pair.word[j]); }
    __device__ float attend_of(int j) const { return bf16_to_float((uint16_t)(pair.word[j] >> 16)); }
};

template <gpu_moves moves>
__device__ static inline float applied(const apply_work &w, float theta, const waiting<moves> &m, int j, float *phi) {
    const float moved = readout_theta(w.rates, theta, m.move_of(j)), attended = readout_phi(w.rates, theta, m.attend_of(j));
    *phi = m.both ? attended : moved; /* not a branch, which takes registers that a kernel of 36 warps has not got */
    return moved;
}

/* `batch` fours of parameters from i on, 4 GPU_BLOCK apart; all that is read is read first, as in `look`. */
template <gpu_moves moves, int batch> __device__ static inline void apply_fours(const apply_work &w, unsigned i) {
    floats4 theta[batch];
    waiting<moves> updates[batch];
    CELL_UNROLL
    for (unsigned k = 0; k < batch; k++) {
        const unsigned at = i + k * 4 * GPU_BLOCK;
        theta[k] = read_once((const floats4 *)(w.theta + at)), updates[k] = waiting<moves>::four(w, at);
    }
    CELL_UNROLL
    for (unsigned k = 0; k < batch; k++) {
        const unsigned at = i + k * 4 * GPU_BLOCK;
        floats4 phi;
        CELL_UNROLL
        for (int j = 0; j < 4; j++) theta[k].at[j] = applied(w, theta[k].at[j], updates[k], j, &phi.at[j]);
        write_once((floats4 *)(w.theta + at), theta[k]);
        if (w.type == NUMBER_FP32) write_once((floats4 *)((float *)w.params + at), phi);
        else
            for (unsigned j = 0; j < 4; j++) number_write(w.type, w.params, at + j, phi.at[j]);
    }
}
template <gpu_moves moves> __device__ static inline void apply_all(const apply_work &w, unsigned end) {
    const unsigned turn = 4 * GPU_BLOCK, n = w.type != NUMBER_FP32 || (uintptr_t)w.params % sizeof(floats4) == 0 ? end / 4 * 4 : 0;
    unsigned i = 4 * threadIdx.x;
    for (; i + turn < n; i += 2 * turn) apply_fours<moves, 2>(w, i);
    for (; i < n; i += turn) apply_fours<moves, 1>(w, i);
    for (i = n + threadIdx.x; i < end; i += GPU_BLOCK) {
        float phi;
        w.theta[i] = applied(w, w.theta[i], waiting<moves>::one(w, i), 0, &phi);
        number_write(w.type, w.params, i, phi);
    }
}

__device__ static inline void apply_chunk(const gpu_model &m, gpu_moves moves, const gpu_chunk &c) {
    const uint64_t at = m.tensors[c.tensor].tile_at * GPU_TILE + c.first;
    const gpu_buffers b = m.buffers[c.tensor];
    const float *inverse_rms = m.inverse_rms + 2 * (uint64_t)c.tensor;
    if (b.grads == NULL) return;
    apply_work w;
    w.rates = readout_rates_of(m.control->lr_scale, m.control->weight_decay, inverse_rms[0], inverse_rms[1]);
    w.type = m.param_type;
    w.theta = m.theta + at, w.move = gpu_move_at(moves, m.move, at);
    w.params = (void *)number_at(m.param_type, b.params, c.first);
    w.attend = moves != MOVES_FLOATS || !m.dims.attention ? NULL : m.attend ? m.attend + at : (const float *)w.params;
    if (moves == MOVES_FLOATS) apply_all<MOVES_FLOATS>(w, c.n);
    else if (moves == MOVES_HALVES) apply_all<MOVES_HALVES>(w, c.n);
    else apply_all<MOVES_PAIRS>(w, c.n);
}

#endif
