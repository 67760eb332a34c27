/* The tensor cores' operation, 16 x 16 fp16 inputs times 16 x 8 fp16 weights, added up in fp32; and half of it, which says what rounding left. */
#ifndef LOPT_KERNELS_CUDA_MMA_CUH
#define LOPT_KERNELS_CUDA_MMA_CUH

#include "kernels/cell/half.h"
#include "kernels/cuda/mma_cell.h"

/* Sums [16][8] of a warp: lane 4 g + t has (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1). */
typedef struct mma_sums {
    float at[4];
} mma_sums;

/* Inputs [16][16]: words of two columns, the lower one in the lower half: (g, 2t), (g + 8, 2t), (g, 2t + 8), (g + 8, 2t + 8). */
typedef struct mma_inputs {
    uint32_t word[4];
} mma_inputs;

/* Weights [16][8]: words of two rows: (2t, g), (2t + 8, g). */
typedef struct mma_weights {
    uint32_t word[2];
} mma_weights;

/* Weights of the half, words of rows 2t and 2t + 1 of column g: less the numbers themselves. */
CELL_FN uint32_t mma_minus_one(unsigned lane) { return lane / 8 == lane % 4 ? 0xbc00u << 16 * (lane / 4 % 2) : 0; }

/* mma: start + a b. mma_left: numbers - rounded, as far as tensor cores keep bits of the larger (tests/ptx allows them 24): one instruction for
 * eight. rounded: words of rows g and g + 8, each columns 2t and 2t + 1 in fp16. mma_load: inputs from shared memory; lane 8 i + k names row k of 8
 * inputs (16 bytes, so aligned) of those that word i comes from. Every lane of the warp must come to any of them. */
#ifdef LOPT_CUDA_EMULATION
struct mma_operands {
    mma_inputs a;
    mma_weights b;
    mma_sums start;
};
struct mma_results {
    mma_sums of_lane[MMA_LANES];
};
static inline void mma_of_warp(const mma_operands *const *lanes, mma_results *out) {
    float a[MMA_ROWS][MMA_ROWS], b[MMA_ROWS][MMA_COLUMNS], sum[MMA_ROWS][MMA_COLUMNS];
    for (unsigned lane = 0; lane < MMA_LANES; lane++) {
        const unsigned g = lane / 4, t = lane % 4;
        for (unsigned i = 0; i < 8; i++) /* word i / 2, half i % 2 */
            a[g + 8 * (i / 2 % 2)][2 * t + i % 2 + 8 * (i / 4)] =
                fp16_to_float((uint16_t)(lanes[lane]->a.word[i / 2] >> 16 * (i % 2)));
        for (unsigned i = 0; i < 4; i++) {
            b[2 * t + i % 2 + 8 * (i / 2)][g] = fp16_to_float((uint16_t)(lanes[lane]->b.word[i / 2] >> 16 * (i % 2)));
            sum[g + 8 * (i / 2)][2 * t + i % 2] = lanes[lane]->start.at[i];
        }
    }
    for (unsigned i = 0; i < MMA_ROWS; i++)
        for (unsigned k = 0; k < MMA_ROWS; k++)
            for (unsigned j = 0; j < MMA_COLUMNS; j++) sum[i][j] += a[i][k] * b[k][j];
    for (unsigned lane = 0; lane < MMA_LANES; lane++)
        for (unsigned i = 0; i < 4; i++) out->of_lane[lane].at[i] = sum[lane / 4 + 8 * (i / 2)][2 * (lane % 4) + i % 2];
}
__device__ static inline mma_sums mma(const mma_inputs &a, const mma_weights &b, const mma_sums &start) {
    const mma_operands mine = {a, b, start};
    return warp_work<mma_operands, mma_results>(mine, mma_of_warp)->of_lane[threadIdx.x % MMA_LANES];
}
__device__ static inline mma_sums mma_left(const mma_sums &numbers, const uint32_t *rounded, uint32_t minus_one) {
    return mma({{rounded[0], rounded[1], 0, 0}}, {{minus_one, 0}}, numbers);
}
__device__ static inline mma_inputs mma_load(const uint32_t *row) {
    struct part {
        uint32_t word[4];
    } mine; /* read before the others have come: what they have yet to write is missed */
    memcpy(&mine, row, sizeof mine);
    const part *rows = warp_gather(mine);
    mma_inputs a;
    for (unsigned i = 0; i < 4; i++) a.word[i] = rows[8 * i + threadIdx.x % MMA_LANES / 4].word[threadIdx.x % 4];
    return a;
}
#else
__device__ static inline mma_sums mma(const mma_inputs &a, const mma_weights &b, const mma_sums &start) {
    mma_sums d;
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %11, %12, %13};"
        : "=f"(d.at[0]), "=f"(d.at[1]), "=f"(d.at[2]), "=f"(d.at[3])
        : "r"(a.word[0]), "r"(a.word[1]), "r"(a.word[2]), "r"(a.word[3]), "r"(b.word[0]), "r"(b.word[1]), "f"(start.at[0]),
          "f"(start.at[1]), "f"(start.at[2]), "f"(start.at[3]));
    return d;
}
__device__ static inline mma_sums mma_left(const mma_sums &numbers, const uint32_t *rounded, uint32_t minus_one) {
    mma_sums d;
    asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%7, %8, %9, %10};"
        : "=f"(d.at[0]), "=f"(d.at[1]), "=f"(d.at[2]), "=f"(d.at[3])
        : "r"(rounded[0]), "r"(rounded[1]), "r"(minus_one), "f"(numbers.at[0]), "f"(numbers.at[1]), "f"(numbers.at[2]),
          "f"(numbers.at[3]));
    return d;
}
__device__ static inline mma_inputs mma_load(const uint32_t *row) {
    mma_inputs a;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(a.word[0]), "=r"(a.word[1]), "=r"(a.word[2]), "=r"(a.word[3])
                 : "r"((uint32_t)__cvta_generic_to_shared(row))
                 : "memory");
    return a;
}
#endif

#endif
