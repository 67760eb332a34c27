/* The default cell's hidden state between memory and products, for both kinds of state. A lane has three components, 2t, 2t + 1 and 8 + t (t < 2),
 * of the eight parameters of its four lanes; operands of products are fp16 numbers, so that
 *   mixed state, which is kept in them, is multiplied as it is;
 *   fp32 state is split into a sum of two, as are its weights, and of their four products the three largest are taken: 22 bits of each number. */
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
struct alignas(16) floats4 {
    float at[4];
};

enum { MMA_OWN = 3 }; /* components of a lane */

__device__ static inline unsigned g_of(unsigned lane) { return lane / 4; }
__device__ static inline unsigned t_of(unsigned lane) { return lane % 4; }

/* Three pairs (of rows g and g + 8), rounded to inputs of a product, and inputs back. */
__device__ static inline mma_inputs inputs_pack(const vf *h) {
    return {{floats_to_fp16(h[0].x, h[1].x), floats_to_fp16(h[0].y, h[1].y), floats_to_fp16(h[2].x, 0.0f),
             floats_to_fp16(h[2].y, 0.0f)}};
}
__device__ static inline void inputs_unpack(const mma_inputs &a, vf *h) {
    h[0] = {fp16_to_float((uint16_t)a.word[0]), fp16_to_float((uint16_t)a.word[1])};
    h[1] = {fp16_to_float((uint16_t)(a.word[0] >> 16)), fp16_to_float((uint16_t)(a.word[1] >> 16))};
    h[2] = {fp16_to_float((uint16_t)a.word[2]), fp16_to_float((uint16_t)a.word[3])};
}

/* An operand [terms]: the numbers, rounded; then, what that left, rounded. */
template <int terms> struct mma_operand { mma_inputs part[terms]; };
template <int terms> __device__ static inline mma_operand<terms> operand_of(const vf *h) {
    mma_operand<terms> a;
    a.part[0] = inputs_pack(h);
    if (terms == 2) {
        vf high[MMA_OWN], rest[MMA_OWN];
        inputs_unpack(a.part[0], high);
        CELL_UNROLL
        for (int j = 0; j < MMA_OWN; j++) rest[j] = h[j] - high[j];
        a.part[terms - 1] = inputs_pack(rest);
    }
    return a;
}

/* terms: numbers that an operand is the sum of. sigmoid, tanh: of sums scaled by mma_gate_scale. */
struct mixed_format : mixed_state {
    static const int terms = 1;
    static __device__ vf sigmoid(vf sum) { return vf_sigmoid_twice(sum); }
    static __device__ vf tanh(vf sum) { return vf_tanh(sum); }
    struct hidden {
        words2 first[MMA_GROUPS]; /* components 2t, 2t + 1 of rows g and g + 8 */
        words4 last;              /* [group]: component 8 + t of the two; 0 where t >= 2 */
    };
    static __device__ hidden load_all(const float *tile, unsigned lane) {
        hidden h;
        CELL_UNROLL
        for (int q = 0; q < MMA_GROUPS; q++) h.first[q] = ((const words2 *)tile)[q * GPU_WARP + (int)lane];
        /* read by all lanes: a branch would cost registers */
        const words4 last = ((const words4 *)tile)[2 * GPU_WARP + 2 * g_of(lane) + t_of(lane) % 2];
        for (int q = 0; q < MMA_GROUPS; q++) h.last.word[q] = t_of(lane) < 2 ? last.word[q] : 0;
        return h;
    }
    static __device__ void store_all(float *tile, unsigned lane, const hidden &h) {
        CELL_UNROLL
        for (int q = 0; q < MMA_GROUPS; q++) ((words2 *)tile)[q * GPU_WARP + (int)lane] = h.first[q];
        if (t_of(lane) < 2) ((words4 *)tile)[2 * GPU_WARP + 2 * g_of(lane) + t_of(lane)] = h.last;
    }
    /* Group q of the rows. */
    static __device__ mma_operand<terms> operand(const hidden &h, int q) {
        return {{{{h.first[q].word[0], h.first[q].word[1], h.last.word[q] & 0xffffu, h.last.word[q] >> 16}}}};
    }
    static __device__ void get(const hidden &h, int q, vf *to) { inputs_unpack(operand(h, q).part[0], to); }
    static __device__ void set(hidden &h, int q, const vf *, const mma_operand<terms> &from) {
        const mma_inputs &a = from.part[0];
        h.first[q] = {{a.word[0], a.word[1]}};
        h.last.word[q] = a.word[2] | a.word[3] << 16;
    }
};

struct fp32_format : fp32_state {
    static const int terms = 2;
    static __device__ vf sigmoid(vf sum) { return vf_rcp(1.0f + vf_exp2_fast(sum)); }
    static __device__ vf tanh(vf sum) { return 1.0f - 2.0f * vf_rcp(1.0f + vf_exp2_fast(sum)); }
    /* The four rows of groups 2 far and 2 far + 1 are neighbours in memory. 0 for component 8 + t where t >= 2. */
    struct hidden {
        floats4 at[2][MMA_OWN]; /* [far][component] */
    };
    static __device__ int component(unsigned lane, int j) {
        return (int)(j < 2 ? 2 * t_of(lane) + (unsigned)j : 8 + t_of(lane) % 2);
    }
    static __device__ hidden load_all(const float *tile, unsigned lane) {
        hidden h;
        CELL_UNROLL
        for (int far = 0; far < 2; far++) {
            CELL_UNROLL
            for (int j = 0; j < MMA_OWN; j++) {
                h.at[far][j] = ((const floats4 *)(tile + component(lane, j) * GPU_TILE + far * GPU_WARP))[g_of(lane)];
                for (int r = 0; r < 4; r++) h.at[far][j].at[r] = j < 2 || t_of(lane) < 2 ? h.at[far][j].at[r] : 0.0f;
            }
        }
        return h;
    }
    static __device__ void store_all(float *tile, unsigned lane, const hidden &h) {
        CELL_UNROLL
        for (int far = 0; far < 2; far++) {
            CELL_UNROLL
            for (int j = 0; j < MMA_OWN; j++)
                if (j < 2 || t_of(lane) < 2)
                    ((floats4 *)(tile + component(lane, j) * GPU_TILE + far * GPU_WARP))[g_of(lane)] = h.at[far][j];
        }
    }
    static __device__ mma_operand<terms> operand(const hidden &h, int q) {
        vf own[MMA_OWN];
        get(h, q, own);
        return operand_of<terms>(own);
    }
    static __device__ void get(const hidden &h, int q, vf *to) {
        CELL_UNROLL
        for (int j = 0; j < MMA_OWN; j++) to[j] = {h.at[q / 2][j].at[2 * (q % 2)], h.at[q / 2][j].at[2 * (q % 2) + 1]};
    }
    static __device__ void set(hidden &h, int q, const vf *from, const mma_operand<terms> &) {
        CELL_UNROLL
        for (int j = 0; j < MMA_OWN; j++)
            h.at[q / 2][j].at[2 * (q % 2)] = from[j].x, h.at[q / 2][j].at[2 * (q % 2) + 1] = from[j].y;
    }
};

#endif
