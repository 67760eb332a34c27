/* Phase 1 on the default cell's mixed state: the dense products by tensor cores from weights rounded to fp16, all else as in advance.cuh, but with
 * coarser elementary functions. A warp takes tiles; mma_cell.h says what stands where.
 *
 * Per parameter: 40 bytes of state and 4 of gradient read, 40 and 4, with attention 8, written; 14 products of 16 x 16 by 16 x 8 for 16 of them. */
#define VF_COARSE
#include "kernels/cuda/advance.cuh"
#include "kernels/cuda/advance_mma.h"
#include "kernels/cuda/mma.cuh"

enum { MMA_RESIDENT = 4 }; /* blocks on a multiprocessor: registers allow no more */

struct alignas(8) words2 {
    uint32_t word[2];
};
struct alignas(16) words4 {
    uint32_t word[4];
};

/* Inputs x of a tile on their way from the lanes that made them to those that multiply: rows of 8 words and 4 that are left out; rows of the same
 * place r among their four lie together. So neither way goes twice to a bank at once. */
enum { X_ROW_USED = 8, X_ROW_WORDS = X_ROW_USED + 4, X_PLACE_WORDS = 8 * X_ROW_WORDS + 8, X_WORDS = 8 * X_PLACE_WORDS };
__device__ static inline unsigned x_row(unsigned far, unsigned g, unsigned r) {
    return (4 * far + r) * X_PLACE_WORDS + g * X_ROW_WORDS;
}

/* What a lane keeps through the kernel and through a chunk. */
struct mma_lane {
    unsigned id;
    mma_weights w[MMA_PRODUCTS];
    uint32_t *x;     /* the warp's [X_WORDS], shared memory */
    float hidden[3]; /* sums of what the lane has of h': 2t, 2t + 1, 8 + t */
    float own[MMA_X + 3];
};

__device__ static inline unsigned g_of(const mma_lane &lane) { return lane.id / 4; }
__device__ static inline unsigned t_of(const mma_lane &lane) { return lane.id % 4; }

/* The hidden state of a tile as this lane has it: of the eight parameters of its four lanes. */
struct mma_hidden {
    words2 first[MMA_GROUPS]; /* components 2t, 2t + 1 of rows g and g + 8 */
    words4 last;              /* [group]: component 8 + t of the two; 0 where t >= 2 */
};

__device__ static inline mma_hidden hidden_load(const float *tile, const mma_lane &lane) {
    mma_hidden h;
    CELL_UNROLL
    for (int q = 0; q < MMA_GROUPS; q++) h.first[q] = ((const words2 *)tile)[q * GPU_WARP + (int)lane.id];
    /* read by all lanes: a branch would cost registers */
    const words4 last = ((const words4 *)tile)[2 * GPU_WARP + 2 * g_of(lane) + t_of(lane) % 2];
    for (int q = 0; q < MMA_GROUPS; q++) h.last.word[q] = t_of(lane) < 2 ? last.word[q] : 0;
    return h;
}
__device__ static inline void hidden_store(float *tile, const mma_lane &lane, const mma_hidden &h) {
    CELL_UNROLL
    for (int q = 0; q < MMA_GROUPS; q++) ((words2 *)tile)[q * GPU_WARP + (int)lane.id] = h.first[q];
    if (t_of(lane) < 2) ((words4 *)tile)[2 * GPU_WARP + 2 * g_of(lane) + t_of(lane)] = h.last;
}

/* Group q of the rows, as inputs of a product and back. */
__device__ static inline mma_inputs hidden_group(const mma_hidden &h, int q) {
    return {{h.first[q].word[0], h.first[q].word[1], h.last.word[q] & 0xffffu, h.last.word[q] >> 16}};
}
__device__ static inline void hidden_set_group(mma_hidden &h, int q, const mma_inputs &a) {
    h.first[q] = {{a.word[0], a.word[1]}};
    h.last.word[q] = a.word[2] | a.word[3] << 16;
}

