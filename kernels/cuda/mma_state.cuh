/* The default cell's state between memory and products, for both kinds of state. A lane has three components of the hidden state, 2t, 2t + 1 and
 * 8 + t, of the four parameters of its four lanes (where t >= 2, the last is another's, multiplied by zeros and not stored), and the averages of
 * its own; operands of products are fp16 numbers, so that
 *   mixed state, which is kept in them, is multiplied as it is;
 *   fp32 state is split into a sum of two, as are its weights, and of their four products the three largest are taken: 22 bits of
 *   each number, or 3e-8 where it is below 1/8. */
#ifndef LOPT_KERNELS_CUDA_MMA_STATE_CUH
#define LOPT_KERNELS_CUDA_MMA_STATE_CUH

#include "kernels/cuda/advance.cuh"
#include "kernels/cuda/mma.cuh"

struct alignas(8) words2 {
    uint32_t word[2];
};
struct alignas(16) words4 {
    uint32_t word[4];
};

enum { MMA_OWN = 3 }; /* components of a lane */

__device__ static inline unsigned g_of(unsigned lane) { return lane / 4; }
__device__ static inline unsigned t_of(unsigned lane) { return lane % 4; }

/* A lane's components of rows g and g + 8 of a group. */
struct mma_rows {
    float at[2][MMA_OWN];
};

/* Rounded to inputs of a product, and inputs back. */
__device__ static inline mma_inputs inputs_pack(const mma_rows &h) {
    return {{floats_to_fp16(h.at[0][0], h.at[0][1]), floats_to_fp16(h.at[1][0], h.at[1][1]), floats_to_fp16(h.at[0][2], 0.0f),
             floats_to_fp16(h.at[1][2], 0.0f)}};
}
__device__ static inline mma_rows inputs_unpack(const mma_inputs &a) {
    mma_rows h;
    CELL_UNROLL
    for (int row = 0; row < 2; row++) {
        h.at[row][0] = fp16_to_float((uint16_t)a.word[row]);
        h.at[row][1] = fp16_to_float((uint16_t)(a.word[row] >> 16));
        h.at[row][2] = fp16_to_float((uint16_t)a.word[2 + row]);
    }
    return h;
}

/* An operand [terms]: the numbers, rounded; then, what that left, rounded. */
template <int terms> struct mma_operand { mma_inputs part[terms]; };
template <int terms> __device__ static inline mma_operand<terms> operand_of(const mma_rows &h) {
    mma_operand<terms> a;
    a.part[0] = inputs_pack(h);
    if (terms == 2) {
        mma_rows rest = inputs_unpack(a.part[0]);
        CELL_UNROLL
        for (int row = 0; row < 2; row++)
            for (int j = 0; j < MMA_OWN; j++) rest.at[row][j] = h.at[row][j] - rest.at[row][j];
        a.part[terms - 1] = inputs_pack(rest);
    }
    return a;
}

/* Averages and the log learning rate of a lane's own parameter. */
struct own_state {
    float gbar[MMA_S], lam[MMA_S], log_lr;
};

/* terms: numbers that an operand is the sum of. sigmoid, tanh: of sums scaled by mma_gate_scale. `tile`: where it begins. */
struct mixed_format {
    static const int mixed = 1, terms = 1;
    static const unsigned floats = GPU_TILE * (MMA_P / 2 + MMA_S + 1); /* of a tile */
    typedef words2 weights;                                            /* of a lane, for one product */
    static __device__ float sigmoid(float sum) { return vf_sigmoid_twice(sum); }
    static __device__ float tanh(float sum) { return vf_tanh(sum); }
    struct hidden {
        words2 first[MMA_GROUPS]; /* components 2t, 2t + 1 of rows g and g + 8 */
        words2 last;              /* [group]: component 8 + t of the two */
    };
    static __device__ hidden load_hidden(const float *tile, unsigned lane) {
        hidden h;
        CELL_UNROLL
        for (int q = 0; q < MMA_GROUPS; q++) h.first[q] = read_once((const words2 *)tile + q * MMA_LANES + (int)lane);
        h.last = read_once((const words2 *)tile + MMA_GROUPS * MMA_LANES + 2 * g_of(lane) + t_of(lane) % 2);
        return h;
    }
    static __device__ void store_hidden(float *tile, unsigned lane, const hidden &h) {
        CELL_UNROLL
        for (int q = 0; q < MMA_GROUPS; q++) write_once((words2 *)tile + q * MMA_LANES + (int)lane, h.first[q]);
        if (t_of(lane) < 2) write_once((words2 *)tile + MMA_GROUPS * MMA_LANES + 2 * g_of(lane) + t_of(lane), h.last);
    }
    struct own_words {
        uint32_t average[MMA_S];
        float log_lr;
    };
    static __device__ own_words load_own(const float *tile, unsigned lane) {
        own_words w;
        for (int s = 0; s < MMA_S; s++)
            w.average[s] = read_once((const uint32_t *)tile + MMA_HIDDEN_WORDS + s * MMA_LANES + (int)lane);
        w.log_lr = read_once(tile + MMA_HIDDEN_WORDS + MMA_S * MMA_LANES + (int)lane);
        return w;
    }
    static __device__ own_state own(const own_words &w) {
        own_state o;
        for (int s = 0; s < MMA_S; s++)
            o.gbar[s] = bf16_to_float((uint16_t)w.average[s]), o.lam[s] = bf16_to_float((uint16_t)(w.average[s] >> 16));
        o.log_lr = w.log_lr;
        return o;
    }
    static __device__ void store_averages(float *tile, unsigned lane, const own_state &o) {
        for (int s = 0; s < MMA_S; s++)
            write_once((uint32_t *)tile + MMA_HIDDEN_WORDS + s * MMA_LANES + (int)lane, floats_to_bf16(o.gbar[s], o.lam[s]));
    }
    static __device__ void store_rate(float *tile, unsigned lane, float log_lr) {
        write_once(tile + MMA_HIDDEN_WORDS + MMA_S * MMA_LANES + (int)lane, log_lr);
    }
    /* Group q of the rows. */
    static __device__ mma_operand<terms> operand(const hidden &h, int q) {
        return {{{{h.first[q].word[0], h.first[q].word[1], h.last.word[q] & 0xffffu, h.last.word[q] >> 16}}}};
    }
    static __device__ mma_rows get(const hidden &h, int q) { return inputs_unpack(operand(h, q).part[0]); }
    static __device__ void set(hidden &h, int q, const mma_rows &, const mma_operand<terms> &from) {
        const mma_inputs &a = from.part[0];
        h.first[q] = {{a.word[0], a.word[1]}};
        h.last.word[q] = a.word[2] | a.word[3] << 16;
    }
};

