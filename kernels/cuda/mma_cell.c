#include "kernels/cuda/mma_cell.h"

#include "kernels/cell/half.h"

typedef struct product {
    mma_tile tile;
    mma_input input;
} product;
static const product PRODUCTS[MMA_PRODUCTS] = {
    [MMA_X_RESET] = {MMA_RESET, MMA_OF_X},       [MMA_X_UPDATE] = {MMA_UPDATE, MMA_OF_X},
    [MMA_X_LAST] = {MMA_LAST, MMA_OF_X},         [MMA_X_CANDIDATE] = {MMA_CANDIDATE, MMA_OF_X},
    [MMA_X_READOUT] = {MMA_READOUT, MMA_OF_X},   [MMA_H_RESET] = {MMA_RESET, MMA_OF_H},
    [MMA_H_UPDATE] = {MMA_UPDATE, MMA_OF_H},     [MMA_H_LAST] = {MMA_LAST, MMA_OF_H},
    [MMA_H_DECAYS] = {MMA_DECAYS, MMA_OF_H},     [MMA_RH_CANDIDATE] = {MMA_CANDIDATE, MMA_OF_RH},
    [MMA_RH_READOUT] = {MMA_READOUT, MMA_OF_RH}, [MMA_NEW_READOUT] = {MMA_READOUT, MMA_OF_NEW_H},
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

/* The kernels [P], [S] of a readout; NULL: all of it is 0. */
static const float *state_kernel(const fragments *f, int readout) {
    const float *const kernels[MMA_READOUTS] = {f->w->update, f->attention ? f->w->attention : NULL, f->w->rate};
    return readout < MMA_READOUTS ? kernels[readout] : NULL;
}
static const float *gradient_kernel(const fragments *f, int readout) {
    const float *const kernels[MMA_READOUTS] = {f->w->update_gradient, f->attention ? f->w->attention_gradient : NULL, NULL};
    return readout < MMA_READOUTS ? kernels[readout] : NULL;
}

/* Of x [16]. The gates' biases come per tensor, from the kernel. */
static float x_weight(const fragments *f, mma_tile tile, int x, int column) {
    const mma_gate g = mma_gate_of(tile, column);
    const int readout = column / 2;
    if (g.component >= 0) return x < MMA_X ? gate_weight(f, g, x) : 0.0f;
    if (readout == MMA_READOUTS - 1 && x >= MMA_ONE && x < MMA_ONE + 2) {
        const float bias = mma_held(f->w->rate_bias), high = fp16_to_float(float_to_fp16(bias));
        return x == MMA_ONE ? high : bias - high;
    }
    const float *kernel = gradient_kernel(f, readout);
    return kernel && x < MMA_S ? kernel[x] : 0.0f;
}

static float h_weight(const fragments *f, product p, int c, int column) {
    const mma_gate g = mma_gate_of(p.tile, column);
    if (c < 0) return 0.0f;
    if (p.tile == MMA_DECAYS) return MMA_DECAY_SCALE * (column % 2 ? f->w->scale_decay[c] : f->w->input_decay[c]);
    if (p.input != MMA_OF_NEW_H && g.component < 0) return 0.0f;
    if (p.input == MMA_OF_H) return gate_weight(f, g, MMA_X + c);
    if (p.input == MMA_OF_RH) return mma_gated_scale(f->terms) * gate_weight(f, g, MMA_X + c);
    const float *kernel = column % 2 ? state_kernel(f, column / 2) : NULL;
    return kernel ? kernel[c] : 0.0f;
}

/* Weight in register j, half `half` of a lane. */
static float weight_of(const fragments *f, product p, unsigned lane, int j, int half) {
    const int column = (int)lane / 4;
    return p.input == MMA_OF_X ? x_weight(f, p.tile, mma_x_of(f->terms, lane % 4, j, half), column)
                               : h_weight(f, p, mma_h_of(lane % 4, j, half), column);
}

/* Two numbers, rounded; leaves what that leaves of them. */
static uint32_t round_pair(float *pair) {
    const uint32_t word = floats_to_fp16(mma_held(pair[0]), mma_held(pair[1]));
    pair[0] -= fp16_to_float((uint16_t)word);
    pair[1] -= fp16_to_float((uint16_t)(word >> 16));
    return word;
}

/* Of each term, the words of a lane's two registers. */
typedef struct lane_words {
    uint32_t term[2][2];
} lane_words;
static lane_words words_of(const fragments *f, product p, unsigned lane) {
    lane_words w = {{{0}}};
    for (int j = 0; j < 2; j++) {
        float left[2] = {weight_of(f, p, lane, j, 0), weight_of(f, p, lane, j, 1)};
        for (int term = 0; term < f->terms; term++) w.term[term][j] = round_pair(left);
    }
    return w;
}
/* Of state in two terms: of two operations instead. */
static lane_words state_words_of(const fragments *f, product p, unsigned lane) {
    const lane_words w = words_of(f, p, lane);
    const uint32_t last = lane % 4 < 2 ? w.term[0][1] | w.term[0][1] << 16 : w.term[1][1];
    return (lane_words){{{w.term[1][0], last}, {w.term[0][0], w.term[0][0]}}};
}

void mma_fragments_of(const cell_weights *w, int attention, int terms, uint32_t *out) {
    const fragments f = {w, attention, terms};
    for (int i = 0; i < MMA_PRODUCTS; i++)
        for (unsigned lane = 0; lane < MMA_LANES; lane++) {
            const product p = PRODUCTS[i];
            const lane_words word = terms == 2 && p.input != MMA_OF_X ? state_words_of(&f, p, lane) : words_of(&f, p, lane);
            for (int term = 0; term < terms; term++)
                for (int j = 0; j < 2; j++)
                    out[term * MMA_FRAGMENT_WORDS + (i * 2 + j) * MMA_LANES + (int)lane] = word.term[term][j];
        }
}
