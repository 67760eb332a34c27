/* Phase 1 on the default cell by tensor cores, as advance.cuh does it but for the dense products. A warp takes tiles; mma_cell.h says what stands
 * where, mma_state.cuh what an operand is.
 *
 * Per parameter, mixed (fp32): 40 (76) bytes of state and 4 of gradient read, as much state and 4, with attention 8, written; 14 (42) products of
 * 16 x 16 by 16 x 8 for 16 of them. */
#ifndef LOPT_KERNELS_CUDA_ADVANCE_MMA_CUH
#define LOPT_KERNELS_CUDA_ADVANCE_MMA_CUH

#include "kernels/cuda/mma_state.cuh" /* first: it says how many lanes vf has */

#include "kernels/cuda/advance_mma.h"

/* Inputs x of a tile on their way from the lanes that made them to those that multiply: rows of 8 words and 4 that are left out; rows of the same
 * place r among their four lie together. So neither way goes twice to a bank at once. */
enum { X_ROW_WORDS = 12, X_PLACE_WORDS = 8 * X_ROW_WORDS + 8, X_WORDS = 8 * X_PLACE_WORDS }; /* for each term */
__device__ static inline unsigned x_row(unsigned far, unsigned g, unsigned r) {
    return (4 * far + r) * X_PLACE_WORDS + g * X_ROW_WORDS;
}

/* What a lane keeps through the kernel and through a chunk. */
template <class format> struct mma_lane {
    unsigned id;
    mma_weights w[MMA_PRODUCTS];
    const words2 *rest; /* [MMA_PRODUCTS][lanes] what rounding has left of the weights, where there are two terms: shared memory */
    uint32_t *x;        /* the warp's [terms][X_WORDS], and what lanes keep [KEPT][lane]; shared memory */
    float hidden[MMA_OWN]; /* sums of what the lane has of h' */
    float own[MMA_X + 3];
};

/* start + a w; the largest products last. */
template <class format>
__device__ static inline mma_sums product_of(const mma_lane<format> &lane, int product, const mma_operand<format::terms> &a,
                                             const mma_sums &start) {
    if (format::terms == 1) return mma(a.part[0], lane.w[product], start);
    const words2 rest = lane.rest[product * MMA_LANES + (int)lane.id];
    return mma(a.part[0], lane.w[product],
               mma(a.part[0], {{rest.word[0], rest.word[1]}}, mma(a.part[format::terms - 1], lane.w[product], start)));
}

/* A column of sums, 2t or 2t + 1, as a pair. */
__device__ static inline vf column(const mma_sums &s, int odd) { return {s.at[odd], s.at[2 + odd]}; }

/* Of numbers for the four rows of four lanes, in two groups, a lane's own. */
__device__ static inline float own_row(unsigned lane, vf near, vf next) {
    const vf two = t_of(lane) & 2 ? next : near;
    return t_of(lane) & 1 ? two.y : two.x;
}
__device__ static inline vf own_rows(unsigned lane, const vf *groups) {
    return {own_row(lane, groups[0], groups[1]), own_row(lane, groups[2], groups[3])};
}

/* fragments: of the rounded weights, or of what that left. */
__device__ static inline mma_weights weights_load(const uint32_t *fragments, unsigned lane, int product) {
    const uint32_t *from = fragments + product * 2 * MMA_LANES + (int)lane;
    return {{from[0], from[MMA_LANES]}};
}

template <class format>
__device__ static inline cell_decays decays_of_hidden(lopt_dims d, const gpu_model &m, const cell_weights &w,
                                                      mma_lane<format> &lane, const typename format::hidden &h, bool first) {
    cell_decays k;
    if (first) {
        decays_first(d, &k);
        return k;
    }
    lane.w[MMA_H_DECAYS] = weights_load(m.fragments, lane.id, MMA_H_DECAYS); /* used here alone: no registers are kept for them */
    const mma_sums zero = {{0.0f, 0.0f, 0.0f, 0.0f}};
    vf input[MMA_GROUPS], scale[MMA_GROUPS];
    __syncwarp(); /* lanes beyond n, and those with a division, come together: products are no place for a part of a warp */
    CELL_UNROLL
    for (int q = 0; q < MMA_GROUPS; q++) {
        const mma_sums s = product_of(lane, MMA_H_DECAYS, format::operand(h, q), zero);
        input[q] = column(s, 0), scale[q] = column(s, 1);
    }
    decays_of_logits(d, own_rows(lane.id, scale) + w.scale_decay_bias, own_rows(lane.id, input) + w.input_decay_bias, &k);
    return k;
}

