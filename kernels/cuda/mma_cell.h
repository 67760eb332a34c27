/* The default cell on tensor cores: which number stands where. Plain C: the host lays out the weights by it, the kernel everything else.
 *
 * One operation (mma.m16n8k16) multiplies 16 rows of 16 fp16 inputs with 16 x 8 fp16 weights and adds the products to 16 x 8 fp32 sums. Rows
 * are parameters. Lane 4 g + t of a warp holds, by the definition of the operation,
 *   of the inputs   rows g and g + 8, columns 2t, 2t + 1, 2t + 8, 2t + 9,
 *   of the weights  rows 2t, 2t + 1, 2t + 8, 2t + 9 of column g,
 *   of the sums     rows g and g + 8, columns 2t and 2t + 1.
 * Gates come out where the hidden state goes in, so that what lies between products stays in a lane: which input or output a column is may be
 * chosen, and is chosen below.
 *
 * A tile's 32 parameters are two groups of 16. Lane 4 g + t has parameter 4 g + t for all but the products, and rows g and g + 8 of group q are
 * parameters 4 g + 2 q and the next one: the four rows of four lanes are those lanes' own. */
#ifndef LOPT_KERNELS_CUDA_MMA_CELL_H
#define LOPT_KERNELS_CUDA_MMA_CELL_H

#include "kernels/cell/weights_view.h"

enum {
    MMA_P = 10, /* the default cell's sizes */
    MMA_S = 4,
    MMA_X = 12,
    MMA_ROWS = 16,   /* parameters */
    MMA_COLUMNS = 8, /* sums */
    MMA_GROUPS = 2,  /* of a tile's rows */
    MMA_LANES = 32,
    MMA_ONE = MMA_X /* inputs x [16]: the features; 1 twice, for a bias in two parts; 0 */
};

/* Tiles of 8 sums. In lane t: sums of columns 2t; of 2t + 1. */
typedef enum mma_tile {
    MMA_RESET,     /* r[2t]; r[2t + 1] */
    MMA_UPDATE,    /* z[2t]; z[2t + 1] */
    MMA_LAST,      /* r[8 + t]; z[8 + t], t < 2 */
    MMA_CANDIDATE, /* c[2t]; c[2t + 1] */
    MMA_DIRECTION, /* c[8 + t], t < 2; d, the same in each lane */
    MMA_ATTENTION, /* e; change of the log learning rate, the same in each lane */
    MMA_DECAYS     /* logits of the input's decay; of the scale's, the same in each lane */
} mma_tile;

/* What is multiplied: a tile takes inputs of some kinds. */
typedef enum mma_input {
    MMA_OF_X,    /* x, rows of 16 */
    MMA_OF_H,    /* the old hidden state */
    MMA_OF_RH,   /* r h */
    MMA_OF_NEW_H /* the new one */
} mma_input;

/* The products of the cell, in the order of their weights in memory. */
enum { MMA_PRODUCTS = 14, MMA_FRAGMENT_WORDS = MMA_PRODUCTS * 2 * MMA_LANES };
typedef enum mma_product {
    MMA_X_RESET,
    MMA_X_UPDATE,
    MMA_X_LAST,
    MMA_X_CANDIDATE,
    MMA_X_DIRECTION,
    MMA_X_ATTENTION,
    MMA_H_RESET,
    MMA_H_UPDATE,
    MMA_H_LAST,
    MMA_H_DECAYS,
    MMA_RH_CANDIDATE,
    MMA_RH_DIRECTION,
    MMA_NEW_DIRECTION,
    MMA_NEW_ATTENTION
} mma_product;

/* Which input of x a weight in register j (0, 1), half (0, 1) of lane t multiplies. */
CELL_FN int mma_x_of(unsigned t, int j, int half) { return 8 * j + 2 * (int)t + half; }
/* Which component of h, of r h and of the new h; -1: none. */
CELL_FN int mma_h_of(unsigned t, int j, int half) {
    if (j == 0) return 2 * (int)t + half;
    return half == 0 && t < 2 ? 8 + (int)t : -1;
}

/* The gate (0 r, 1 z, 2 c) and component that a column of a tile is; component -1: it is neither. */
typedef struct mma_gate {
    int gate, component;
} mma_gate;
CELL_FN mma_gate mma_gate_of(mma_tile tile, int column) {
    const int last = column < 4 ? 8 + column / 2 : -1, odd = column % 2;
    mma_gate g = {0, -1};
    if (tile == MMA_RESET || tile == MMA_UPDATE || tile == MMA_CANDIDATE) {
        g.gate = tile == MMA_RESET ? 0 : tile == MMA_UPDATE ? 1 : 2;
        g.component = column;
    } else if (tile == MMA_LAST) {
        g.gate = odd;
        g.component = last;
    } else if (tile == MMA_DIRECTION && !odd) {
        g.gate = 2;
        g.component = last;
    }
    return g;
}
/* What sums of gates are multiplied with beforehand, in their weights. terms 1: r and z are halved, so that a sigmoid is 1/2 + tanh / 2 of them;
 * 2: of r and z as of c, powers of two give what is wanted: 1 / (1 + 2^r), 1 - 2 / (1 + 2^c). */
CELL_FN float mma_gate_scale(int terms, int gate) {
    if (terms == 1) return gate < 2 ? 0.5f : 1.0f;
    return gate < 2 ? -VF_LOG2_E : 2.0f * VF_LOG2_E;
}

/* Where component c < P of the hidden state of parameter i of a tile stands, so that what a warp reads or writes at once is contiguous: among fp32
 * numbers [2t, 2t + 1][lane][row], then components 8 + t, [g][t < 2][row]; */
CELL_FN unsigned mma_hidden_place(unsigned i, int c) {
    const unsigned g = i / 4, k = (unsigned)c;
    if (c < 8) return 4 * (k % 2 * MMA_LANES + 4 * g + k / 2) + i % 4;
    return 4 * (2 * MMA_LANES + 2 * g + k - 8) + i % 4;
}
/* among the 16-bit numbers of mixed state pairs of components 2t and 2t + 1, [group][lane][row g, row g + 8], then components 8 + t,
 * [g][t < 2][group][row g, row g + 8]; then averages, [scale][lane][average, mean square]. */
CELL_FN unsigned mma_mixed_hidden_place(unsigned i, int c) {
    const unsigned g = i / 4, q = i % 4 / 2, row = i % 2, k = (unsigned)c;
    if (c < 8) return 2 * ((q * MMA_LANES + 4 * g + k / 2) * 2 + row) + k % 2;
    return 2 * (2 * MMA_GROUPS * MMA_LANES + (2 * g + k - 8) * MMA_GROUPS + q) + row;
}
enum { MMA_HIDDEN_WORDS = MMA_P * MMA_LANES / 2 };
CELL_FN unsigned mma_mixed_average_place(unsigned i, int scale, int mean_square) {
    return 2 * (MMA_HIDDEN_WORDS + (unsigned)scale * MMA_LANES + i) + (unsigned)mean_square;
}

/* Held to what fp16 can say: an infinite weight would make NaNs of zeros. */
CELL_FN float mma_held(float w) {
    const float most = 65504.0f;
    return w > most ? most : w < -most ? -most : w;
}

/* out [terms][product][2 registers][lane], each two fp16 numbers: the weights, rounded; then, what that left, rounded. terms 1, 2; attention 0: its
 * weights are 0. */
void mma_fragments_of(const cell_weights *w, int attention, int terms, uint32_t *out);

#endif