/* Inputs as three pairs (of rows g and g + 8), and back. */
__device__ static inline void inputs_unpack(const mma_inputs &a, vf *h) {
    h[0] = {fp16_to_float((uint16_t)a.word[0]), fp16_to_float((uint16_t)a.word[1])};
    h[1] = {fp16_to_float((uint16_t)(a.word[0] >> 16)), fp16_to_float((uint16_t)(a.word[1] >> 16))};
    h[2] = {fp16_to_float((uint16_t)a.word[2]), fp16_to_float((uint16_t)a.word[3])};
}
__device__ static inline mma_inputs inputs_pack(const vf *h) {
    return {{floats_to_fp16(h[0].x, h[1].x), floats_to_fp16(h[0].y, h[1].y), floats_to_fp16(h[2].x, 0.0f),
             floats_to_fp16(h[2].y, 0.0f)}};
}

/* A column of sums, 2t or 2t + 1, as a pair. */
__device__ static inline vf column(const mma_sums &s, int odd) { return {s.at[odd], s.at[2 + odd]}; }

/* Of numbers for the four rows of four lanes, in two groups, a lane's own. */
__device__ static inline float own_row(const mma_lane &lane, vf near, vf next) {
    const vf two = t_of(lane) & 2 ? next : near;
    return t_of(lane) & 1 ? two.y : two.x;
}
__device__ static inline vf own_rows(const mma_lane &lane, const vf *groups) {
    return {own_row(lane, groups[0], groups[1]), own_row(lane, groups[2], groups[3])};
}

__device__ static inline mma_weights weights_load(const gpu_model &m, const mma_lane &lane, int product) {
    const uint32_t *from = m.fragments + product * 2 * MMA_LANES + (int)lane.id;
    return {{from[0], from[MMA_LANES]}};
}

__device__ static inline cell_decays decays_of_hidden(lopt_dims d, const gpu_model &m, const cell_weights &w, const mma_lane &lane,
                                                      const mma_hidden &h, bool first) {
    cell_decays k;
    if (first) {
        decays_first(d, &k);
        return k;
    }
    const mma_weights weights = weights_load(m, lane, MMA_H_DECAYS); /* used here alone: no registers are kept for them */
    vf input[MMA_GROUPS], scale[MMA_GROUPS];
    __syncwarp(); /* lanes beyond n, and those with a division, come together: products are no place for a part of a warp */
    CELL_UNROLL
    for (int q = 0; q < MMA_GROUPS; q++) {
        const mma_sums s = mma(hidden_group(h, q), weights, {{0.0f, 0.0f, 0.0f, 0.0f}});
        input[q] = column(s, 0), scale[q] = column(s, 1);
    }
    decays_of_logits(d, own_rows(lane, scale) + w.scale_decay_bias, own_rows(lane, input) + w.input_decay_bias, &k);
    return k;
}

/* The features of the lane's own two parameters, each a row of inputs. */
__device__ static inline void x_write(const mma_lane &lane, const vf *x) {
    const uint32_t ones = 0x3c003c00u;
    CELL_UNROLL
    for (unsigned far = 0; far < 2; far++) {
        uint32_t word[MMA_X / 2];
        CELL_UNROLL
        for (int j = 0; j < MMA_X / 2; j++)
            word[j] = far ? floats_to_fp16(x[2 * j].y, x[2 * j + 1].y) : floats_to_fp16(x[2 * j].x, x[2 * j + 1].x);
        words4 *to = (words4 *)(lane.x + x_row(far, g_of(lane), t_of(lane)));
        to[0] = {{word[0], word[1], word[2], word[3]}};
        to[1] = {{word[4], word[5], ones, 0}};
    }
}
/* What a lane keeps behind its own two rows of inputs, as there are no registers for it: their plain directions, and the chunk's share of them. */
enum { KEPT_PLAIN, KEPT_SHARE };
__device__ static inline float &kept(const mma_lane &lane, unsigned far, int which) {
    return ((float *)(lane.x + x_row(far, g_of(lane), t_of(lane)) + X_ROW_USED))[which];
}