/* Of the features of one of the lane's own two parameters, a row of inputs, rounded; and what that leaves of them. */
__device__ static inline void x_write_row(uint32_t *row, const float *x, uint32_t ones, float *rest) {
    uint32_t word[MMA_X / 2];
    CELL_UNROLL
    for (int j = 0; j < MMA_X / 2; j++) {
        word[j] = floats_to_fp16(x[2 * j], x[2 * j + 1]);
        rest[2 * j] = x[2 * j] - fp16_to_float((uint16_t)word[j]);
        rest[2 * j + 1] = x[2 * j + 1] - fp16_to_float((uint16_t)(word[j] >> 16));
    }
    words4 *to = (words4 *)row;
    to[0] = {{word[0], word[1], word[2], word[3]}};
    to[1] = {{word[4], word[5], ones, 0}};
}
template <class format> __device__ static inline void x_write(const mma_lane<format> &lane, const vf *x) {
    const uint32_t ones = 0x3c003c00u;
    CELL_UNROLL
    for (unsigned far = 0; far < 2; far++) {
        float one[MMA_X], rest[MMA_X], nothing[MMA_X];
        uint32_t *row = lane.x + x_row(far, g_of(lane.id), t_of(lane.id));
        CELL_UNROLL
        for (int j = 0; j < MMA_X; j++) one[j] = far ? x[j].y : x[j].x;
        x_write_row(row, one, ones, rest);
        if (format::terms == 2) x_write_row(row + X_WORDS, rest, 0, nothing);
    }
}
/* What a lane keeps for itself where registers do not suffice: its pairs' plain directions and log learning rates; what the tensor says. */
enum { KEPT_PLAIN, KEPT_PLAIN_2, KEPT_RATE, KEPT_RATE_2, KEPT_SHARE, KEPT_ADD, KEPT_MAX, KEPT };
template <class format> __device__ static inline float &kept(const mma_lane<format> &lane, int which) {
    return ((float *)lane.x)[format::terms * X_WORDS + which * GPU_WARP + (int)lane.id];
}
template <class format> __device__ static inline void keep_pair(const mma_lane<format> &lane, int which, vf a) {
    kept(lane, which) = a.x, kept(lane, which + 1) = a.y;
}
template <class format> __device__ static inline vf kept_pair(const mma_lane<format> &lane, int which) {
    return {kept(lane, which), kept(lane, which + 1)};
}

/* Group q of them: lanes name the rows of the four quarters, 8 x 8, that a product's inputs are. */
template <class format> __device__ static inline mma_operand<format::terms> x_group(const mma_lane<format> &lane, int q) {
    const unsigned quarter = lane.id / 8, r = 2 * ((unsigned)q % 2) + quarter % 2;
    const uint32_t *row = lane.x + x_row((unsigned)q / 2, lane.id % 8, r) + 4 * (quarter / 2);
    mma_operand<format::terms> a;
    for (int i = 0; i < format::terms; i++) a.part[i] = mma_load(row + i * X_WORDS);
    return a;
}

/* What the readout needs of two groups' rows; the same in each of four lanes. */
struct mma_readout {
    vf direction[2], attention[2], change[2];
};

/* Rule 9 and the products of rule 10 for a group of 16 parameters: h, the lane's three pairs, to h', which is returned as an operand too. exists:
 * of the rows. */
