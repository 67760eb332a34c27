/* A tile of phase 1 on the default cell by tensor cores, which a warp takes; mma_cell.h says what stands where, mma_state.cuh what is multiplied,
 * mma_lane.cuh what a lane keeps and gives to others.
 *
 * Per parameter, mixed (fp32): 40 (76) bytes of state and 4 of gradient read, as much state and 2 (4), with attention 4 (8), written; 12 (29) products of
 * 16 x 16 by 16 x 8 for 16 of them. */
#ifndef LOPT_KERNELS_CUDA_MMA_TILE_CUH
#define LOPT_KERNELS_CUDA_MMA_TILE_CUH

#include "kernels/cell/gru.h"
#include "kernels/cuda/mma_lane.cuh"

template <class format>
__device__ static inline cell_decays decays_of_hidden(lopt_dims d, const gpu_model &m, mma_lane<format> &lane,
                                                      const typename format::hidden &h, bool first) {
    const float least = first ? DECAYS_FIRST : -INFINITY;
    cell_decays k;
    mma_sums exponents[MMA_GROUPS];
    typename format::state old[MMA_GROUPS];
    __syncwarp(); /* lanes beyond n, and those with a division, come together: products are no place for a part of a warp */
    states_of(lane, h, old);
    old_keep(lane, old);
    zero(exponents);
    state_products(lane, MMA_H_DECAYS, old, exponents);
    decays_of_exponents(d, vf_max(own_sum(lane.id, exponents, 1) + m.cell.scale_decay_bias, least),
                        vf_max(own_sum(lane.id, exponents, 0) + m.cell.input_decay_bias, least), first, &k);
    return k;
}

/* The gates of a tile's rows: what goes into the candidate, and what is needed of the others. */
struct mma_gates {
    mma_sums update[MMA_GROUPS], last[MMA_GROUPS];
};
template <class format>
__device__ static inline void gates_of(const mma_lane<format> &lane, const x_inputs<format> *x,
                                       const typename format::hidden &hidden, mma_gates *gates, typename format::state *gated) {
    const mma_components h = format::get(hidden);
    mma_components rh;
    mma_sums reset[MMA_GROUPS];
    typename format::state old[MMA_GROUPS];
    zero(reset), zero(gates->update), zero(gates->last);
    products(lane, MMA_X_RESET, x, reset);
    products(lane, MMA_X_LAST, x, gates->last);
    products(lane, MMA_X_UPDATE, x, gates->update);
    old_kept(lane, hidden, old);
    state_products(lane, MMA_H_RESET, old, reset);
    state_products(lane, MMA_H_LAST, old, gates->last);
    state_products(lane, MMA_H_UPDATE, old, gates->update);
    CELL_UNROLL
    for (int row = 0; row < 2; row++) {
        for (int q = 0; q < MMA_GROUPS; q++)
            for (int j = 0; j < MMA_FIRST; j++) rh.first[q][row][j] = format::gated(sum_at(reset[q], row, j), h.first[q][row][j]);
        rh.last[row] = format::gated(last_sum(lane.id, gates->last, row, 0), h.last[row]);
    }
    states_of(lane, format::set(rh), gated);
}

/* Rule 8's new state of a tile. candidate: sums of the first components; last: of the last. */
template <class format>
__device__ static inline typename format::hidden blend(unsigned lane, const mma_gates &gates, const mma_sums *candidate,
                                                       const mma_sums *last, mma_components *h) {
    CELL_UNROLL
    for (int row = 0; row < 2; row++) {
        for (int q = 0; q < MMA_GROUPS; q++)
            for (int j = 0; j < MMA_FIRST; j++)
                h->first[q][row][j] = gru_blend(format::tanh(sum_at(candidate[q], row, j)),
                                                format::sigmoid(sum_at(gates.update[q], row, j)), h->first[q][row][j]);
        h->last[row] = gru_blend(format::tanh(last_sum(lane, last, row, 0)), format::sigmoid(last_sum(lane, gates.last, row, 1)),
                                 h->last[row]);
    }
    return format::set(*h);
}

/* Sums of the new state. */
template <bool whole, class format>
__device__ static inline void add_hidden(unsigned left, const mma_components &h, mma_lane<format> &lane) {
    CELL_UNROLL
    for (int row = 0; row < 2; row++) {
        for (int q = 0; q < MMA_GROUPS; q++)
            add_sums(MMA_FIRST, h.first[q][row], row_exists<whole>(lane.id, left, q, row), lane.hidden);
        add_sums(1, &h.last[row], row_exists<whole>(lane.id, left, group_of(lane.id), row), lane.hidden + MMA_FIRST);
    }
}

