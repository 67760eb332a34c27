/* Phase 1 on the default cell by tensor cores. A warp takes tiles; mma_cell.h says what stands where, mma_state.cuh what an operand is.
 *
 * Per parameter, mixed (fp32): 40 (76) bytes of state and 4 of gradient read, as much state and 4, with attention 8, written; 14 (42) products of
 * 16 x 16 by 16 x 8 for 16 of them. */
#ifndef LOPT_KERNELS_CUDA_ADVANCE_MMA_CUH
#define LOPT_KERNELS_CUDA_ADVANCE_MMA_CUH

#include "kernels/cell/gru.h"
#include "kernels/cuda/advance_mma.h"
#include "kernels/cuda/mma_state.cuh"

/* Keeps the compiler from making the number again wherever it is wanted: to read a thread's index takes as long as a product. */
__device__ static inline void opaque(unsigned &a) {
    (void)a;
#ifndef LOPT_CUDA_EMULATION
    asm volatile("" : "+r"(a));
#endif
}

/* The shapes of default cells, constants to the compiler. Tensor and global sizes do not matter here. */
struct attending_shape {
    static __device__ lopt_dims dims() { return {10, 30, 20, 4, 1, 1, 1, 1}; }
};
struct plain_shape {
    static __device__ lopt_dims dims() { return {10, 30, 20, 4, 0, 1, 1, 1}; }
};

/* Inputs x of a tile on their way from the lanes that made them to those that multiply: rows of 8 words and 4 that are left out; rows of the same
 * place r among their four lie together. So neither way goes twice to a bank at once. */
enum { X_ROW_WORDS = 12, X_PLACE_WORDS = 8 * X_ROW_WORDS + 8, X_WORDS = 4 * X_PLACE_WORDS }; /* for each term */
__device__ static inline unsigned x_row(unsigned g, unsigned r) { return r * X_PLACE_WORDS + g * X_ROW_WORDS; }

/* What a lane keeps through the kernel and through a chunk. */
template <class format> struct mma_lane {
    unsigned id;
    const typename format::weights *w; /* the block's [MMA_PRODUCTS][lanes]; these are shared memory */
    typename format::weights kept[format::terms == 1 ? MMA_PRODUCTS : 1]; /* the lane's, where registers suffice */
    uint32_t *x;                                                          /* the warp's [terms][X_WORDS] */
    words4 *old;           /* the warp's [MMA_GROUPS][terms][lanes] operands of the old hidden state, where there are two terms */
    float hidden[MMA_OWN]; /* sums of what the lane has of h' */
    float own[MMA_X + 3];
};

/* sums + a w for all groups; the largest products last. Side by side, since each of a sum's products waits for the one before. */
template <class format>
__device__ static inline void products(const mma_lane<format> &lane, int product, const mma_operand<format::terms> *a,
                                       mma_sums *sums) {
    const typename format::weights w = format::terms == 1 ? lane.kept[product] : lane.w[product * MMA_LANES + (int)lane.id];
    CELL_UNROLL
    for (int term = format::terms - 1; term >= 0; term--) {
        CELL_UNROLL
        for (int other = format::terms - 1 - term; other >= 0; other--)
            for (int q = 0; q < MMA_GROUPS; q++)
                sums[q] = mma(a[q].part[term], {{w.word[2 * other], w.word[2 * other + 1]}}, sums[q]);
    }
}
__device__ static inline void zero(mma_sums *sums) {
    for (int q = 0; q < MMA_GROUPS; q++) sums[q] = {{0.0f, 0.0f, 0.0f, 0.0f}};
}

/* Row g (0) or g + 8 (1) of column 2t (0) or 2t + 1 (1). */
__device__ static inline float sum_at(const mma_sums &s, int row, int odd) { return s.at[2 * row + odd]; }

