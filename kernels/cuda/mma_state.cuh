/* The default cell's state between memory and products, for both kinds of state. A lane has, of the hidden state, components 2t and 2t + 1 of the
 * four parameters of its four lanes, and component 8 + t % 2 of two of them; and the averages of its own. Operands of products are fp16 numbers, so that
 *   mixed state, which is kept in them, is multiplied as it is;
 *   fp32 state is split into a sum of two, as are its weights, and of their four products the three largest are taken (mma_cell.h): 22
 *   bits of each number, or 3e-8 where it is below 1/8. */
#ifndef LOPT_KERNELS_CUDA_MMA_STATE_CUH
#define LOPT_KERNELS_CUDA_MMA_STATE_CUH

#include "kernels/cuda/advance.cuh"
#include "kernels/cuda/mma.cuh"

enum { MMA_FIRST = 2 }; /* components of a lane in all rows; one more, the last, is that of the rows of group_of(lane) */

__device__ static inline unsigned g_of(unsigned lane) { return lane / 4; }
__device__ static inline unsigned t_of(unsigned lane) { return lane % 4; }
__device__ static inline int group_of(unsigned lane) { return (int)(t_of(lane) / 2); }

/* A lane's numbers of a state, of rows g and g + 8 of each group. */
struct mma_components {
    float first[MMA_GROUPS][2][MMA_FIRST], last[2];
};

/* Numbers of rows g and g + 8, columns 2t and 2t + 1, as sums of two: rounded, and what that left of them, rounded. */
struct split_rows {
    uint32_t rounded[2], left[2];
};
__device__ static inline split_rows split(const mma_sums &numbers, uint32_t minus_one) {
    split_rows s;
    CELL_UNROLL
    for (int row = 0; row < 2; row++) s.rounded[row] = floats_to_fp16(numbers.at[2 * row], numbers.at[2 * row + 1]);
    const mma_sums left = mma_left(numbers, s.rounded, minus_one);
    CELL_UNROLL
    for (int row = 0; row < 2; row++) s.left[row] = floats_to_fp16(left.at[2 * row], left.at[2 * row + 1]);
    return s;
}
__device__ static inline mma_sums sums_of(const floats4 &v) { return {{v.at[0], v.at[1], v.at[2], v.at[3]}}; }
__device__ static inline mma_sums sums_of(const mma_inputs &bits) {
    return {{bits_to_float(bits.word[0]), bits_to_float(bits.word[1]), bits_to_float(bits.word[2]), bits_to_float(bits.word[3])}};
}

/* Averages and the log learning rate of a lane's own parameter. */
struct own_state {
    float gbar[MMA_S], lam[MMA_S], log_lr;
};

/* terms: numbers that an input is the sum of. words: what a lane has of a tile; hidden: a state as it is kept; state: what a group's products of one
 * take, `steps` operations. sigmoid, tanh: of sums scaled by mma_gate_scale; gated: r h over mma_gated_scale. `tile`: where it begins. Every lane must
 * come to `states`. */
