/* The tensor cores' one operation, 16 x 16 fp16 inputs times 16 x 8 fp16 weights, added up in fp32. */
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

/* mma: start + a b. mma_load: inputs from shared memory; lane 8 i + k names row k of 8 inputs (16 bytes, so aligned) of those that word i comes
 * from. Every lane of the warp must come to either. */
#ifdef LOPT_CUDA_EMULATION
__device__ static inline mma_sums mma(const mma_inputs &a, const mma_weights &b, const mma_sums &start) {
    struct operands {
        mma_inputs a;
        mma_weights b;
    } mine = {a, b};
    const operands *lanes = warp_gather(mine);
    const unsigned g = threadIdx.x % MMA_LANES / 4, t = threadIdx.x % 4;
    mma_sums out;
    for (unsigned i = 0; i < 4; i++) {
        const unsigned row = g + 8 * (i / 2), column = 2 * t + i % 2;
        double sum = (double)start.at[i];
        for (unsigned k = 0; k < MMA_ROWS; k++) {
            const unsigned lane = k % 8 / 2, far = k / 8, shift = 16 * (k % 2);
            const uint32_t input = lanes[row % 8 * 4 + lane].a.word[row / 8 + 2 * far] >> shift;
            const uint32_t weight = lanes[column * 4 + lane].b.word[far] >> shift;
            sum += (double)fp16_to_float((uint16_t)input) * (double)fp16_to_float((uint16_t)weight);
        }
        out.at[i] = (float)sum;
    }
    return out;
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