/* Of numbers that are the same in four lanes, for the two rows of the two groups: a lane's own. */
__device__ static inline float own_row(unsigned lane, const mma_sums *groups, int odd) {
    const float first = t_of(lane) & 2 ? sum_at(groups[1], 0, odd) : sum_at(groups[0], 0, odd);
    const float second = t_of(lane) & 2 ? sum_at(groups[1], 1, odd) : sum_at(groups[0], 1, odd);
    return t_of(lane) & 1 ? second : first;
}

/* Operands of the old hidden state serve twice, far apart. Making them again takes 20 instructions. */
template <class format>
__device__ static inline void old_keep(const mma_lane<format> &lane, int q, const mma_operand<format::terms> &a) {
    for (int i = 0; i < format::terms; i++)
        lane.old[(q * format::terms + i) * MMA_LANES + (int)lane.id] = {
            {a.part[i].word[0], a.part[i].word[1], a.part[i].word[2], a.part[i].word[3]}};
}
template <class format> __device__ static inline mma_operand<format::terms> old_kept(const mma_lane<format> &lane, int q) {
    mma_operand<format::terms> a;
    for (int i = 0; i < format::terms; i++) {
        const words4 w = lane.old[(q * format::terms + i) * MMA_LANES + (int)lane.id];
        a.part[i] = {{w.word[0], w.word[1], w.word[2], w.word[3]}};
    }
    return a;
}

template <class format>
__device__ static inline cell_decays decays_of_hidden(lopt_dims d, const gpu_model &m, mma_lane<format> &lane,
                                                      const typename format::hidden &h, bool first) {
    cell_decays k;
    mma_sums logits[MMA_GROUPS];
    mma_operand<format::terms> old[MMA_GROUPS];
    __syncwarp(); /* lanes beyond n, and those with a division, come together: products are no place for a part of a warp */
    CELL_UNROLL
    for (int q = 0; q < MMA_GROUPS; q++) {
        old[q] = format::operand(h, q);
        if (format::terms == 2) old_keep(lane, q, old[q]);
    }
    zero(logits);
    products(lane, MMA_H_DECAYS, old, logits);
    if (first) decays_first(d, &k);
    else
        decays_of_logits(d, own_row(lane.id, logits, 1) + m.cell.scale_decay_bias,
                         own_row(lane.id, logits, 0) + m.cell.input_decay_bias, &k);
    return k;
}

/* Of the features of a parameter, a row of inputs, rounded; and what that leaves of them. */
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
template <class format> __device__ static inline void x_write(const mma_lane<format> &lane, const float *x) {
    float rest[MMA_X], nothing[MMA_X];
    uint32_t *row = lane.x + x_row(g_of(lane.id), t_of(lane.id));
    x_write_row(row, x, 0x3c003c00u, rest);
    if (format::terms == 2) x_write_row(row + X_WORDS, rest, 0, nothing);
}

/* Group q of them: lanes name the rows of the four quarters, 8 x 8, that a product's inputs are. */
template <class format> __device__ static inline mma_operand<format::terms> x_group(const mma_lane<format> &lane, int q) {
    const unsigned quarter = lane.id / 8;
    const uint32_t *row = lane.x + x_row(lane.id % 8, 2 * (unsigned)q + quarter % 2) + 4 * (quarter / 2);
    mma_operand<format::terms> a;
    for (int i = 0; i < format::terms; i++) a.part[i] = mma_load(row + i * X_WORDS);
    return a;
}

