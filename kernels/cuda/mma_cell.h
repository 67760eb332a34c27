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
 * A tile's 32 parameters are two groups of 16. Lane 4 g + t has the features, averages and rates of parameter 4 g + t; of hidden states and products
 * rows g and g + 8 of group q are parameters 4 g + 2 q and the next one: the four rows of four lanes are those lanes' own. */
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
    MMA_ONE = MMA_X, /* inputs x [16]: the features; 1 twice, for a bias in two parts; 0 */
    MMA_READOUTS = 3 /* d, e, change of the log learning rate */
};

/* Tiles of 8 sums. In lane t: sums of columns 2t; of 2t + 1. */
typedef enum mma_tile {
    MMA_RESET,     /* r[2t]; r[2t + 1] */
    MMA_UPDATE,    /* z[2t]; z[2t + 1] */
    MMA_LAST,      /* r[8 + t % 2]; z[8 + t % 2] */
    MMA_CANDIDATE, /* c[2t]; c[2t + 1] */
    MMA_READOUT,   /* c[8 + t % 2]; readout t < MMA_READOUTS */
    MMA_DECAYS     /* logit of the input's decay; of the scale's, the same in each lane; times MMA_DECAY_SCALE */
} mma_tile;

/* What is multiplied: a tile takes inputs of some kinds. */
typedef enum mma_input {
    MMA_OF_X,    /* x, rows of 16 */
    MMA_OF_H,    /* the old hidden state */
    MMA_OF_RH,   /* r h */
    MMA_OF_NEW_H /* the new one */
} mma_input;

/* The products of the cell, in the order of their weights in memory. */
enum { MMA_PRODUCTS = 12, MMA_FRAGMENT_WORDS = MMA_PRODUCTS * 2 * MMA_LANES };
typedef enum mma_product {
    MMA_X_RESET,
    MMA_X_UPDATE,
    MMA_X_LAST,
    MMA_X_CANDIDATE,
    MMA_X_READOUT,
    MMA_H_RESET,
    MMA_H_UPDATE,
    MMA_H_LAST,
    MMA_H_DECAYS,
    MMA_RH_CANDIDATE,
    MMA_RH_READOUT,
    MMA_NEW_READOUT
} mma_product;

/* Which input of x a weight in register j (0, 1), half (0, 1) of lane t multiplies. Of two terms: word t of four of inputs in fp32, of which lanes take
 * four words at a time. */
CELL_FN int mma_x_of(int terms, unsigned t, int j, int half) {
    return terms == 1 ? 8 * j + 2 * (int)t + half : 4 * (2 * j + half) + (int)t;
}
/* Which component of h, of r h and of the new h; -1: none. Of one term, one of lanes t and t + 2 gives the last component, the other 0. */
CELL_FN int mma_h_of(unsigned t, int j, int half) {
    if (j == 0) return 2 * (int)t + half;
    return half == 0 ? 8 + (int)t % 2 : -1;
}

/* The gate (0 r, 1 z, 2 c) and component that a column of a tile is; component -1: it is neither. */
typedef struct mma_gate {
    int gate, component;
} mma_gate;
CELL_FN mma_gate mma_gate_of(mma_tile tile, int column) {
    const int last = 8 + column / 2 % 2, odd = column % 2;
    mma_gate g = {0, -1};
    if (tile == MMA_RESET || tile == MMA_UPDATE || tile == MMA_CANDIDATE) {
        g.gate = tile == MMA_RESET ? 0 : tile == MMA_UPDATE ? 1 : 2;
        g.component = column;
    } else if (tile == MMA_LAST) {
        g.gate = odd;
        g.component = last;
    } else if (tile == MMA_READOUT && !odd) {
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

/* And of r h: terms 1 has h + h tanh(r / 2), which is twice that. */
CELL_FN float mma_gated_scale(int terms) { return terms == 1 ? 0.5f : 1.0f; }
#define MMA_DECAY_SCALE (-VF_LOG2_E)

/* The lane that has component c < P of parameter i of a tile. */
CELL_FN unsigned mma_lane_of(unsigned i, int c) {
    return c < 8 ? i / 4 * 4 + (unsigned)c / 2 : i / 4 * 4 + i % 4 / 2 * 2 + (unsigned)c - 8;
}
/* Where component c < C of parameter i stands among the numbers of a tile, so that a lane's are few vectors. fp32: [group][lane][row] components 2t, 2t + 1;
 * [lane][scale] averages; mean squares; [lane][row] component 8 + t % 2; [lane] log learning rates. */
CELL_FN unsigned mma_place(unsigned i, int c) {
    const unsigned k = (unsigned)c;
    if (c < 8) return 4 * (i % 4 / 2 * MMA_LANES + mma_lane_of(i, c)) + 2 * (i % 2) + k % 2;
    if (c < MMA_P) return 4 * 4 * MMA_LANES + 2 * mma_lane_of(i, c) + i % 2;
    if (c < MMA_P + 2 * MMA_S) return 4 * ((2 + (k - MMA_P) / MMA_S) * MMA_LANES + i) + (k - MMA_P) % MMA_S;
    return (4 * 4 + 2) * MMA_LANES + i;
}
/* mixed, c < C - 1, among 16-bit numbers: [lane][group][row] pairs of components 2t, 2t + 1; [lane][scale] pairs of average and mean square; [lane]
 * component 8 + t % 2 of both rows, and after it, as fp32, the log learning rate, */
CELL_FN unsigned mma_mixed_place(unsigned i, int c) {
    const unsigned k = (unsigned)c;
    if (c < 8) return 2 * (4 * mma_lane_of(i, c) + i % 4) + k % 2;
    if (c < MMA_P) return 2 * (2 * 4 * MMA_LANES + 2 * mma_lane_of(i, c)) + i % 2;
    return 2 * (4 * (MMA_LANES + i) + (k - MMA_P) % MMA_S) + (k - MMA_P) / MMA_S;
}
/* among fp32 numbers. */
CELL_FN unsigned mma_mixed_rate_place(unsigned i) { return 2 * 4 * MMA_LANES + 2 * i + 1; }

/* Held to what fp16 can say: an infinite weight would make NaNs of zeros. */
CELL_FN float mma_held(float w) {
    const float most = 65504.0f;
    return w > most ? most : w < -most ? -most : w;
}

/* out [terms][product][2 registers][lane], each two fp16 numbers: the weights, rounded; then, what that left, rounded. terms 1, 2; attention 0: its
 * weights are 0.
 *
 * Two terms: of the four products of two sums of two numbers, the three largest are taken. Of x they are three operations. Of state, which has 10
 * components, they fit into two operations, and [terms] is the operation. Lane t's inputs are, in the first, components 2t and 2t + 1, rounded, times
 * the second term of their weights; component 8 + t % 2, rounded, and what that left of it, both times the first term where t < 2, and where
 * t >= 2 times the second and 0. In the second, components 2t and 2t + 1 and what rounding left of them, both times the first term. */
void mma_fragments_of(const cell_weights *w, int attention, int terms, uint32_t *out);

#endif
