#include "kernels/cuda/mma_cell.h"

#include "kernels/cell/half.h"

typedef struct product {
    mma_tile tile;
    mma_input input;
} product;
static const product PRODUCTS[MMA_PRODUCTS] = {
    [MMA_X_RESET] = {MMA_RESET, MMA_OF_X},
    [MMA_X_UPDATE] = {MMA_UPDATE, MMA_OF_X},
    [MMA_X_LAST] = {MMA_LAST, MMA_OF_X},
    [MMA_X_CANDIDATE] = {MMA_CANDIDATE, MMA_OF_X},
    [MMA_X_DIRECTION] = {MMA_DIRECTION, MMA_OF_X},
    [MMA_X_ATTENTION] = {MMA_ATTENTION, MMA_OF_X},
    [MMA_H_RESET] = {MMA_RESET, MMA_OF_H},
    [MMA_H_UPDATE] = {MMA_UPDATE, MMA_OF_H},
    [MMA_H_LAST] = {MMA_LAST, MMA_OF_H},
    [MMA_H_DECAYS] = {MMA_DECAYS, MMA_OF_H},
    [MMA_RH_CANDIDATE] = {MMA_CANDIDATE, MMA_OF_RH},
    [MMA_RH_DIRECTION] = {MMA_DIRECTION, MMA_OF_RH},
    [MMA_NEW_DIRECTION] = {MMA_DIRECTION, MMA_OF_NEW_H},
    [MMA_NEW_ATTENTION] = {MMA_ATTENTION, MMA_OF_NEW_H},
};

typedef struct fragments {
    const cell_weights *w;
    int attention, terms;
} fragments;

/* Weight of the gates' kernels; row: of x, then of h. */
static float gate_weight(const fragments *f, mma_gate g, int row) {
    const cell_weights *w = f->w;
    return mma_gate_scale(f->terms, g.gate) *
           (g.gate < 2 ? w->gate[row * 2 * MMA_P + g.gate * MMA_P + g.component] : w->candidate[row * MMA_P + g.component]);
}

/* Of x [16]. The gates' biases come per tensor, from the kernel. */
static float x_weight(const fragments *f, mma_tile tile, int x, int column) {
    const cell_weights *w = f->w;
    const mma_gate g = mma_gate_of(tile, column);
    if (tile == MMA_ATTENTION && column % 2 && x >= MMA_ONE && x < MMA_ONE + 2) {
        const float high = fp16_to_float(float_to_fp16(w->rate_bias));
        return x == MMA_ONE ? high : w->rate_bias - high;
    }
    if (x >= MMA_X) return 0.0f;
    if (g.component >= 0) return gate_weight(f, g, x);
    if (x >= MMA_S) return 0.0f;
    if (tile == MMA_DIRECTION && column % 2) return w->update_gradient[x];
    return tile == MMA_ATTENTION && column % 2 == 0 && f->attention ? w->attention_gradient[x] : 0.0f;
}

static float h_weight(const fragments *f, product p, int c, int column) {
    const cell_weights *w = f->w;
    const mma_gate g = mma_gate_of(p.tile, column);
    const int odd = column % 2;
    if (c < 0) return 0.0f;
    if (p.input != MMA_OF_NEW_H && g.component >= 0) return gate_weight(f, g, MMA_X + c);
    if (p.tile == MMA_DECAYS) return odd ? w->scale_decay[c] : w->input_decay[c];
    if (p.input != MMA_OF_NEW_H) return 0.0f;
    if (p.tile == MMA_DIRECTION) return odd ? w->update[c] : 0.0f;
    if (odd) return w->rate[c];
    return f->attention ? w->attention[c] : 0.0f;
}

/* Weight in register j, half `half` of a lane. */
static float weight_of(const fragments *f, product p, unsigned lane, int j, int half) {
    const int column = (int)lane / 4;
    return p.input == MMA_OF_X ? x_weight(f, p.tile, mma_x_of(lane % 4, j, half), column)
                               : h_weight(f, p, mma_h_of(lane % 4, j, half), column);
}

void mma_fragments_of(const cell_weights *w, int attention, int terms, uint32_t *out) {
    const fragments f = {w, attention, terms};
    for (int i = 0; i < MMA_PRODUCTS; i++)
        for (int j = 0; j < 2; j++)
            for (unsigned lane = 0; lane < MMA_LANES; lane++) {
                uint32_t *const to = out + (i * 2 + j) * MMA_LANES + (int)lane;
                for (int term = 0; term < terms; term++) to[term * MMA_FRAGMENT_WORDS] = 0;
                for (int half = 0; half < 2; half++) {
                    float left = weight_of(&f, PRODUCTS[i], lane, j, half);
                    for (int term = 0; term < terms; term++) {
                        const uint16_t number = float_to_fp16(mma_held(left));
                        to[term * MMA_FRAGMENT_WORDS] |= (uint32_t)number << 16 * half;
                        left -= fp16_to_float(number);
                    }
                }
            }
}