/* Group q of them: lanes name the rows of the four quarters, 8 x 8, that a product's inputs are. */
__device__ static inline mma_inputs x_group(const mma_lane &lane, int q) {
    const unsigned quarter = lane.id / 8, r = 2 * ((unsigned)q % 2) + quarter % 2;
    return mma_load(lane.x + x_row((unsigned)q / 2, lane.id % 8, r) + 4 * (quarter / 2));
}

/* What the readout needs of two groups' rows; the same in each of four lanes. */
struct mma_readout {
    vf direction[2], attention[2], change[2];
};

/* Rule 9 and the products of rule 10 for a group of 16 parameters. exists: of the rows. */
__device__ static inline mma_inputs gru_group(mma_lane &lane, const mma_inputs &x, const mma_inputs &old, int q, vf exists,
                                              mma_readout *out) {
    const mma_sums zero = {{0.0f, 0.0f, 0.0f, 0.0f}};
    const mma_weights *w = lane.w;
    vf h[3], rh[3];
    inputs_unpack(old, h);
    const mma_sums reset = mma(old, w[MMA_H_RESET], mma(x, w[MMA_X_RESET], zero));
    const mma_sums update = mma(old, w[MMA_H_UPDATE], mma(x, w[MMA_X_UPDATE], zero));
    const mma_sums last = mma(old, w[MMA_H_LAST], mma(x, w[MMA_X_LAST], zero));
    rh[0] = vf_sigmoid_twice(column(reset, 0)) * h[0];
    rh[1] = vf_sigmoid_twice(column(reset, 1)) * h[1];
    rh[2] = vf_sigmoid_twice(column(last, 0)) * h[2];
    const mma_inputs gated = inputs_pack(rh);
    const mma_sums candidate = mma(gated, w[MMA_RH_CANDIDATE], mma(x, w[MMA_X_CANDIDATE], zero));
    const mma_sums direction = mma(gated, w[MMA_RH_DIRECTION], mma(x, w[MMA_X_DIRECTION], zero));
    h[0] = gru_blend(vf_tanh(column(candidate, 0)), vf_sigmoid_twice(column(update, 0)), h[0]);
    h[1] = gru_blend(vf_tanh(column(candidate, 1)), vf_sigmoid_twice(column(update, 1)), h[1]);
    h[2] = gru_blend(vf_tanh(column(direction, 0)), vf_sigmoid_twice(column(last, 1)), h[2]);
    add_sums(3, h, exists, lane.hidden);
    const mma_inputs fresh = inputs_pack(h);
    const mma_sums attention = mma(fresh, w[MMA_NEW_ATTENTION], mma(x, w[MMA_X_ATTENTION], zero));
    out->direction[q % 2] = column(mma(fresh, w[MMA_NEW_DIRECTION], direction), 1);
    out->attention[q % 2] = column(attention, 0);
    out->change[q % 2] = column(attention, 1);
    return fresh;
}

/* Groups 2 far and 2 far + 1. Own: direction, attention and change of the lane's own parameter there. */
__device__ static inline void gru_half(mma_lane &lane, const chunk_work &k, unsigned t, int far, mma_hidden &h, float *own) {
    mma_readout r;
    CELL_UNROLL
    for (int q = 2 * far; q < 2 * far + 2; q++) {
        const unsigned row = t * GPU_TILE + 32 * (unsigned)far + 4 * g_of(lane) + 2 * ((unsigned)q % 2);
        hidden_set_group(h, q, gru_group(lane, x_group(lane, q), hidden_group(h, q), q, exists_of(k, row, row + 1), &r));
        __syncwarp(); /* keeps the compiler from working on all groups at once, for which there are no registers */
    }
    own[0] = own_row(lane, r.direction[0], r.direction[1]);
    own[1] = own_row(lane, r.attention[0], r.attention[1]);
    own[2] = own_row(lane, r.change[0], r.change[1]);
}