/* The gates of a tile's rows: what goes into the candidate, and what is needed of the others. */
struct mma_gates {
    mma_sums update[MMA_GROUPS], last[MMA_GROUPS];
};
template <class format>
__device__ static inline void gates_of(const mma_lane<format> &lane, const mma_operand<format::terms> *x,
                                       const typename format::hidden &hidden, const mma_rows *h, mma_gates *gates,
                                       mma_operand<format::terms> *gated) {
    mma_sums reset[MMA_GROUPS];
    mma_operand<format::terms> old[MMA_GROUPS];
    zero(reset), zero(gates->update), zero(gates->last);
    products(lane, MMA_X_RESET, x, reset);
    products(lane, MMA_X_LAST, x, gates->last);
    products(lane, MMA_X_UPDATE, x, gates->update);
    CELL_UNROLL
    for (int q = 0; q < MMA_GROUPS; q++) old[q] = format::terms == 2 ? old_kept(lane, q) : format::operand(hidden, q);
    products(lane, MMA_H_RESET, old, reset);
    products(lane, MMA_H_LAST, old, gates->last);
    products(lane, MMA_H_UPDATE, old, gates->update);
    CELL_UNROLL
    for (int q = 0; q < MMA_GROUPS; q++) {
        mma_rows rh;
        CELL_UNROLL
        for (int row = 0; row < 2; row++) {
            rh.at[row][0] = format::sigmoid(sum_at(reset[q], row, 0)) * h[q].at[row][0];
            rh.at[row][1] = format::sigmoid(sum_at(reset[q], row, 1)) * h[q].at[row][1];
            rh.at[row][2] = format::sigmoid(sum_at(gates->last[q], row, 0)) * h[q].at[row][2];
        }
        gated[q] = operand_of<format::terms>(rh);
    }
}

/* Rule 9's new state of a group's rows. */
template <class format>
__device__ static inline void blend(const mma_gates &gates, int q, const mma_sums &candidate, const mma_sums &more, mma_rows *h) {
    CELL_UNROLL
    for (int row = 0; row < 2; row++) {
        float *to = h->at[row];
        to[0] = gru_blend(format::tanh(sum_at(candidate, row, 0)), format::sigmoid(sum_at(gates.update[q], row, 0)), to[0]);
        to[1] = gru_blend(format::tanh(sum_at(candidate, row, 1)), format::sigmoid(sum_at(gates.update[q], row, 1)), to[1]);
        to[2] = gru_blend(format::tanh(sum_at(more, row, 0)), format::sigmoid(sum_at(gates.last[q], row, 1)), to[2]);
    }
}

/* Rule 9 and the products of rule 10: h to h'. */
template <class format>
__device__ static inline cell_readout gru_tile(lopt_dims d, const cell_weights &w, mma_lane<format> &lane, const chunk_work &k,
                                               unsigned first, float log_lr, typename format::hidden &hidden) {
    mma_operand<format::terms> x[MMA_GROUPS], operand[MMA_GROUPS];
    mma_sums candidate[MMA_GROUPS], direction[MMA_GROUPS], attention[MMA_GROUPS];
    mma_rows h[MMA_GROUPS];
    mma_gates gates;
    CELL_UNROLL
    for (int q = 0; q < MMA_GROUPS; q++) x[q] = x_group(lane, q), h[q] = format::get(hidden, q);
    gates_of(lane, x, hidden, h, &gates, operand);
    zero(candidate), zero(direction), zero(attention);
    products(lane, MMA_X_CANDIDATE, x, candidate);
    products(lane, MMA_X_DIRECTION, x, direction);
    products(lane, MMA_X_ATTENTION, x, attention);
    products(lane, MMA_RH_CANDIDATE, operand, candidate);
    products(lane, MMA_RH_DIRECTION, operand, direction);
    CELL_UNROLL
    for (int q = 0; q < MMA_GROUPS; q++) {
        const unsigned row = first + 4 * g_of(lane.id) + 2 * (unsigned)q;
        blend<format>(gates, q, candidate[q], direction[q], &h[q]);
        add_sums(MMA_OWN, h[q].at[0], exists_of(k, row), lane.hidden);
        add_sums(MMA_OWN, h[q].at[1], exists_of(k, row + 1), lane.hidden);
        operand[q] = operand_of<format::terms>(h[q]);
        format::set(hidden, q, h[q], operand[q]);
    }
    products(lane, MMA_NEW_DIRECTION, operand, direction);
    products(lane, MMA_NEW_ATTENTION, operand, attention);
    return readout_of(d, &w, own_row(lane.id, direction, 1), own_row(lane.id, attention, 0), own_row(lane.id, attention, 1),
                      log_lr);
}