template <class format>
__device__ static inline mma_operand<format::terms> gru_group(mma_lane<format> &lane, const mma_operand<format::terms> &x,
                                                              const mma_operand<format::terms> &old, vf *h, int q, vf exists,
                                                              mma_readout *out) {
    const int terms = format::terms;
    const mma_sums zero = {{0.0f, 0.0f, 0.0f, 0.0f}};
    vf rh[MMA_OWN];
    const mma_sums reset = product_of(lane, MMA_H_RESET, old, product_of(lane, MMA_X_RESET, x, zero));
    const mma_sums update = product_of(lane, MMA_H_UPDATE, old, product_of(lane, MMA_X_UPDATE, x, zero));
    const mma_sums last = product_of(lane, MMA_H_LAST, old, product_of(lane, MMA_X_LAST, x, zero));
    rh[0] = format::sigmoid(column(reset, 0)) * h[0];
    rh[1] = format::sigmoid(column(reset, 1)) * h[1];
    rh[2] = format::sigmoid(column(last, 0)) * h[2];
    const mma_operand<terms> gated = operand_of<terms>(rh);
    const mma_sums candidate = product_of(lane, MMA_RH_CANDIDATE, gated, product_of(lane, MMA_X_CANDIDATE, x, zero));
    const mma_sums direction = product_of(lane, MMA_RH_DIRECTION, gated, product_of(lane, MMA_X_DIRECTION, x, zero));
    h[0] = gru_blend(format::tanh(column(candidate, 0)), format::sigmoid(column(update, 0)), h[0]);
    h[1] = gru_blend(format::tanh(column(candidate, 1)), format::sigmoid(column(update, 1)), h[1]);
    h[2] = gru_blend(format::tanh(column(direction, 0)), format::sigmoid(column(last, 1)), h[2]);
    add_sums(MMA_OWN, h, exists, lane.hidden);
    const mma_operand<terms> fresh = operand_of<terms>(h);
    const mma_sums attention = product_of(lane, MMA_NEW_ATTENTION, fresh, product_of(lane, MMA_X_ATTENTION, x, zero));
    out->direction[q % 2] = column(product_of(lane, MMA_NEW_DIRECTION, fresh, direction), 1);
    out->attention[q % 2] = column(attention, 0);
    out->change[q % 2] = column(attention, 1);
    return fresh;
}

/* Groups 2 far and 2 far + 1. Own: direction, attention and change of the lane's own parameter there. */
template <class format>
__device__ static inline void gru_half(mma_lane<format> &lane, const chunk_work &k, unsigned t, int far, typename format::hidden &h,
                                       float *own) {
    mma_readout r;
    CELL_UNROLL
    for (int q = 2 * far; q < 2 * far + 2; q++) {
        const unsigned row = t * GPU_TILE + 32 * (unsigned)far + 4 * g_of(lane.id) + 2 * ((unsigned)q % 2);
        vf group[MMA_OWN];
        format::get(h, q, group);
        const mma_operand<format::terms> fresh =
            gru_group(lane, x_group(lane, q), format::operand(h, q), group, q, exists_of(k, row, row + 1), &r);
        format::set(h, q, group, fresh);
        __syncwarp(); /* keeps the compiler from working on all groups at once, for which there are no registers */
    }
    own[0] = own_row(lane.id, r.direction[0], r.direction[1]);
    own[1] = own_row(lane.id, r.attention[0], r.attention[1]);
    own[2] = own_row(lane.id, r.change[0], r.change[1]);
}

template <class format>
__device__ static inline cell_readout gru_tile(lopt_dims d, const cell_weights &w, mma_lane<format> &lane, const chunk_work &k,
                                               unsigned t, typename format::hidden &h) {
    float near[3], far[3];
    gru_half(lane, k, t, 0, h, near);
    gru_half(lane, k, t, 1, h, far);
    return readout_of(d, &w, {near[0], far[0]}, {near[1], far[1]}, {near[2], far[2]}, kept_pair(lane, KEPT_RATE));
}