__device__ static inline cell_readout gru_tile(lopt_dims d, const cell_weights &w, mma_lane &lane, const chunk_work &k, unsigned t,
                                               vf log_lr, mma_hidden &h) {
    float near[3], far[3];
    gru_half(lane, k, t, 0, h, near);
    gru_half(lane, k, t, 1, h, far);
    return readout_of(d, &w, {near[0], far[0]}, {near[1], far[1]}, {near[2], far[2]}, log_lr);
}

/* As advance_tile of advance.cuh. */
__device__ static inline void advance_tile_mma(lopt_dims d, const gpu_model &m, const cell_weights &w, mma_lane &lane,
                                               const chunk_work &k, unsigned t) {
    const unsigned i = t * GPU_TILE + lane.id, i2 = i + GPU_WARP;
    float *words = k.tiles + t * gpu_tile_floats(d, 1), *tile = words + lane.id;
    vf x[MMA_X], gbar[MMA_S], lam[MMA_S];
    mma_hidden h = hidden_load(words, lane);
    const vf g = {gradient_of(m, k, i), gradient_of(m, k, i2)};
    const vf log_lr = begin_rates(k, mixed_state::load_rate(tile, MMA_P + 2 * MMA_S));
    for (int s = 0; s < MMA_S; s++) {
        gbar[s] = mixed_state::load_average(tile, MMA_P + s);
        lam[s] = mixed_state::load_average(tile, MMA_P + MMA_S + s);
    }
    const vf lam_before = lam[0];
    const cell_decays decays = decays_of_hidden(d, m, w, lane, h, first_step(k));
    averages_forward(d, &decays, g, gbar, lam);
    for (int s = 0; s < MMA_S; s++) {
        mixed_state::store_average(tile, MMA_P + s, gbar[s]);
        mixed_state::store_average(tile, MMA_P + MMA_S + s, lam[s]);
    }
    features_forward(d, gbar, lam, log_lr - k.mean_log_lr, x);
    __syncwarp(); /* the tile before has been read */
    x_write(lane, x);
    const vf plain = handover_direction(gbar[handover_scale(d)], lam_before);
    kept(lane, 0, KEPT_PLAIN) = plain.x, kept(lane, 1, KEPT_PLAIN) = plain.y;
    add_sums(MMA_X, x, exists_of(k, i, i2), lane.own);
    __syncwarp();
    cell_readout o = gru_tile(d, w, lane, k, t, log_lr, h);
    const float share = kept(lane, 0, KEPT_SHARE);
    if (share > 0.0f) handover_blend(&w, share, {kept(lane, 0, KEPT_PLAIN), kept(lane, 1, KEPT_PLAIN)}, log_lr, &o);
    mixed_state::store_rate(tile, MMA_P + 2 * MMA_S, o.log_lr);
    hidden_store(words, lane, h);
    store_moves(d, k, i, i2, o);
    add_readout(o, exists_of(k, i, i2), lane.own + MMA_X);
}

/* The biases of a tensor are weights of the inputs that are 1, in two parts: lanes with t = 2 have them. */
__device__ static inline void mma_begin_chunk(mma_lane &lane, const float *bias) {
    for (int j = 0; j < 3; j++) lane.hidden[j] = 0.0f;
    for (int j = 0; j < MMA_X + 3; j++) lane.own[j] = 0.0f;
    if (mma_x_of(t_of(lane), 1, 0) != MMA_ONE) return;
    CELL_UNROLL
    for (int tile = MMA_RESET; tile <= MMA_DIRECTION; tile++) {
        const mma_gate g = mma_gate_of((mma_tile)tile, (int)g_of(lane));
        const float b = g.component < 0 ? 0.0f : mma_gate_scale(g.gate) * bias[g.gate * MMA_P + g.component];
        lane.w[tile].word[1] = floats_to_fp16(b, b - fp16_to_float(float_to_fp16(b)));
    }
}

