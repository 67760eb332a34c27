/* A lane of the tensor-core kernels: what it keeps, what it multiplies, and what it gives to the others of its warp by way of shared memory. */
#ifndef LOPT_KERNELS_CUDA_MMA_LANE_CUH
#define LOPT_KERNELS_CUDA_MMA_LANE_CUH

#include "kernels/cuda/mma_state.cuh"

/* Inputs x of a tile on their way from the lanes that made them to those that multiply: a row for each, and four words that are none of them; rows of
 * the same place r among their four lie together. So neither way goes twice to a bank at once. */
template <class format> CELL_FN constexpr unsigned x_place_words() { return 8 * format::x_row_words + 8; }
template <class format> CELL_FN constexpr unsigned x_words() { return 4 * x_place_words<format>(); }
template <class format> __device__ static inline unsigned x_row(unsigned g, unsigned r) {
    return r * x_place_words<format>() + g * format::x_row_words;
}

#define MMA_ONES 0x3c003c00u                           /* 1 and 1 in fp16 */
enum { OLD_WORDS4 = MMA_GROUPS * fp32_format::steps }; /* of a lane's old state */

/* What a lane keeps through the kernel and through a chunk. */
template <class format> struct mma_lane {
    unsigned id;
    const typename format::weights *w; /* the block's [weight_rows][lanes]; these are shared memory */
    typename format::weights kept[format::terms == 1 ? MMA_PRODUCTS : 1]; /* the lane's, where registers suffice */
    char *x;                                                              /* the block's [GPU_WARPS][x_words] words */
    unsigned row, quarter,
        column;  /* places in it: the lane's row; the one of group 0 that it names; its readouts in the rows of its four lanes */
    words4 *old; /* the warp's [OLD_WORDS4][lanes], where there are two terms */
    float hidden[MMA_FIRST + 1];          /* sums of what the lane has of h' */
    float features[format::feature_sums]; /* of x: mixed, its parameter's; fp32, inputs t, 4 + t and 8 + t of its four rows */
    float readouts[format::terms == 1 ? MMA_READOUTS : 1]; /* mixed: of those of its parameter; fp32: in shared memory */
};

template <class format> __device__ static inline typename format::weights weights_of(const mma_lane<format> &lane, int product) {
    return format::terms == 1 ? lane.kept[product] : lane.w[product * MMA_LANES + (int)lane.id];
}

/* warp: where its words begin. Of the rows of a group that mma_load takes together, words: mixed, the rows of place 0 and of place 1, then both four
 * words on; fp32, four words of the rows of place 0 and the four after them, then of place 1, which is how sums lie. */
template <class format> __device__ static inline void lane_places(unsigned warp, mma_lane<format> *lane) {
    const unsigned word = sizeof(uint32_t), g = g_of(lane->id), t = t_of(lane->id), part = lane->id / 8;
    const unsigned place = format::terms == 1 ? part % 2 : part / 2, four = format::terms == 1 ? part / 2 : part % 2;
    lane->row = warp + word * x_row<format>(g, t);
    lane->quarter = warp + word * (x_row<format>(lane->id % 8, place) + 4 * four);
    lane->column = warp + word * (x_row<format>(g, 0) + t);
    opaque(lane->row), opaque(lane->quarter), opaque(lane->column);
}

/* Inputs x of a group [terms]: rounded; then, what that left, rounded. */
template <class format> struct x_inputs { mma_inputs part[format::terms]; };

/* sums + x w for all groups; the largest products last. Side by side, since each of a sum's products waits for the one before. */
template <class format>
__device__ static inline void products(const mma_lane<format> &lane, int product, const x_inputs<format> *x, mma_sums *sums) {
    const typename format::weights w = weights_of(lane, product);
    CELL_UNROLL
    for (int term = format::terms - 1; term >= 0; term--) {
        CELL_UNROLL
        for (int other = format::terms - 1 - term; other >= 0; other--)
            for (int q = 0; q < MMA_GROUPS; q++)
                sums[q] = mma(x[q].part[term], {{w.word[2 * other], w.word[2 * other + 1]}}, sums[q]);
    }
}
/* sums + h w, h a state, for all groups. */
template <class format>
__device__ static inline void state_products(const mma_lane<format> &lane, int product, const typename format::state *h,
                                             mma_sums *sums) {
    const typename format::weights w = weights_of(lane, product);
    CELL_UNROLL
    for (int step = 0; step < format::steps; step++)
        for (int q = 0; q < MMA_GROUPS; q++) sums[q] = mma(format::step_inputs(h[q], step), format::step_weights(w, step), sums[q]);
}
__device__ static inline void zero(mma_sums *sums) {
    for (int q = 0; q < MMA_GROUPS; q++) sums[q] = {{0.0f, 0.0f, 0.0f, 0.0f}};
}