/* Asks for what a tile needs, if there is one, so that it is near by the time that its warp comes to it. i: of the lane's parameter. */
template <class format>
__device__ static inline void tile_prefetch(const gpu_model &m, const chunk_work &k, unsigned lane, unsigned i, const float *tile) {
    if (i - lane >= k.n) return;
    if (lane * GPU_LINE < format::floats * sizeof(float)) prefetch_line(tile + lane * (GPU_LINE / sizeof(float)));
    if (i < k.n) prefetch_line(number_at(m.grad_type, k.grads, i));
}

/* first: of the tile's parameters in the chunk. Lanes beyond n compute on zero gradients, write state that nobody reads, and take part in no sum. */
template <class format>
__device__ static inline void advance_tile_mma(lopt_dims d, const gpu_model &m, const cell_weights &w, mma_lane<format> &lane,
                                               const chunk_work &k, unsigned first, float *tile) {
    const unsigned i = first + lane.id;
    float x[MMA_X];
    const uint32_t bits = gradient_load(m, k, i);
    typename format::hidden h = format::load_hidden(tile, lane.id);
    own_state own = format::own(format::load_own(tile, lane.id));
    tile_prefetch<format>(m, k, lane.id, i + GPU_WARPS * GPU_TILE, tile + GPU_WARPS * format::floats);
    const float log_lr = begin_rate(k, own.log_lr), lam_before = own.lam[0], g = gradient_of(m, k, bits);
    const cell_decays decays = decays_of_hidden(d, m, lane, h, first_step(k));
    averages_forward(d, &decays, g, own.gbar, own.lam);
    format::store_averages(tile, lane.id, own);
    features_forward(d, own.gbar, own.lam, log_lr - k.mean_log_lr, x);
    x_write(lane, x);
    const float plain = handover_direction(own.gbar[handover_scale(d)], lam_before);
    add_sums(MMA_X, x, exists_of(k, i), lane.own);
    __syncwarp();
    cell_readout o = gru_tile(d, w, lane, k, first, log_lr, h);
    if (k.handed_over > 0.0f) handover_blend(&w, k.handed_over, plain, log_lr, &o);
    format::store_rate(tile, lane.id, o.log_lr);
    format::store_hidden(tile, lane.id, h);
    store_moves(d, k, i, o);
    add_readout(o, exists_of(k, i), lane.own + MMA_X);
}

template <class format> __device__ static inline void mma_begin_chunk(mma_lane<format> &lane) {
    for (int j = 0; j < MMA_OWN; j++) lane.hidden[j] = 0.0f;
    for (int j = 0; j < MMA_X + 3; j++) lane.own[j] = 0.0f;
}

/* The block's weights: rounded, and where there are two terms, what that has left of them. */
template <class format> __device__ static inline void weights_load(const gpu_model &m, typename format::weights *w) {
    for (unsigned i = threadIdx.x; i < MMA_PRODUCTS * MMA_LANES; i += GPU_BLOCK) {
        const unsigned at = i / MMA_LANES * 2 * MMA_LANES + i % MMA_LANES;
        CELL_UNROLL
        for (int j = 0; j < 2 * format::terms; j++)
            w[i].word[j] = m.fragments[j / 2 * MMA_FRAGMENT_WORDS + j % 2 * MMA_LANES + (int)at];
    }
}
/* The biases of a tensor are weights of the inputs that are 1, in two parts: lanes with t = 2 have them. Every thread must come. */
static_assert((int)MMA_X_RESET == (int)MMA_RESET && (int)MMA_X_DIRECTION == (int)MMA_DIRECTION,
              "a sum's bias goes with its product of x");