/* sums [gpu_sums]: those of h' expanded to its components, of which every lane has three. */
__device__ static inline void mma_end_chunk(const mma_lane &lane, float *sums) {
    CELL_UNROLL
    for (int c = 0; c < MMA_P; c++) {
        const unsigned owner = c < 8 ? (unsigned)c / 2 : (unsigned)c - 8;
        sums[c] = t_of(lane) == owner ? lane.hidden[c < 8 ? c % 2 : 2] : 0.0f;
    }
    CELL_UNROLL
    for (int j = 0; j < MMA_X + 3; j++) sums[MMA_P + j] = lane.own[j];
}

template <class shape> __device__ static inline void advance_chunks_mma(const gpu_model &m, const gpu_cell &cell) {
    __shared__ float part[GPU_WARPS][GPU_SUMS_MAX];
    __shared__ words4 x[GPU_WARPS][X_WORDS / 4];
    const lopt_dims d = shape::dims(m);
    const cell_weights w = cell_of(cell); /* for its scalars */
    mma_lane lane;
    if (step_skipped(m)) return;
    lane.id = gpu_lane();
    lane.x = x[gpu_warp()]->word;
    for (int i = 0; i < MMA_PRODUCTS; i++) lane.w[i] = weights_load(m, lane, i);
    GRID_FOR(chunk, m.num_chunks) {
        const gpu_chunk c = m.chunks[chunk];
        if (m.buffers[c.tensor].grads == NULL) continue;
        chunk_work k = chunk_begin(d, m, c, m.bias_param + c.tensor * padded(3 * MMA_P));
        float sums[MMA_P + MMA_X + 3];
        mma_begin_chunk(lane, k.bias);
        kept(lane, 0, KEPT_SHARE) = k.handed_over;
        for (unsigned t = gpu_warp(); t * GPU_TILE < c.n; t += GPU_WARPS) {
            asm volatile("" ::: "memory"); /* these and the weights of the decays are read anew: registers do not suffice */
            k.divisor = gradient_divisor(m);
            k.mean_log_lr = m.control->mean_log_lr;
            advance_tile_mma(d, m, w, lane, k, t);
        }
        mma_end_chunk(lane, sums);
        block_sums(sums, gpu_sums(d), busy_warps(c.n), part, m.sums + chunk * (unsigned)gpu_sums(d));
    }
}

__global__ __launch_bounds__(GPU_BLOCK, MMA_RESIDENT) void lopt_advance_attending_mma(const __grid_constant__ gpu_model m,
                                                                                      const __grid_constant__ gpu_cell c) {
    advance_chunks_mma<attending_shape>(m, c);
}
__global__ __launch_bounds__(GPU_BLOCK, MMA_RESIDENT) void lopt_advance_plain_mma(const __grid_constant__ gpu_model m,
                                                                                  const __grid_constant__ gpu_cell c) {
    advance_chunks_mma<plain_shape>(m, c);
}

void GPU_SYMBOL(gpu_load_advance_mma)(gpu_launch *l) {
    CUDA_LOAD(l, lopt_advance_attending_mma);
    CUDA_LOAD(l, lopt_advance_plain_mma);
}

void GPU_SYMBOL(gpu_advance_mma)(gpu_launch *l, const gpu_model *m, const gpu_cell *cell) {
    const unsigned grid = gpu_grid(l, m->num_chunks, MMA_RESIDENT);
    if (m->dims.attention) CUDA_LAUNCH(l, lopt_advance_attending_mma, grid, *m, *cell);
    else CUDA_LAUNCH(l, lopt_advance_plain_mma, grid, *m, *cell);
}
