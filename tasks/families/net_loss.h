/* Losses on the outputs z of a tile, and their derivatives by z: each is a mean over rows of one term per row.
 * Cross-entropy: -log softmax(z)[label]. Squared error: |z - target|^2. */
#ifndef LOPT_TASKS_FAMILIES_NET_LOSS_H
#define LOPT_TASKS_FAMILIES_NET_LOSS_H

#include "tasks/families/net_tile.h"

/* Logits to probabilities, in place; returns the sum of weighted cross-entropies. */
CELL_FN double loss_softmax(const net_tile *t, size_t classes, float *z) {
    const size_t span = t->span;
    vf loss = vf_set1(0.0f);
    for (size_t r = 0; r < span; r += VF_LANES) {
        const vf label = vf_load(t->label + r);
        vf top = vf_load(z + r), total = vf_set1(0.0f), right = vf_set1(0.0f);
        for (size_t o = 1; o < classes; o++) top = vf_max(top, vf_load(z + o * span + r));
        for (size_t o = 0; o < classes; o++) {
            vf logit = vf_load(z + o * span + r) - top;
            right = vf_select(label == vf_set1((float)o), logit, right);
            logit = vf_exp(logit);
            total += logit;
            vf_store(z + o * span + r, logit);
        }
        vf inverse = vf_rcp(total);
        for (size_t o = 0; o < classes; o++) vf_store(z + o * span + r, vf_load(z + o * span + r) * inverse);
        vf entropy = vf_log(total) - right;
        loss += vf_select(entropy < vf_set1(0.0f), vf_set1(0.0f), entropy) * vf_load(t->weight + r); /* NaN stays NaN */
    }
    return (double)vf_sum(loss);
}

CELL_FN double loss_squares(const net_tile *t, size_t outputs, const float *z) {
    vf loss = vf_set1(0.0f);
    for (size_t r = 0; r < t->span; r += VF_LANES) {
        vf square = vf_set1(0.0f);
        for (size_t o = 0; o < outputs; o++) {
            const vf off = vf_load(z + o * t->span + r) - vf_load(t->target + o * t->span + r);
            square += off * off;
        }
        loss += square * vf_load(t->weight + r);
    }
    return (double)vf_sum(loss);
}

/* The tile's part of the loss. z: the outputs; for cross-entropy probabilities afterwards. */
CELL_FN double loss_value(const dense_net *n, const net_tile *t, float *z) {
    const size_t outputs = n->size[n->layers];
    return n->loss == NET_SQUARED_ERROR ? loss_squares(t, outputs, z) : loss_softmax(t, outputs, z);
}

/* delta of the outputs: (p - onehot) weight, or 2 (z - target) weight. */
CELL_FN void loss_delta(const dense_net *n, const net_tile *t, const float *z, float *delta) {
    const size_t span = t->span;
    for (size_t o = 0; o < n->size[n->layers]; o++)
        for (size_t r = 0; r < span; r += VF_LANES) {
            const vf at = vf_load(z + o * span + r), label = vf_load(t->label + r);
            const vf off = n->loss == NET_SQUARED_ERROR ? 2.0f * (at - vf_load(t->target + o * span + r))
                                                        : at - vf_select(label == vf_set1((float)o), vf_set1(1.0f), vf_set1(0.0f));
            vf_store(delta + o * span + r, off * vf_load(t->weight + r));
        }
}

/* The same along rz = R z: weight (diag(p) - p p') R z, or 2 weight R z. */
CELL_FN void loss_delta_along(const dense_net *n, const net_tile *t, const float *z, const float *rz, float *rdelta) {
    const size_t span = t->span, outputs = n->size[n->layers];
    for (size_t r = 0; r < span; r += VF_LANES) {
        const vf weight = vf_load(t->weight + r);
        vf mean = vf_set1(0.0f);
        for (size_t o = 0; n->loss == NET_CROSS_ENTROPY && o < outputs; o++)
            mean += vf_load(z + o * span + r) * vf_load(rz + o * span + r);
        for (size_t o = 0; o < outputs; o++) {
            const vf along = vf_load(rz + o * span + r);
            const vf off = n->loss == NET_SQUARED_ERROR ? 2.0f * along : vf_load(z + o * span + r) * (along - mean);
            vf_store(rdelta + o * span + r, off * weight);
        }
    }
}

#endif