/* As advance_tile of advance.cuh. */
template <class format>
__device__ static inline void advance_tile_mma(lopt_dims d, const gpu_model &m, const cell_weights &w, mma_lane<format> &lane,
                                               const chunk_work &k, unsigned t) {
    unsigned i = t * GPU_TILE + lane.id, i2 = i + GPU_WARP;
    float *words = k.tiles + t * gpu_tile_floats(d, format::mixed), *tile = words + lane.id;
    vf x[MMA_X], gbar[MMA_S], lam[MMA_S];
    const gradient_bits bits = gradient_load(m, k, i, i2);
    typename format::hidden h = format::load_all(words, lane.id);
    const vf log_lr = begin_rates(k, format::load_rate(tile, MMA_P + 2 * MMA_S));
    for (int s = 0; s < MMA_S; s++) {
        gbar[s] = format::load_average(tile, MMA_P + s);
        lam[s] = format::load_average(tile, MMA_P + MMA_S + s);
    }
    const vf lam_before = lam[0], g = {gradient_of(m, k, bits.x), gradient_of(m, k, bits.y)};
    const cell_decays decays = decays_of_hidden(d, m, w, lane, h, first_step(k));
    averages_forward(d, &decays, g, gbar, lam);
    for (int s = 0; s < MMA_S; s++) {
        format::store_average(tile, MMA_P + s, gbar[s]);
        format::store_average(tile, MMA_P + MMA_S + s, lam[s]);
    }
    features_forward(d, gbar, lam, log_lr - k.mean_log_lr, x);
    __syncwarp(); /* the tile before has been read */
    x_write(lane, x);
    keep_pair(lane, KEPT_PLAIN, handover_direction(gbar[handover_scale(d)], lam_before));
    keep_pair(lane, KEPT_RATE, log_lr);
    add_sums(MMA_X, x, exists_of(k, i, i2), lane.own);
    __syncwarp();
    cell_readout o = gru_tile(d, w, lane, k, t, h);
    if (format::terms == 1) asm volatile("" : "+r"(t)); /* addresses are made again: there are no registers to keep them */
    i = t * GPU_TILE + lane.id, i2 = i + GPU_WARP;
    words = k.tiles + t * gpu_tile_floats(d, format::mixed);
    const float share = kept(lane, KEPT_SHARE);
    if (share > 0.0f) handover_blend(&w, share, kept_pair(lane, KEPT_PLAIN), kept_pair(lane, KEPT_RATE), &o);
    format::store_rate(words + lane.id, MMA_P + 2 * MMA_S, o.log_lr);
    format::store_all(words, lane.id, h);
    store_moves(d, k, i, i2, o);
    add_readout(o, exists_of(k, i, i2), lane.own + MMA_X);
}

/* The biases of a tensor are weights of the inputs that are 1, in two parts: lanes with t = 2 have them. */
template <class format> __device__ static inline void mma_begin_chunk(mma_lane<format> &lane, const float *bias) {
    for (int j = 0; j < MMA_OWN; j++) lane.hidden[j] = 0.0f;
    for (int j = 0; j < MMA_X + 3; j++) lane.own[j] = 0.0f;
    if (mma_x_of(t_of(lane.id), 1, 0) != MMA_ONE) return;
    CELL_UNROLL
    for (int tile = MMA_RESET; tile <= MMA_DIRECTION; tile++) {
        const mma_gate g = mma_gate_of((mma_tile)tile, (int)g_of(lane.id));
        const float b = g.component < 0 ? 0.0f : mma_gate_scale(format::terms, g.gate) * bias[g.gate * MMA_P + g.component];
        lane.w[tile].word[1] = floats_to_fp16(b, b - fp16_to_float(float_to_fp16(b)));
    }
}

/* sums [gpu_sums]: those of h' expanded to its components, of which every lane has three. */
template <class format> __device__ static inline void mma_end_chunk(const mma_lane<format> &lane, float *sums) {
    CELL_UNROLL
    for (int c = 0; c < MMA_P; c++) {
        const unsigned owner = c < 8 ? (unsigned)c / 2 : (unsigned)c - 8;
        sums[c] = t_of(lane.id) == owner ? lane.hidden[c < 8 ? c % 2 : 2] : 0.0f;
    }
    CELL_UNROLL
    for (int j = 0; j < MMA_X + 3; j++) sums[MMA_P + j] = lane.own[j];
}

/* The block's copy of what rounding has left of the weights. */
__device__ static inline void rest_load(const gpu_model &m, words2 *rest) {
    for (unsigned i = threadIdx.x; i < MMA_PRODUCTS * MMA_LANES; i += GPU_BLOCK) {
        const mma_weights w = weights_load(m.fragments + MMA_FRAGMENT_WORDS, i % MMA_LANES, (int)(i / MMA_LANES));
        rest[i] = {{w.word[0], w.word[1]}};
    }
    __syncthreads();
}