template <class format> __device__ static inline void weights_bias(const float *bias, typename format::weights *w) {
    for (unsigned i = threadIdx.x; i < (MMA_DIRECTION + 1) * MMA_COLUMNS; i += GPU_BLOCK) {
        const mma_gate g = mma_gate_of((mma_tile)(i / MMA_COLUMNS), (int)(i % MMA_COLUMNS));
        const float wanted = g.component < 0 ? 0.0f : mma_gate_scale(format::terms, g.gate) * bias[g.gate * MMA_P + g.component];
        const float b = mma_held(wanted);
        w[i / MMA_COLUMNS * MMA_LANES + 4 * (i % MMA_COLUMNS) + 2].word[1] = floats_to_fp16(b, b - fp16_to_float(float_to_fp16(b)));
    }
    __syncthreads();
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

template <class shape, class format> __device__ static inline void advance_chunks_mma(const gpu_model &m) {
    const int terms = format::terms, operands = terms == 2 ? MMA_GROUPS * terms * MMA_LANES : 1;
    __shared__ float part[GPU_WARPS][GPU_SUMS_MAX];
    __shared__ typename format::weights weights[MMA_PRODUCTS * MMA_LANES];
    __shared__ words4 x[GPU_WARPS][terms * X_WORDS / 4], old[GPU_WARPS][operands];
    const lopt_dims d = shape::dims();
    cell_weights w = {}; /* for its numbers */
    mma_lane<format> lane;
    if (step_skipped(m)) return;
    w.momentum = m.cell.momentum, w.step_offset = m.cell.step_offset;
    unsigned warp = gpu_warp();
    lane.id = gpu_lane();
    opaque(warp), opaque(lane.id);
    lane.x = x[warp]->word;
    lane.old = old[warp];
    lane.w = weights;
    weights_load<format>(m, weights);
    __syncthreads();
    GRID_FOR(chunk, m.num_chunks) {
        const gpu_chunk c = m.chunks[chunk];
        if (m.buffers[c.tensor].grads == NULL) continue;
        const chunk_work k = chunk_begin(d, m, c);
        float sums[MMA_P + MMA_X + 3];
        mma_begin_chunk(lane);
        weights_bias<format>(k.bias, weights);
        if (terms == 1)
            for (int i = 0; i < MMA_PRODUCTS; i++) lane.kept[i] = weights[i * MMA_LANES + (int)lane.id];
        float *tile = k.tiles + warp * format::floats;
        for (unsigned first = warp * GPU_TILE; first < c.n; first += GPU_WARPS * GPU_TILE, tile += GPU_WARPS * format::floats)
            advance_tile_mma(d, m, w, lane, k, first, tile);
        mma_end_chunk(lane, sums);
        block_sums(sums, gpu_sums(d), busy_warps(c.n), part, m.sums + chunk * (unsigned)gpu_sums(d));
    }
}

/* The kernels on one format, and the host's side; blocks on a multiprocessor. */
#define ADVANCE_MMA(suffix, format, resident)                                                                                     \
    __global__ __launch_bounds__(GPU_BLOCK, resident) void lopt_advance_attending_##suffix(const __grid_constant__ gpu_model m) { \
        advance_chunks_mma<attending_shape, format>(m);                                                                           \
    }                                                                                                                             \
    __global__ __launch_bounds__(GPU_BLOCK, resident) void lopt_advance_plain_##suffix(const __grid_constant__ gpu_model m) {     \
        advance_chunks_mma<plain_shape, format>(m);                                                                               \
    }                                                                                                                             \
    void GPU_SYMBOL(gpu_load_advance_##suffix)(gpu_launch * l) {                                                                  \
        CUDA_LOAD(l, lopt_advance_attending_##suffix);                                                                            \
        CUDA_LOAD(l, lopt_advance_plain_##suffix);                                                                                \
    }                                                                                                                             \
    void GPU_SYMBOL(gpu_advance_##suffix)(gpu_launch * l, const gpu_model *m) {                                                   \
        const unsigned grid = gpu_grid(l, m->num_chunks, resident);                                                               \
        if (m->dims.attention) CUDA_LAUNCH(l, lopt_advance_attending_##suffix, grid, *m);                                         \
        else CUDA_LAUNCH(l, lopt_advance_plain_##suffix, grid, *m);                                                               \
    }

#endif
