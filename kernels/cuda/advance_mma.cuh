/* Phase 1 on the default cell by tensor cores: chunks, and the kernels. */
#ifndef LOPT_KERNELS_CUDA_ADVANCE_MMA_CUH
#define LOPT_KERNELS_CUDA_ADVANCE_MMA_CUH

#include "kernels/cuda/advance_mma.h"
#include "kernels/cuda/fused.cuh"
#include "kernels/cuda/mma_tile.cuh"

/* The shapes of default cells, constants to the compiler. Tensor and global sizes do not matter here. */
struct attending_shape {
    static __device__ lopt_dims dims() { return {10, 30, 20, 4, 1, 1, 1, 1}; }
};
struct plain_shape {
    static __device__ lopt_dims dims() { return {10, 30, 20, 4, 0, 1, 1, 1}; }
};

template <class format> __device__ static inline void mma_begin_chunk(mma_lane<format> &lane) {
    for (int j = 0; j < MMA_FIRST + 1; j++) lane.hidden[j] = 0.0f;
    for (int j = 0; j < format::feature_sums; j++) lane.features[j] = 0.0f;
    readouts_begin(lane);
    x_begin(lane);
}

/* The block's weights: rounded, and where there are two terms, what that has left of them. */
template <class format> __device__ static inline void weights_load(const gpu_model &m, typename format::weights *w) {
    for (unsigned i = threadIdx.x; i < MMA_PRODUCTS * MMA_LANES; i += GPU_BLOCK) {
        const unsigned at = i / MMA_LANES * 2 * MMA_LANES + i % MMA_LANES;
        CELL_UNROLL
        for (int j = 0; j < 2 * format::terms; j++)
            w[i].word[j] = m.fragments[j / 2 * MMA_FRAGMENT_WORDS + j % 2 * MMA_LANES + (int)at];
    }
    if (format::terms == 2 && threadIdx.x < MMA_LANES)
        ((uint32_t *)(w + MMA_PRODUCTS * MMA_LANES))[threadIdx.x] = mma_minus_one(threadIdx.x);
}
/* The biases of a tensor are weights of the inputs that are 1, in two parts. Every thread must come. */
static_assert((int)MMA_X_RESET == (int)MMA_RESET && (int)MMA_X_READOUT == (int)MMA_READOUT,
              "a sum's bias goes with its product of x");
template <class format> __device__ static inline void weights_bias(const float *bias, typename format::weights *w) {
    unsigned thread = threadIdx.x;
    opaque(thread); /* or what follows from it would be kept from chunk to chunk, in registers that tiles need */
    for (unsigned i = thread; i < (MMA_READOUT + 1) * MMA_COLUMNS; i += GPU_BLOCK) {
        const mma_gate g = mma_gate_of((mma_tile)(i / MMA_COLUMNS), (int)(i % MMA_COLUMNS));
        if (g.component < 0) continue;
        const float b = mma_held(mma_gate_scale(format::terms, g.gate) * bias[g.gate * MMA_P + g.component]);
        const uint32_t parts = floats_to_fp16(b, b - fp16_to_float(float_to_fp16(b)));
        typename format::weights *column = w + i / MMA_COLUMNS * MMA_LANES + 4 * (i % MMA_COLUMNS);
        if (format::terms == 1) column[2].word[1] = parts;
        else
            for (int j = 0; j < 2; j++) column[j].word[1] = (column[j].word[1] & 0xffffu) | parts >> 16 * j << 16;
    }
    __syncthreads();
}

/* sums [gpu_sums]: those of h' expanded to its components, and with fp32 state those of x to its inputs, of which every lane has three. */
template <class format> __device__ static inline void mma_end_chunk(const mma_lane<format> &lane, float *sums) {
    const unsigned t = t_of(lane.id);
    CELL_UNROLL
    for (int c = 0; c < MMA_P; c++) {
        const bool mine = c < 8 ? t == (unsigned)c / 2 : t % 2 == (unsigned)c - 8;
        sums[c] = mine ? lane.hidden[c < 8 ? c % 2 : MMA_FIRST] : 0.0f;
    }
    CELL_UNROLL
    for (int j = 0; j < MMA_X; j++)
        sums[MMA_P + j] = format::terms == 1 ? lane.features[j] : t == (unsigned)j % 4 ? lane.features[j / 4] : 0.0f;
    readouts_end(lane, sums + MMA_P + MMA_X);
}

/* The cell's numbers, where its products are the tensor cores'. */
__device__ static inline cell_weights numbers_of(const gpu_model &m) {
    cell_weights w = {};
    w.momentum = m.cell.momentum, w.step_offset = m.cell.step_offset;
    return w;
}

/* A block's memory while it is at tiles; shared. */
template <class format> struct mma_scratch {
    words4 x[GPU_WARPS][x_words<format>() / 4], old[GPU_WARPS][format::terms == 2 ? OLD_WORDS4 * MMA_LANES : 1];
    chunk_work chunk; /* where there are two terms, which leave no registers for it */
    float *sums;      /* where the chunk's go */
    uint32_t number;  /* the chunk's */
    float part[GPU_WARPS][GPU_SUMS_MAX];
};