struct mixed_format {
    static const int mixed = 1, terms = 1, steps = 1, weight_rows = MMA_PRODUCTS;
    static const int feature_sums = MMA_X;
    static const unsigned x_row_words = 12;                            /* of 8, pairs of inputs */
    static const unsigned floats = GPU_TILE * (MMA_P / 2 + MMA_S + 1); /* of a tile */
    typedef words2 weights;                                            /* of a lane, for one product */
    static __device__ float sigmoid(float sum) { return vf_sigmoid_twice(sum); }
    static __device__ float tanh(float sum) { return vf_tanh(sum); }
    static __device__ float gated(float sum, float h) { return h + h * vf_tanh(sum); }
    struct hidden {
        words4 first;  /* [group][row]: components 2t, 2t + 1 */
        uint32_t last; /* both rows */
    };
    struct words {
        words4 first, average;
        words2 last; /* and the log learning rate */
    };
    static __device__ words load(const float *tile, unsigned lane) {
        const words4 *fours = (const words4 *)tile + lane;
        return {read_once(fours), read_once(fours + MMA_LANES), read_once((const words2 *)(tile + 2 * 4 * MMA_LANES) + lane)};
    }
    static __device__ hidden hidden_of(const words &w) { return {w.first, w.last.word[0]}; }
    static __device__ own_state own_of(const words &w) {
        own_state o;
        for (int s = 0; s < MMA_S; s++)
            o.gbar[s] = bf16_to_float((uint16_t)w.average.word[s]), o.lam[s] = bf16_to_float((uint16_t)(w.average.word[s] >> 16));
        o.log_lr = bits_to_float(w.last.word[1]);
        return o;
    }
    static __device__ void store_averages(float *tile, unsigned lane, const own_state &o) {
        words4 average;
        for (int s = 0; s < MMA_S; s++) average.word[s] = floats_to_bf16(o.gbar[s], o.lam[s]);
        write_once((words4 *)tile + MMA_LANES + lane, average);
    }
    static __device__ void store_rest(float *tile, unsigned lane, const hidden &h, float log_lr) {
        const words2 last = {{h.last, float_to_bits(log_lr)}};
        write_once((words4 *)tile + lane, h.first);
        write_once((words2 *)(tile + 2 * 4 * MMA_LANES) + lane, last);
    }
    static __device__ mma_components get(const hidden &h) {
        mma_components c;
        CELL_UNROLL
        for (int row = 0; row < 2; row++) {
            for (int q = 0; q < MMA_GROUPS; q++)
                for (int j = 0; j < MMA_FIRST; j++)
                    c.first[q][row][j] = fp16_to_float((uint16_t)(h.first.word[2 * q + row] >> 16 * j));
            c.last[row] = fp16_to_float((uint16_t)(h.last >> 16 * row));
        }
        return c;
    }
    static __device__ hidden set(const mma_components &c) {
        hidden h;
        CELL_UNROLL
        for (int q = 0; q < MMA_GROUPS; q++)
            for (int row = 0; row < 2; row++) h.first.word[2 * q + row] = floats_to_fp16(c.first[q][row][0], c.first[q][row][1]);
        h.last = floats_to_fp16(c.last[0], c.last[1]);
        return h;
    }
    typedef mma_inputs state;
    static __device__ void states(unsigned lane, const hidden &h, state *out) {
        CELL_UNROLL
        for (int q = 0; q < MMA_GROUPS; q++) {
            const uint32_t last = group_of(lane) == q ? h.last : 0; /* the others' are lanes t + 2's or t - 2's */
            out[q] = {{h.first.word[2 * q], h.first.word[2 * q + 1], last & 0xffffu, last >> 16}};
        }
    }
    static __device__ mma_inputs step_inputs(const state &a, int) { return a; }
    static __device__ mma_weights step_weights(const weights &w, int) { return {{w.word[0], w.word[1]}}; }
};

