/* A lane of the tensor-core kernels: what it keeps, what it multiplies, and what it gives to the others of its warp by way of shared memory. */
#ifndef LOPT_KERNELS_CUDA_MMA_LANE_CUH
#define LOPT_KERNELS_CUDA_MMA_LANE_CUH

#include "kernels/cuda/mma_state.cuh"

/* Inputs x of a tile on their way from the lanes that made them to those that multiply: rows of 8 words and 4 that are left out; rows of the same
 * place r among their four lie together. So neither way goes twice to a bank at once. */
enum { X_ROW_WORDS = 12, X_PLACE_WORDS = 8 * X_ROW_WORDS + 8, X_WORDS = 4 * X_PLACE_WORDS }; /* for each term */
__device__ static inline unsigned x_row(unsigned g, unsigned r) { return r * X_PLACE_WORDS + g * X_ROW_WORDS; }

enum { OLD_WORDS4 = MMA_GROUPS * fp32_format::steps }; /* of a lane's old state */

/* What a lane keeps through the kernel and through a chunk. */
template <class format> struct mma_lane {
    unsigned id;
    const typename format::weights *w; /* the block's [MMA_PRODUCTS][lanes]; these are shared memory */
    typename format::weights kept[format::terms == 1 ? MMA_PRODUCTS : 1]; /* the lane's, where registers suffice */
    char *x;                                                              /* the block's [GPU_WARPS][terms][X_WORDS] words */
    unsigned row, quarter,
        column;  /* places in it: the lane's row; the one of group 0 that it names; its readouts in the rows of its four lanes */
    words4 *old; /* the warp's [OLD_WORDS4][lanes], where there are two terms */
    float hidden[MMA_FIRST + 1]; /* sums of what the lane has of h' */
    float own[MMA_X + 3];        /* and of what else its parameter adds */
};

template <class format> __device__ static inline typename format::weights weights_of(const mma_lane<format> &lane, int product) {
    return format::terms == 1 ? lane.kept[product] : lane.w[product * MMA_LANES + (int)lane.id];
}

/* warp: where its words begin. */
template <class format> __device__ static inline void lane_places(unsigned warp, mma_lane<format> *lane) {
    const unsigned word = sizeof(uint32_t), g = g_of(lane->id), t = t_of(lane->id), quarter = lane->id / 8;
    lane->row = warp + word * x_row(g, t);
    lane->quarter = warp + word * (x_row(lane->id % 8, quarter % 2) + 4 * (quarter / 2));
    lane->column = warp + word * (x_row(g, 0) + t);
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

/* The old state serves twice, far apart, and to make it again takes 37 instructions. */
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
    write_four(to, words4{{word[0], word[1], word[2], word[3]}});
    write_four(to + 1, words4{{word[4], word[5], ones, 0}});
}
template <class format> __device__ static inline void x_write(const mma_lane<format> &lane, const float *x) {
    float rest[MMA_X], nothing[MMA_X];
    uint32_t *row = (uint32_t *)(lane.x + lane.row);
    x_write_row(row, x, 0x3c003c00u, rest);
    if (format::terms == 2) x_write_row(row + X_WORDS, rest, 0, nothing);
}

/* Group q of them: lanes name the rows of the four quarters, 8 x 8, that a product's inputs are. */
template <class format> __device__ static inline x_inputs<format> x_group(const mma_lane<format> &lane, int q) {
    const uint32_t *row = (const uint32_t *)(lane.x + lane.quarter) + 2 * q * X_PLACE_WORDS;
    x_inputs<format> x;
    for (int i = 0; i < format::terms; i++) x.part[i] = mma_load(row + i * X_WORDS);
    return x;
}

/* Lane t has readout t of the rows of its four lanes. own [MMA_READOUTS]: all of its own row. By way of the rows of x, which all have read. */
template <class format> __device__ static inline void own_readouts(const mma_lane<format> &lane, const mma_sums *sums, float *own) {
    __syncwarp();
    write_four((floats4 *)(lane.x + lane.row),
               floats4{{sum_at(sums[0], 0, 1), sum_at(sums[0], 1, 1), sum_at(sums[1], 0, 1), sum_at(sums[1], 1, 1)}});
    __syncwarp();
    CELL_UNROLL
    for (int j = 0; j < MMA_READOUTS; j++) own[j] = ((const float *)(lane.x + lane.column))[j * X_PLACE_WORDS];
}

#endif