/* Row g (0) or g + 8 (1) of column 2t (0) or 2t + 1 (1). */
__device__ static inline float sum_at(const mma_sums &s, int row, int odd) { return s.at[2 * row + odd]; }

/* The same, of the group of which the lane has the last component. */
__device__ static inline float last_sum(unsigned lane, const mma_sums *groups, int row, int odd) {
    return group_of(lane) ? sum_at(groups[1], row, odd) : sum_at(groups[0], row, odd);
}
/* Of numbers that are the same in four lanes: those of the lane's own row. */
__device__ static inline float own_sum(unsigned lane, const mma_sums *groups, int odd) {
    return t_of(lane) % 2 ? last_sum(lane, groups, 1, odd) : last_sum(lane, groups, 0, odd);
}

/* A state as products take it. */
__device__ static inline uint32_t minus_one_of(const mma_lane<fp32_format> &lane) {
    return ((const uint32_t *)(lane.w + MMA_PRODUCTS * MMA_LANES))[lane.id];
}
__device__ static inline void states_of(const mma_lane<fp32_format> &lane, const fp32_format::hidden &h, fp32_format::state *out) {
    fp32_format::states(lane.id, minus_one_of(lane), h, out);
}
__device__ static inline void states_of(const mma_lane<mixed_format> &lane, const mixed_format::hidden &h,
                                        mixed_format::state *out) {
    mixed_format::states(lane.id, h, out);
}

/* The old state serves twice, far apart, and to make it again takes 23 instructions and the moves for them. */
__device__ static inline void old_keep(const mma_lane<fp32_format> &lane, const fp32_format::state *h) {
    for (int i = 0; i < OLD_WORDS4; i++) memcpy(&lane.old[i * MMA_LANES + (int)lane.id], &h[i / 2].step[i % 2], sizeof(words4));
}
__device__ static inline void old_kept(const mma_lane<fp32_format> &lane, const fp32_format::hidden &, fp32_format::state *h) {
    for (int i = 0; i < OLD_WORDS4; i++) memcpy(&h[i / 2].step[i % 2], &lane.old[i * MMA_LANES + (int)lane.id], sizeof(words4));
}
/* Mixed state is multiplied as it is. */
__device__ static inline void old_keep(const mma_lane<mixed_format> &, const mixed_format::state *) {}
__device__ static inline void old_kept(const mma_lane<mixed_format> &lane, const mixed_format::hidden &hidden,
                                       mixed_format::state *h) {
    mixed_format::states(lane.id, hidden, h);
}

/* Which of a tile's parameters there are, where `left` are from its first on: all in whole tiles. */
template <bool whole> __device__ static inline bool exists(unsigned left, unsigned i) { return whole || i < left; }
/* Row g (0) or g + 8 (1) of a group. */
template <bool whole> __device__ static inline bool row_exists(unsigned lane, unsigned left, int q, int row) {
    return exists<whole>(left, 4 * g_of(lane) + 2 * (unsigned)q + (unsigned)row);
}

/* The features of the lane's own parameter, into its row; and a group's rows of them, as products take them. Mixed: rounded by who made them, and four
 * quarters, 8 x 8, of a product's inputs at once. fp32: split by who multiplies, for which halves come as sums lie. */