template <class shape, class format> __device__ static inline void advance_chunks_mma(const gpu_model &m, const gpu_cell &cell) {
    __shared__ float part[GPU_WARPS][GPU_SUMS_MAX];
    __shared__ words2 rest[format::terms == 2 ? MMA_PRODUCTS * MMA_LANES : 1];
    __shared__ words4 x[GPU_WARPS][(format::terms * X_WORDS + KEPT * GPU_WARP) / 4];
    const lopt_dims d = shape::dims(m);
    const cell_weights w = cell_of(cell); /* for its scalars */
    mma_lane<format> lane;
    if (step_skipped(m)) return;
    lane.id = gpu_lane();
    lane.x = x[gpu_warp()]->word;
    lane.rest = rest;
    if (format::terms == 2) rest_load(m, rest);
    for (int i = 0; i < MMA_PRODUCTS; i++) lane.w[i] = weights_load(m.fragments, lane.id, i);
    GRID_FOR(chunk, m.num_chunks) {
        const gpu_chunk c = m.chunks[chunk];
        if (m.buffers[c.tensor].grads == NULL) continue;
        chunk_work k = chunk_begin(d, m, c, m.bias_param + c.tensor * padded(3 * MMA_P));
        float sums[MMA_P + MMA_X + 3];
        mma_begin_chunk(lane, k.bias);
        kept(lane, KEPT_SHARE) = k.handed_over, kept(lane, KEPT_ADD) = k.log_lr_add, kept(lane, KEPT_MAX) = k.log_lr_max;
        for (unsigned t = gpu_warp(); t * GPU_TILE < c.n; t += GPU_WARPS) {
            asm volatile("" ::: "memory"); /* these and the weights of the decays are read anew: registers do not suffice */
            k.divisor = gradient_divisor(m);
            k.mean_log_lr = m.control->mean_log_lr;
            if (format::terms == 2) k.log_lr_add = kept(lane, KEPT_ADD), k.log_lr_max = kept(lane, KEPT_MAX);
            advance_tile_mma(d, m, w, lane, k, t);
        }
        mma_end_chunk(lane, sums);
        block_sums(sums, gpu_sums(d), busy_warps(c.n), part, m.sums + chunk * (unsigned)gpu_sums(d));
    }
}

/* The kernels on one format, and the host's side; blocks on a multiprocessor. */
#define ADVANCE_MMA(suffix, format, resident)                                                                                    \
    __global__ __launch_bounds__(GPU_BLOCK, resident) void lopt_advance_attending_##suffix(const __grid_constant__ gpu_model m,  \
                                                                                           const __grid_constant__ gpu_cell c) { \
        advance_chunks_mma<attending_shape, format>(m, c);                                                                       \
    }                                                                                                                            \
    __global__ __launch_bounds__(GPU_BLOCK, resident) void lopt_advance_plain_##suffix(const __grid_constant__ gpu_model m,      \
                                                                                       const __grid_constant__ gpu_cell c) {     \
        advance_chunks_mma<plain_shape, format>(m, c);                                                                           \
    }                                                                                                                            \
    void GPU_SYMBOL(gpu_load_advance_##suffix)(gpu_launch * l) {                                                                 \
        CUDA_LOAD(l, lopt_advance_attending_##suffix);                                                                           \
        CUDA_LOAD(l, lopt_advance_plain_##suffix);                                                                               \
    }                                                                                                                            \
    void GPU_SYMBOL(gpu_advance_##suffix)(gpu_launch * l, const gpu_model *m, const gpu_cell *cell) {                            \
        const unsigned grid = gpu_grid(l, m->num_chunks, resident);                                                              \
        if (m->dims.attention) CUDA_LAUNCH(l, lopt_advance_attending_##suffix, grid, *m, *cell);                                 \
        else CUDA_LAUNCH(l, lopt_advance_plain_##suffix, grid, *m, *cell);                                                       \
    }

#endif
