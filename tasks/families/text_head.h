/* What ends every next-character model: a dense layer to 64 symbols and the cross-entropy of the next one. */
#ifndef LOPT_TASKS_FAMILIES_TEXT_HEAD_H
#define LOPT_TASKS_FAMILIES_TEXT_HEAD_H

#include "tasks/families/row_layer.h"
#include "tasks/families/text_windows.h"

/* Logits of one position and vector of sequences to probabilities, in place; returns the cross-entropies. symbol [VF_LANES] */
CELL_FN vf head_softmax(const int *symbol, float *z) {
    float of_symbol[VF_LANES];
    vf top = vf_load(z), total = vf_set1(0.0f);
    for (size_t s = 0; s < VF_LANES; s++) of_symbol[s] = z[(size_t)symbol[s] * ROW_LANES + s];
    for (size_t o = 1; o < TEXT_SYMBOLS; o++) top = vf_max(top, vf_load(z + o * ROW_LANES));
    for (size_t o = 0; o < TEXT_SYMBOLS; o++) {
        const vf e = vf_exp(vf_load(z + o * ROW_LANES) - top);
        total += e;
        vf_store(z + o * ROW_LANES, e);
    }
    const vf inverse = vf_rcp(total), entropy = vf_log(total) - (vf_load(of_symbol) - top);
    for (size_t o = 0; o < TEXT_SYMBOLS; o++) vf_store(z + o * ROW_LANES, vf_load(z + o * ROW_LANES) * inverse);
    return vf_select(entropy < vf_set1(0.0f), vf_set1(0.0f), entropy); /* NaN stays NaN */
}

/* Probabilities out, their part of the loss returned. entropy: rows of one unit, scratch. */
CELL_FN double head_forward(row_layer l, const text_batch *b, const float *params, row_block top, row_block z, row_block entropy) {
    vf loss = vf_set1(0.0f);
    layer_forward(l, params, top, z);
    TEAM_FOR(i, TEXT_STEPS * ROW_VECTORS) {
        const int *next = b->symbol[i / ROW_VECTORS + 1] + i % ROW_VECTORS * VF_LANES;
        vf_store(rows_vector(entropy, i), head_softmax(next, rows_vector(z, i)));
    }
    team_sync();
    for (size_t i = 0; i < TEXT_STEPS * ROW_VECTORS; i++) loss += vf_load(rows_vector(entropy, i));
    return (double)b->weight * (double)vf_sum(loss);
}

/* Probabilities to the adjoint of the logits, in place: (p - onehot) weight. */
CELL_FN void head_delta(const text_batch *b, row_block z) {
    TEAM_FOR(i, TEXT_STEPS) {
        float *p = z.at + i * z.stride;
        for (size_t j = 0; j < TEXT_SYMBOLS * ROW_LANES; j += VF_LANES) vf_store(p + j, vf_load(p + j) * b->weight);
        for (size_t s = 0; s < ROW_LANES; s++) p[(size_t)b->symbol[i + 1][s] * ROW_LANES + s] -= b->weight;
    }
    team_sync();
}

/* R z to the adjoint along v, in place: weight (diag(p) - p p') R z. p: the probabilities */
CELL_FN void head_delta_v(const text_batch *b, row_block p, row_block z_v) {
    TEAM_FOR(i, TEXT_STEPS * ROW_VECTORS) {
        const float *of = rows_vector(p, i);
        float *to = rows_vector(z_v, i);
        vf mean = vf_set1(0.0f);
        for (size_t o = 0; o < TEXT_SYMBOLS; o++) mean += vf_load(of + o * ROW_LANES) * vf_load(to + o * ROW_LANES);
        for (size_t o = 0; o < TEXT_SYMBOLS; o++)
            vf_store(to + o * ROW_LANES, vf_load(of + o * ROW_LANES) * (vf_load(to + o * ROW_LANES) - mean) * b->weight);
    }
    team_sync();
}

#endif