/* Rule 8 and the products of rule 10: h to h'. */
template <bool whole, class format>
__device__ static inline cell_readout advance_hidden(lopt_dims d, const cell_weights &w, mma_lane<format> &lane, unsigned left,
                                                     float log_lr, typename format::hidden &hidden) {
    x_inputs<format> x[MMA_GROUPS];
    typename format::state state[MMA_GROUPS];
    mma_sums candidate[MMA_GROUPS], readout[MMA_GROUPS];
    mma_gates gates;
    float own[MMA_READOUTS];
    x_read<whole>(lane, left, x);
    gates_of(lane, x, hidden, &gates, state);
    zero(candidate), zero(readout);
    products(lane, MMA_X_CANDIDATE, x, candidate);
    products(lane, MMA_X_READOUT, x, readout);
    state_products(lane, MMA_RH_CANDIDATE, state, candidate);
    state_products(lane, MMA_RH_READOUT, state, readout);
    mma_components h = format::get(hidden);
    hidden = blend<format>(lane.id, gates, candidate, readout, &h);
    add_hidden<whole>(left, h, lane);
    states_of(lane, hidden, state);
    state_products(lane, MMA_NEW_READOUT, state, readout);
    own_readouts(lane, readout, own);
    return readout_of(d, &w, own[0], own[1], own[2], log_lr);
}

/* Where a warp's tile is: its state, the lane's gradient entry, its first parameter's place in the band. */
struct tile_at {
    float *state;
    const char *grad;
    unsigned at;
};
template <class format> __device__ static inline tile_at tile_next(const chunk_work &k, const tile_at &t, unsigned grad_size) {
    return {(float *)((char *)t.state + k.state_apart), t.grad + grad_size, t.at + k.apart};
}
/* Asks for it, so that it is near by the time that its warp comes to it. */
template <class format>
__device__ static inline void tile_prefetch(const mma_lane<format> &lane, const chunk_work &k, const tile_at &t,
                                            unsigned grad_size) {
    const tile_at next = tile_next<format>(k, t, grad_size);
    if (next.at >= k.n) return;
    if (lane.id * GPU_LINE < format::floats * sizeof(float)) prefetch_line((const char *)next.state + lane.id * GPU_LINE);
    if (lane.id < k.n - next.at) prefetch_line(next.grad);
}

/* Parameters beyond what is left have zero gradients, state that nobody reads, and no part in a sum. Their lanes work on: they have others' components. */
template <bool whole, class format>
__device__ static inline void advance_tile_mma(lopt_dims d, const gpu_model &m, const cell_weights &w, mma_lane<format> &lane,
                                               const chunk_work &k, const tile_at &t, unsigned grad_size) {
    const unsigned left = whole ? (unsigned)GPU_TILE : k.n % GPU_TILE;
    const bool there = exists<whole>(left, lane.id);
    float x[MMA_X];
    const uint32_t bits = gradient_load(m, t.grad, there);
    const typename format::words words = format::load(t.state, lane.id);
    if (whole) tile_prefetch(lane, k, t, grad_size);
    typename format::hidden h = format::hidden_of(words);
    own_state own = format::own_of(words);
    const float log_lr = begin_rate(k, own.log_lr), lam_before = own.lam[0], g = gradient_of(m, k, bits);
    const cell_decays decays = decays_of_hidden(d, m, lane, h, first_step(k));
    averages_forward(d, &decays, g, own.gbar, own.lam);
    format::store_averages(t.state, lane.id, own);
    features_forward(d, own.gbar, own.lam, log_lr - k.mean_log_lr, x);
    x_write(lane, x);
    const float plain = handover_direction(own.gbar[handover_scale(d)], lam_before);
    if (format::terms == 1) add_sums(MMA_X, x, there, lane.features);
    __syncwarp();
    cell_readout o = advance_hidden<whole>(d, w, lane, left, log_lr, h);
    if (k.handed_over > 0.0f) handover_blend(&w, k.handed_over, plain, log_lr, &o);
    format::store_rest(t.state, lane.id, h, o.log_lr);
    store_moves(d, format::mixed, k, t.at + lane.id, o, there);
    readouts_add(lane, o, there);
}

/* The warp's tiles of a chunk, of which only the band's last may be less than whole. */
template <class format>
__device__ static inline void advance_tiles(lopt_dims d, const gpu_model &m, const cell_weights &w, mma_lane<format> &lane,
                                            const chunk_work &k, unsigned warp) {
    opaque(warp);
    const unsigned first = k.first + warp * GPU_TILE, grad_size = k.apart * number_size(m.grad_type);
    tile_at t = {k.tiles + first / GPU_TILE * format::floats, (const char *)number_at(m.grad_type, k.grads, first + lane.id),
                 first};
    for (; t.at + GPU_TILE <= k.n; t = tile_next<format>(k, t, grad_size)) advance_tile_mma<true>(d, m, w, lane, k, t, grad_size);
    if (t.at < k.n) advance_tile_mma<false>(d, m, w, lane, k, t, grad_size);
}

#endif