__device__ static inline void x_write(const mma_lane<mixed_format> &lane, const float *x) {
    uint32_t word[MMA_X / 2];
    CELL_UNROLL
    for (int j = 0; j < MMA_X / 2; j++) word[j] = floats_to_fp16(x[2 * j], x[2 * j + 1]);
    words4 *to = (words4 *)(lane.x + lane.row);
    write_four(to, words4{{word[0], word[1], word[2], word[3]}});
    write_four(to + 1, words4{{word[4], word[5], MMA_ONES, 0}});
}
__device__ static inline void x_write(const mma_lane<fp32_format> &lane, const float *x) {
    floats4 *to = (floats4 *)(lane.x + lane.row);
    CELL_UNROLL
    for (int j = 0; j < MMA_X; j += 4) write_four(to + j / 4, floats4{{x[j], x[j + 1], x[j + 2], x[j + 3]}});
}
template <bool whole> __device__ static inline void x_read(mma_lane<mixed_format> &lane, unsigned, x_inputs<mixed_format> *x) {
    const uint32_t *rows = (const uint32_t *)(lane.x + lane.quarter);
    CELL_UNROLL
    for (int q = 0; q < MMA_GROUPS; q++) x[q].part[0] = mma_load(rows + 2 * q * (int)x_place_words<mixed_format>());
}
template <bool whole> __device__ static inline void x_read(mma_lane<fp32_format> &lane, unsigned left, x_inputs<fp32_format> *x) {
    const uint32_t *rows = (const uint32_t *)(lane.x + lane.quarter);
    const uint32_t minus_one = minus_one_of(lane);
    CELL_UNROLL
    for (int i = 0; i < 2 * MMA_GROUPS; i++) {
        const int q = i / 2, half = i % 2;
        const mma_sums numbers = sums_of(mma_load(rows + 2 * q * (int)x_place_words<fp32_format>() + 8 * half));
        for (int row = 0; row < 2; row++)
            add_sums(2 - half, &numbers.at[2 * row], row_exists<whole>(lane.id, left, q, row), lane.features + 2 * half);
        const split_rows s = split(numbers, minus_one);
        for (int row = 0; row < 2; row++) {
            x[q].part[0].word[2 * half + row] = s.rounded[row];
            x[q].part[1].word[2 * half + row] = s.left[row];
        }
    }
}
/* Inputs after the features, of which tiles write none: 1, 1, 0, 0. */
__device__ static inline void x_begin(const mma_lane<fp32_format> &lane) {
    write_four((floats4 *)(lane.x + lane.row) + MMA_X / 4, floats4{{1.0f, 1.0f, 0.0f, 0.0f}});
}
__device__ static inline void x_begin(const mma_lane<mixed_format> &) {}

/* Sums of readouts [3]: mixed, in registers; fp32, which has none left for them, in the four words after the lane's row of x. */
__device__ static inline floats4 *readouts_at(const mma_lane<fp32_format> &lane) { return (floats4 *)(lane.x + lane.row) + 4; }
__device__ static inline void readouts_begin(mma_lane<fp32_format> &lane) {
    write_four(readouts_at(lane), floats4{{0.0f, 0.0f, 0.0f, 0.0f}});
}
__device__ static inline void readouts_begin(mma_lane<mixed_format> &lane) {
    for (int j = 0; j < MMA_READOUTS; j++) lane.readouts[j] = 0.0f;
}
__device__ static inline void readouts_add(mma_lane<fp32_format> &lane, const cell_readout &o, bool exists) {
    floats4 sums = read_four(readouts_at(lane));
    add_readout(o, exists, sums.at);
    write_four(readouts_at(lane), sums);
}
__device__ static inline void readouts_add(mma_lane<mixed_format> &lane, const cell_readout &o, bool exists) {
    add_readout(o, exists, lane.readouts);
}
__device__ static inline void readouts_end(const mma_lane<fp32_format> &lane, float *out) {
    const floats4 sums = read_four(readouts_at(lane));
    for (int j = 0; j < MMA_READOUTS; j++) out[j] = sums.at[j];
}
__device__ static inline void readouts_end(const mma_lane<mixed_format> &lane, float *out) {
    for (int j = 0; j < MMA_READOUTS; j++) out[j] = lane.readouts[j];
}

/* Lane t has readout t of the rows of its four lanes. own [MMA_READOUTS]: all of its own row. By way of the rows of x, which all have read. */
template <class format> __device__ static inline void own_readouts(const mma_lane<format> &lane, const mma_sums *sums, float *own) {
    __syncwarp();
    write_four((floats4 *)(lane.x + lane.row),
               floats4{{sum_at(sums[0], 0, 1), sum_at(sums[0], 1, 1), sum_at(sums[1], 0, 1), sum_at(sums[1], 1, 1)}});
    __syncwarp();
    CELL_UNROLL
    for (int j = 0; j < MMA_READOUTS; j++) own[j] = ((const float *)(lane.x + lane.column))[j * (int)x_place_words<format>()];
}

#endif