struct fp32_format {
    static const int mixed = 0, terms = 2;
    static const unsigned floats = GPU_TILE * (MMA_P + 2 * MMA_S + 1); /* of a tile */
    typedef words4 weights;                                            /* rounded, and what that has left */
    static __device__ float sigmoid(float sum) { return vf_rcp(1.0f + vf_exp2_fast(sum)); }
    static __device__ float tanh(float sum) { return 1.0f - 2.0f * vf_rcp(1.0f + vf_exp2_fast(sum)); }
    struct hidden {
        floats4 at[MMA_OWN]; /* [component]: of the four rows, which are neighbours in memory */
    };
    /* Where component j of the lane's rows is, in fours. */
    static __device__ unsigned place(unsigned lane, int j) {
        return j < 2 ? (unsigned)j * MMA_LANES + lane : 2 * MMA_LANES + 2 * g_of(lane) + t_of(lane) % 2;
    }
    static __device__ hidden load_hidden(const float *tile, unsigned lane) {
        hidden h;
        CELL_UNROLL
        for (int j = 0; j < MMA_OWN; j++) h.at[j] = read_once((const floats4 *)tile + place(lane, j));
        return h;
    }
    static __device__ void store_hidden(float *tile, unsigned lane, const hidden &h) {
        CELL_UNROLL
        for (int j = 0; j < MMA_OWN; j++)
            if (j < 2 || t_of(lane) < 2) write_once((floats4 *)tile + place(lane, j), h.at[j]);
    }
    typedef own_state own_words;
    static __device__ own_words load_own(const float *tile, unsigned lane) {
        own_words o;
        for (int s = 0; s < MMA_S; s++) {
            o.gbar[s] = read_once(tile + (MMA_P + s) * GPU_TILE + (int)lane);
            o.lam[s] = read_once(tile + (MMA_P + MMA_S + s) * GPU_TILE + (int)lane);
        }
        o.log_lr = read_once(tile + (MMA_P + 2 * MMA_S) * GPU_TILE + (int)lane);
        return o;
    }
    static __device__ own_state own(const own_words &w) { return w; }
    static __device__ void store_averages(float *tile, unsigned lane, const own_state &o) {
        for (int s = 0; s < MMA_S; s++) {
            write_once(tile + (MMA_P + s) * GPU_TILE + (int)lane, o.gbar[s]);
            write_once(tile + (MMA_P + MMA_S + s) * GPU_TILE + (int)lane, o.lam[s]);
        }
    }
    static __device__ void store_rate(float *tile, unsigned lane, float log_lr) {
        write_once(tile + (MMA_P + 2 * MMA_S) * GPU_TILE + (int)lane, log_lr);
    }
    static __device__ mma_operand<terms> operand(const hidden &h, int q) { return operand_of<terms>(get(h, q)); }
    static __device__ mma_rows get(const hidden &h, int q) {
        mma_rows rows;
        CELL_UNROLL
        for (int j = 0; j < MMA_OWN; j++) rows.at[0][j] = h.at[j].at[2 * q], rows.at[1][j] = h.at[j].at[2 * q + 1];
        return rows;
    }
    static __device__ void set(hidden &h, int q, const mma_rows &from, const mma_operand<terms> &) {
        CELL_UNROLL
        for (int j = 0; j < MMA_OWN; j++) h.at[j].at[2 * q] = from.at[0][j], h.at[j].at[2 * q + 1] = from.at[1][j];
    }
};

#endif