/* Returns the chunk's number, which tiles leave no register for. */
template <class format, class meanwhile>
__device__ static inline uint32_t advance_chunk_mma(lopt_dims d, const gpu_model &m, const cell_weights &w, mma_lane<format> &lane,
                                                    unsigned warp, typename format::weights *weights, mma_scratch<format> *s,
                                                    uint32_t chunk, const gpu_chunk &c, const meanwhile &before_sums) {
    const bool shares = format::terms == 2;
    chunk_work own;
    const chunk_work &k = shares ? s->chunk : own;
    float sums[MMA_P + MMA_X + 3];
    if (!shares) own = chunk_begin(d, m, c);
    if (team_rank() == 0) {
        if (shares) s->chunk = chunk_begin(d, m, c);
        s->sums = m.sums + (uint64_t)chunk * (unsigned)gpu_sums(d);
        s->number = chunk;
    }
    mma_begin_chunk(lane);
    weights_bias<format>(m.bias_param + c.tensor * padded(3 * d.param), weights);
    if (format::terms == 1)
        for (int i = 0; i < MMA_PRODUCTS; i++) lane.kept[i] = weights[i * MMA_LANES + (int)lane.id];
    advance_tiles(d, m, w, lane, k, warp);
    before_sums();
    mma_end_chunk(lane, sums);
    const uint32_t number = s->number;
    block_sums(sums, gpu_sums(d), busy_warps(k.n), s->part, s->sums);
    return number;
}

/* Nothing that depends on a step. Returns the warp. */
template <class format>
__device__ static inline unsigned lane_begin(const gpu_model &m, typename format::weights *weights, mma_scratch<format> *s,
                                             mma_lane<format> *lane) {
    unsigned warp = gpu_warp();
    lane->id = gpu_lane();
    if (format::terms == 1) opaque(warp); /* two terms leave no register for it */
    opaque(lane->id);
    lane->x = (char *)s->x;
    lane_places(warp * sizeof s->x[0], lane);
    lane->old = s->old[warp];
    lane->w = weights;
    weights_load<format>(m, weights);
    __syncthreads();
    return warp;
}

template <class shape, class format> __device__ static inline void advance_chunks_mma(const gpu_model &m) {
    __shared__ struct {
        typename format::weights weights[format::weight_rows * MMA_LANES];
        mma_scratch<format> tiles;
    } s;
    mma_lane<format> lane;
    const cell_weights w = numbers_of(m);
    const unsigned warp = lane_begin(m, s.weights, &s.tiles, &lane);
    step_follows();
    if (step_skipped(m)) return;
    for (uint32_t chunk = blockIdx.x; chunk < (uint32_t)m.num_chunks; chunk += gridDim.x) { /* fewer than GPU_CHUNKS_MAX */
        const gpu_chunk c = m.chunks[chunk];
        if (chunk + gridDim.x >= (uint32_t)m.num_chunks) step_leads();
        if (m.buffers[c.tensor].grads == NULL) continue;
        chunk = advance_chunk_mma(shape::dims(), m, w, lane, warp, s.weights, &s.tiles, chunk, c, [] {});
    }
}

/* And all that follows. The levels work where tiles did; each ends with a barrier. */
template <class shape, class format> __device__ static inline void step_mma(const gpu_model &m) {
    __shared__ struct {
        typename format::weights weights[format::weight_rows * MMA_LANES];
        union {
            mma_scratch<format> tiles;
            level_scratch level;
        };
        fused_words words;
    } s;
    mma_lane<format> lane;
    const cell_weights w = numbers_of(m);
    const unsigned warp = lane_begin(m, s.weights, &s.tiles, &lane);
    step_follows();
    const bool skipped = step_skipped(m);
    if (skipped && blockIdx.x == 0 && threadIdx.x == 0) count_skipped(m);
    if (skipped) return;
    const gpu_moves moves = gpu_moves_of(shape::dims(), format::mixed);
    fused_step(m, moves, &s.words, &s.level, [&](uint32_t chunk, const gpu_chunk &c, const auto &before_sums) {
        advance_chunk_mma(shape::dims(), m, w, lane, warp, s.weights, &s.tiles, chunk, c, before_sums);
    });
}

/* The kernels on one format, and the host's side; blocks on a multiprocessor. */
#define ADVANCE_MMA_KERNELS(shape, suffix, format, resident)                                                            \
    __global__ __launch_bounds__(GPU_BLOCK, resident) void lopt_advance_##suffix(const __grid_constant__ gpu_model m) { \
        advance_chunks_mma<shape, format>(m);                                                                           \
    }                                                                                                                   \
    __global__ __launch_bounds__(GPU_BLOCK, resident) void lopt_step_##suffix(const __grid_constant__ gpu_model m) {    \
        step_mma<shape, format>(m);                                                                                     \
    }
#define ADVANCE_MMA(suffix, format, resident)                                                     \
    ADVANCE_MMA_KERNELS(attending_shape, attending_##suffix, format, resident)                    \
    ADVANCE_MMA_KERNELS(plain_shape, plain_##suffix, format, resident)                            \
    void GPU_SYMBOL(gpu_load_advance_##suffix)(gpu_launch * l) {                                  \
        CUDA_LOAD(l, lopt_advance_attending_##suffix);                                            \
        CUDA_LOAD(l, lopt_advance_plain_##suffix);                                                \
        CUDA_LOAD(l, lopt_step_attending_##suffix);                                               \
        CUDA_LOAD(l, lopt_step_plain_##suffix);                                                   \
    }                                                                                             \
    void GPU_SYMBOL(gpu_advance_##suffix)(gpu_launch * l, const gpu_model *m) {                   \
        const unsigned grid = gpu_grid(l, m->num_chunks, resident);                               \
        if (m->dims.attention && m->work) CUDA_FOLLOW(l, lopt_step_attending_##suffix, grid, *m); \
        else if (m->work) CUDA_FOLLOW(l, lopt_step_plain_##suffix, grid, *m);                     \
        else if (m->dims.attention) CUDA_FOLLOW(l, lopt_advance_attending_##suffix, grid, *m);    \
        else CUDA_FOLLOW(l, lopt_advance_plain_##suffix, grid, *m);                               \
    }

#endif