struct fp32_format {
    static const int mixed = 0, terms = 2, steps = 2,
                     weight_rows = MMA_PRODUCTS + 1; /* one more, whose first words are mma_minus_one */
    static const int feature_sums = MMA_X / 4;
    static const unsigned x_row_words = 20;                            /* of 16, inputs in fp32 */
    static const unsigned floats = GPU_TILE * (MMA_P + 2 * MMA_S + 1); /* of a tile */
    typedef words4 weights;                                            /* [term][register] */
    static __device__ float sigmoid(float sum) { return vf_rcp(1.0f + vf_exp2_fast(sum)); }
    static __device__ float tanh(float sum) { return 1.0f - 2.0f * vf_rcp(1.0f + vf_exp2_fast(sum)); }
    static __device__ float gated(float sum, float h) { return sigmoid(sum) * h; }
    struct hidden {
        floats4 first[MMA_GROUPS]; /* [row][component], as sums are */
        floats2 last;
    };
    struct words {
        hidden h;
        floats4 average, square;
        float log_lr;
    };
    static __device__ words load(const float *tile, unsigned lane) {
        const floats4 *fours = (const floats4 *)tile + lane;
        return {{{read_once(fours), read_once(fours + MMA_LANES)}, read_once((const floats2 *)(tile + 4 * 4 * MMA_LANES) + lane)},
                read_once(fours + 2 * MMA_LANES),
                read_once(fours + 3 * MMA_LANES),
                read_once(tile + (4 * 4 + 2) * MMA_LANES + lane)};
    }
    static __device__ hidden hidden_of(const words &w) { return w.h; }
    static __device__ own_state own_of(const words &w) {
        own_state o;
        for (int s = 0; s < MMA_S; s++) o.gbar[s] = w.average.at[s], o.lam[s] = w.square.at[s];
        o.log_lr = w.log_lr;
        return o;
    }
    static __device__ void store_averages(float *tile, unsigned lane, const own_state &o) {
        floats4 average, square;
        for (int s = 0; s < MMA_S; s++) average.at[s] = o.gbar[s], square.at[s] = o.lam[s];
        write_once((floats4 *)tile + 2 * MMA_LANES + lane, average);
        write_once((floats4 *)tile + 3 * MMA_LANES + lane, square);
    }
    static __device__ void store_rest(float *tile, unsigned lane, const hidden &h, float log_lr) {
        CELL_UNROLL
        for (int q = 0; q < MMA_GROUPS; q++) write_once((floats4 *)tile + q * MMA_LANES + (int)lane, h.first[q]);
        write_once((floats2 *)(tile + 4 * 4 * MMA_LANES) + lane, h.last);
        write_once(tile + (4 * 4 + 2) * MMA_LANES + lane, log_lr);
    }
    static __device__ mma_components get(const hidden &h) {
        mma_components c;
        CELL_UNROLL
        for (int row = 0; row < 2; row++) {
            for (int q = 0; q < MMA_GROUPS; q++)
                for (int j = 0; j < MMA_FIRST; j++) c.first[q][row][j] = h.first[q].at[2 * row + j];
            c.last[row] = h.last.at[row];
        }
        return c;
    }
    static __device__ hidden set(const mma_components &c) {
        hidden h;
        CELL_UNROLL
        for (int row = 0; row < 2; row++) {
            for (int q = 0; q < MMA_GROUPS; q++)
                for (int j = 0; j < MMA_FIRST; j++) h.first[q].at[2 * row + j] = c.first[q][row][j];
            h.last.at[row] = c.last[row];
        }
        return h;
    }
    struct state {
        mma_inputs step[2];
    };
    /* Lanes t and t + 2 give each other their last, split, for each multiplies both groups' of it. */
    static __device__ void states(unsigned lane, uint32_t minus_one, const hidden &h, state *out) {
        const uint32_t rounded = floats_to_fp16(h.last.at[0], h.last.at[1]);
        CELL_UNROLL
        for (int q = 0; q < MMA_GROUPS; q++) {
            const split_rows first = split(sums_of(h.first[q]), minus_one);
            for (int row = 0; row < 2; row++) {
                out[q].step[0].word[row] = out[q].step[1].word[row] = first.rounded[row];
                out[q].step[1].word[2 + row] = first.left[row];
            }
        }
        CELL_UNROLL
        for (int row = 0; row < 2; row++) {
            const float last = h.last.at[row];
            const uint32_t mine = floats_to_fp16(last, last - fp16_to_float((uint16_t)(rounded >> 16 * row)));
            const uint32_t others = __shfl_xor_sync(0xffffffffu, mine, 2);
            for (int q = 0; q < MMA_GROUPS; q++) out[q].step[0].word[2 + row] = group_of(lane) == q ? mine : others;
        }
    }
    static __device__ mma_inputs step_inputs(const state &a, int step) { return a.step[step]; }
    static __device__ mma_weights step_weights(const weights &w, int step) { return {{w.word[2 * step], w.word[2 * step + 1]}}; }
};

#endif
