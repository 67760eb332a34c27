/* Fully connected classifiers on a fixed data set: what softmax_regression, mlp and the digits tasks share. Loss: cross-entropy, mean over
 * rows, + regulariser x mean over tensors of |tensor|^2.
 *
 * Letters: L layers, layer l maps size[l] to size[l + 1] units; W [in, out] then b [out] for each. Rows are the fast axis everywhere:
 * activations are [unit][NET_TILE], so that everything is done for a vector of rows at once. */
#ifndef LOPT_TASKS_FAMILIES_DENSE_NET_H
#define LOPT_TASKS_FAMILIES_DENSE_NET_H

#include <string.h>

#include "tasks/families/batch.h"
#include "tasks/families/linear.h"

enum { NET_TILE = 128, NET_LAYERS_MAX = TASK_LIST_MAX + 1 };

typedef struct dense_net {
    int layers, relu; /* relu: 1 ReLU, 0 sigmoid hidden units */
    size_t size[NET_LAYERS_MAX + 1];
    size_t widest;
    float regulariser;
    uint32_t rows, batch;
    const float *inputs; /* [size[0]][input_stride] */
    const float *labels; /* [rows], whole numbers */
    size_t input_stride;
} dense_net;

/* Activations of one tile of rows, in the workspace: a[0] the inputs ... a[L] the probabilities, and deltas. */
typedef struct net_tile {
    float *a[NET_LAYERS_MAX + 1], *delta, *delta_below;
    float *ra[NET_LAYERS_MAX + 1], *rdelta, *rdelta_below, *rz; /* along a direction v, for J'v */
    float label[NET_TILE], weight[NET_TILE];                   /* weight: 1/rows of the mean, 0 beyond the last row */
    size_t rows;                                               /* in this tile */
} net_tile;

CELL_FN size_t net_total(const dense_net *n) {
    size_t total = 0;
    for (int l = 0; l < n->layers; l++) total += (n->size[l] + 1) * n->size[l + 1];
    return total;
}

/* Fills a task instance's tensors and workspace from the net's sizes. */
CELL_FN void net_plan(const dense_net *n, task_instance *t) {
    size_t units = 0;
    t->num_tensors = 0;
    for (int l = 0; l <= n->layers; l++) units += n->size[l];
    for (int l = 0; l < n->layers; l++) {
        t->counts[t->num_tensors++] = n->size[l] * n->size[l + 1];
        t->counts[t->num_tensors++] = n->size[l + 1];
    }
    t->total = net_total(n);
    t->workspace_floats = (2 * units + 5 * n->widest) * NET_TILE;
}

CELL_FN void net_place(const dense_net *n, float *workspace, net_tile *tile) {
    for (int l = 0; l <= n->layers; l++) {
        tile->a[l] = workspace, workspace += n->size[l] * NET_TILE;
        tile->ra[l] = workspace, workspace += n->size[l] * NET_TILE;
    }
    tile->delta = workspace, workspace += n->widest * NET_TILE;
    tile->delta_below = workspace, workspace += n->widest * NET_TILE;
    tile->rdelta = workspace, workspace += n->widest * NET_TILE;
    tile->rdelta_below = workspace, workspace += n->widest * NET_TILE;
    tile->rz = workspace;
}

/* Inputs, labels and weights of rows [first, first + NET_TILE) of the batch, or of the whole data (order NULL). Rows that do not exist
 * repeat the first, with weight 0. */
CELL_FN void net_load(const dense_net *n, const batch_order *order, size_t first, size_t total, net_tile *tile) {
    uint32_t row[NET_TILE];
    tile->rows = total - first < NET_TILE ? total - first : NET_TILE;
    if (order) batch_rows(order, (uint32_t)first, (uint32_t)tile->rows, row);
    for (size_t i = 0; i < NET_TILE; i++) {
        if (order == NULL) row[i] = (uint32_t)(first + i);
        if (i >= tile->rows) row[i] = row[0];
        tile->label[i] = n->labels[row[i]];
        tile->weight[i] = i < tile->rows ? 1.0f / (float)total : 0.0f;
    }
    const int in_order = order == NULL && tile->rows == NET_TILE;
    for (size_t u = 0; u < n->size[0]; u++) {
        const float *from = n->inputs + u * n->input_stride;
        float *to = tile->a[0] + u * NET_TILE;
        if (in_order) memcpy(to, from + first, NET_TILE * sizeof(float)); /* several times as fast */
        else
            for (size_t i = 0; i < NET_TILE; i++) to[i] = from[row[i]];
    }
}

/* Rows in use, rounded up to whole vectors. */
CELL_FN size_t net_span(const net_tile *t) { return (t->rows + VF_LANES - 1) / VF_LANES * VF_LANES; }

/* A matrix w: entry (k, o) stands at k * in_stride + o * out_stride. */
typedef struct net_matrix {
    size_t in, out, in_stride, out_stride;
    const float *w;
} net_matrix;
CELL_FN net_matrix net_weights(size_t in, size_t out, const float *w) { return (net_matrix){in, out, out, 1, w}; }
CELL_FN net_matrix net_transposed(size_t in, size_t out, const float *w) { return (net_matrix){out, in, 1, out, w}; }

/* z[o] += sum_k w(k, o) a[k] for `count` (constant) neighbouring outputs from `first` on and one vector of rows. */
CELL_FN void net_outputs(int count, const net_matrix *m, size_t first, const float *a, float *z) {
    const float *w = m->w + first * m->out_stride;
    vf sum[8];
    for (int o = 0; o < count; o++) sum[o] = vf_load(z + (first + (size_t)o) * NET_TILE);
    for (size_t k = 0; k < m->in; k++) {
        vf x = vf_load(a + k * NET_TILE);
        for (int o = 0; o < count; o++) sum[o] += w[k * m->in_stride + (size_t)o * m->out_stride] * x;
    }
    for (int o = 0; o < count; o++) vf_store(z + (first + (size_t)o) * NET_TILE, sum[o]);
}
CELL_FN void net_multiply(net_matrix m, const float *a, size_t span, float *z) {
    TEAM_FOR_BLOCKS(r, span) {
        size_t o = 0;
        for (; o + 8 <= m.out; o += 8) net_outputs(8, &m, o, a + r, z + r);
        for (; o + 2 <= m.out; o += 2) net_outputs(2, &m, o, a + r, z + r);
        for (; o < m.out; o++) net_outputs(1, &m, o, a + r, z + r);
    }
    team_sync();
}
CELL_FN void net_fill(size_t out, const float *b, size_t span, float *z) {
    for (size_t o = 0; o < out; o++)
        for (size_t r = 0; r < span; r += VF_LANES) vf_store(z + o * NET_TILE + r, vf_set1(b ? b[o] : 0.0f));
}

/* grad[k][o] += sum over rows of a[k] delta[o] for `ks` x `os` (constants, at most 4) neighbours. */
CELL_FN void net_outer_tile(int ks, int os, size_t out, const float *a, const float *delta, size_t span, float *grad) {
    vf sum[4][4];
    for (int k = 0; k < 4; k++)
        for (int o = 0; o < 4; o++) sum[k][o] = vf_set1(0.0f);
    for (size_t r = 0; r < span; r += VF_LANES)
        for (int k = 0; k < ks; k++) {
            const vf x = vf_load(a + (size_t)k * NET_TILE + r);
            for (int o = 0; o < os; o++) sum[k][o] += x * vf_load(delta + (size_t)o * NET_TILE + r);
        }
    for (int k = 0; k < ks; k++) {
        float total[4];
        vf_sum4(sum[k], total);
        for (int o = 0; o < os; o++) grad[(size_t)k * out + (size_t)o] += total[o];
    }
}
CELL_FN void net_outer_rows(int ks, size_t out, const float *a, const float *delta, size_t span, float *grad) {
    size_t o = 0;
    for (; o + 4 <= out; o += 4) net_outer_tile(ks, 4, out, a, delta + o * NET_TILE, span, grad + o);
    for (; o + 2 <= out; o += 2) net_outer_tile(ks, 2, out, a, delta + o * NET_TILE, span, grad + o);
    for (; o < out; o++) net_outer_tile(ks, 1, out, a, delta + o * NET_TILE, span, grad + o);
}
/* grad[k][o] += sum over rows of a[k] delta[o]; grad_b [out] likewise unless NULL. */
CELL_FN void net_outer(size_t in, size_t out, const float *a, const float *delta, size_t span, float *grad, float *grad_b) {
    TEAM_FOR(four, in / 4) net_outer_rows(4, out, a + 4 * four * NET_TILE, delta, span, grad + 4 * four * out);
    TEAM_FOR(rest, in % 4) net_outer_rows(1, out, a + (in / 4 * 4 + rest) * NET_TILE, delta, span, grad + (in / 4 * 4 + rest) * out);
    TEAM_FOR(o, grad_b ? out : 0) {
        vf sum = vf_set1(0.0f);
        for (size_t r = 0; r < span; r += VF_LANES) sum += vf_load(delta + o * NET_TILE + r);
        grad_b[o] += vf_sum(sum);
    }
    team_sync();
}

/* Logits [classes] to probabilities, in place; returns the sum of weighted cross-entropies. */
CELL_FN double net_softmax(const net_tile *t, size_t classes, size_t span, float *z) {
    vf loss = vf_set1(0.0f);
    for (size_t r = 0; r < span; r += VF_LANES) {
        const vf label = vf_load(t->label + r);
        vf top = vf_load(z + r), total = vf_set1(0.0f), right = vf_set1(0.0f);
        for (size_t o = 1; o < classes; o++) top = vf_max(top, vf_load(z + o * NET_TILE + r));
        for (size_t o = 0; o < classes; o++) {
            vf logit = vf_load(z + o * NET_TILE + r) - top;
            right = vf_select(label == vf_set1((float)o), logit, right);
            logit = vf_exp(logit);
            total += logit;
            vf_store(z + o * NET_TILE + r, logit);
        }
        vf inverse = vf_rcp(total);
        for (size_t o = 0; o < classes; o++) vf_store(z + o * NET_TILE + r, vf_load(z + o * NET_TILE + r) * inverse);
        vf entropy = vf_log(total) - right;
        loss += vf_select(entropy < vf_set1(0.0f), vf_set1(0.0f), entropy) * vf_load(t->weight + r); /* NaN stays NaN */
    }
    return (double)vf_sum(loss);
}

CELL_FN vf net_activation(int relu, vf z) { return relu ? vf_max(z, vf_set1(0.0f)) : vf_sigmoid(z); }
/* First derivative, as a function of the activation itself. */
CELL_FN vf net_slope(int relu, vf a) {
    return relu ? vf_select(a > vf_set1(0.0f), vf_set1(1.0f), vf_set1(0.0f)) : a * (1.0f - a);
}

/* All activations of a tile; returns its part of the loss. */
CELL_FN double net_forward(const dense_net *n, const float *params, net_tile *t) {
    const size_t span = net_span(t);
    for (int l = 0; l < n->layers; l++) {
        const size_t in = n->size[l], out = n->size[l + 1];
        net_fill(out, params + in * out, span, t->a[l + 1]);
        net_multiply(net_weights(in, out, params), t->a[l], span, t->a[l + 1]);
        params += (in + 1) * out;
        for (size_t i = 0; l + 1 < n->layers && i < out * NET_TILE; i += VF_LANES)
            vf_store(t->a[l + 1] + i, net_activation(n->relu, vf_load(t->a[l + 1] + i)));
    }
    return net_softmax(t, n->size[n->layers], span, t->a[n->layers]);
}

/* delta of the logits: (p - onehot) weight. */
CELL_FN void net_top_delta(const dense_net *n, net_tile *t) {
    const size_t span = net_span(t);
    for (size_t o = 0; o < n->size[n->layers]; o++)
        for (size_t r = 0; r < span; r += VF_LANES) {
            vf hit = vf_select(vf_load(t->label + r) == vf_set1((float)o), vf_set1(1.0f), vf_set1(0.0f));
            vf p = vf_load(t->a[n->layers] + o * NET_TILE + r);
            vf_store(t->delta + o * NET_TILE + r, (p - hit) * vf_load(t->weight + r));
        }
}

CELL_FN void net_swap(float **a, float **b) {
    float *c = *a;
    *a = *b;
    *b = c;
}

CELL_FN void net_backward(const dense_net *n, const float *params, net_tile *t, float *grad) {
    const size_t span = net_span(t);
    size_t offset = net_total(n);
    net_top_delta(n, t);
    for (int l = n->layers - 1; l >= 0; l--) {
        const size_t in = n->size[l], out = n->size[l + 1];
        offset -= (in + 1) * out;
        net_outer(in, out, t->a[l], t->delta, span, grad + offset, grad + offset + in * out);
        if (l == 0) break;
        net_fill(in, NULL, span, t->delta_below);
        net_multiply(net_transposed(in, out, params + offset), t->delta, span, t->delta_below);
        for (size_t i = 0; i < in * NET_TILE; i += VF_LANES)
            vf_store(t->delta_below + i, vf_load(t->delta_below + i) * net_slope(n->relu, vf_load(t->a[l] + i)));
        net_swap(&t->delta, &t->delta_below);
    }
}

/* Rows that this call looks at, and the minibatch's order. */
CELL_FN size_t net_rows(const dense_net *n, const task_draw *draw, batch_order *order) {
    if (draw == NULL) return n->rows;
    *order = batch_begin(draw, n->rows, n->batch);
    return n->batch;
}

CELL_FN double net_loss_grad(const dense_net *n, const task_draw *draw, const float *params, float *grad, float *workspace) {
    net_tile tile;
    batch_order order;
    const size_t rows = net_rows(n, draw, &order), total = net_total(n);
    double loss = 0.0;
    net_place(n, workspace, &tile);
    if (grad) memset(grad, 0, total * sizeof(float));
    for (size_t first = 0; first < rows; first += NET_TILE) {
        net_load(n, draw ? &order : NULL, first, rows, &tile);
        loss += net_forward(n, params, &tile);
        if (grad) net_backward(n, params, &tile, grad);
    }
    const float pull = n->regulariser / (float)(2 * n->layers);
    for (size_t i = 0; pull > 0.0f && grad && i < total; i++) grad[i] += 2.0f * pull * params[i];
    return pull > 0.0f ? loss + (double)pull * linear_square_norm(total, params) : loss;
}

/* Pearlmutter's R operator (Neural Computation 1994): derivatives of everything above along v. */
CELL_FN void net_forward_along(const dense_net *n, const float *params, const float *v, net_tile *t) {
    const size_t span = net_span(t);
    for (int l = 0; l < n->layers; l++) {
        const size_t in = n->size[l], out = n->size[l + 1];
        net_fill(out, v + in * out, span, t->ra[l + 1]);
        net_multiply(net_weights(in, out, v), t->a[l], span, t->ra[l + 1]);
        if (l > 0) net_multiply(net_weights(in, out, params), t->ra[l], span, t->ra[l + 1]);
        params += (in + 1) * out;
        v += (in + 1) * out;
        for (size_t i = 0; l + 1 < n->layers && i < out * NET_TILE; i += VF_LANES)
            vf_store(t->ra[l + 1] + i, vf_load(t->ra[l + 1] + i) * net_slope(n->relu, vf_load(t->a[l + 1] + i)));
    }
}

/* R delta of the logits: weight (diag(p) - p p') R z. */
CELL_FN void net_top_delta_along(const dense_net *n, net_tile *t) {
    const size_t span = net_span(t), classes = n->size[n->layers];
    const float *p = t->a[n->layers], *rz = t->ra[n->layers];
    for (size_t r = 0; r < span; r += VF_LANES) {
        vf mean = vf_set1(0.0f);
        for (size_t o = 0; o < classes; o++) mean += vf_load(p + o * NET_TILE + r) * vf_load(rz + o * NET_TILE + r);
        for (size_t o = 0; o < classes; o++)
            vf_store(t->rdelta + o * NET_TILE + r, vf_load(p + o * NET_TILE + r) * (vf_load(rz + o * NET_TILE + r) - mean) *
                                                       vf_load(t->weight + r));
    }
}

/* d/dv of delta_below = (W delta) slope(a): with R a = slope R z, the slope's own change along v is
 * (1 - 2 a) R a for a sigmoid and 0 for ReLU. */
CELL_FN void net_below_along(const dense_net *n, net_tile *t, int l, size_t in) {
    for (size_t i = 0; i < in * NET_TILE; i += VF_LANES) {
        vf a = vf_load(t->a[l] + i), pulled = vf_load(t->delta_below + i);
        vf turn = n->relu ? vf_set1(0.0f) : (1.0f - 2.0f * a) * vf_load(t->ra[l] + i);
        vf_store(t->rdelta_below + i, vf_load(t->rdelta_below + i) * net_slope(n->relu, a) + pulled * turn);
        vf_store(t->delta_below + i, pulled * net_slope(n->relu, a));
    }
}

CELL_FN void net_backward_along(const dense_net *n, const float *params, const float *v, net_tile *t, float *out) {
    const size_t span = net_span(t);
    size_t offset = net_total(n);
    net_top_delta(n, t);
    net_top_delta_along(n, t);
    for (int l = n->layers - 1; l >= 0; l--) {
        const size_t in = n->size[l], o = n->size[l + 1];
        offset -= (in + 1) * o;
        net_outer(in, o, t->a[l], t->rdelta, span, out + offset, out + offset + in * o);
        if (l == 0) break;
        net_outer(in, o, t->ra[l], t->delta, span, out + offset, NULL);
        net_fill(in, NULL, span, t->delta_below);
        net_fill(in, NULL, span, t->rdelta_below);
        net_multiply(net_transposed(in, o, params + offset), t->delta, span, t->delta_below);
        net_multiply(net_transposed(in, o, v + offset), t->delta, span, t->rdelta_below);
        net_multiply(net_transposed(in, o, params + offset), t->rdelta, span, t->rdelta_below);
        net_below_along(n, t, l, in);
        net_swap(&t->delta, &t->delta_below);
        net_swap(&t->rdelta, &t->rdelta_below);
    }
}

CELL_FN void net_hvp(const dense_net *n, const task_draw *draw, const float *params, const float *v, float *out, float *workspace) {
    net_tile tile;
    batch_order order;
    const size_t rows = net_rows(n, draw, &order), total = net_total(n);
    const float pull = n->regulariser / (float)(2 * n->layers);
    net_place(n, workspace, &tile);
    for (size_t i = 0; i < total; i++) out[i] = 2.0f * pull * v[i];
    for (size_t first = 0; first < rows; first += NET_TILE) {
        net_load(n, draw ? &order : NULL, first, rows, &tile);
        net_forward(n, params, &tile);
        net_forward_along(n, params, v, &tile);
        net_backward_along(n, params, v, &tile, out);
    }
}

/* Starts: N(0, 1) times `std(first dimension)` for every tensor, or weights only (biases 0). */
CELL_FN void net_start(const dense_net *n, uint64_t seed, float gain, int bias_too, float *params) {
    for (int l = 0; l < n->layers; l++) {
        const size_t in = n->size[l], out = n->size[l + 1];
        random_normals(seed, RANDOM_TASK_START, (uint32_t)(2 * l), 0, in * out, params);
        for (size_t i = 0; i < in * out; i++) params[i] *= gain / sqrtf((float)in);
        params += in * out;
        random_normals(seed, RANDOM_TASK_START, (uint32_t)(2 * l + 1), 0, out, params);
        for (size_t i = 0; i < out; i++) params[i] *= bias_too ? gain / sqrtf((float)out) : 0.0f;
        params += out;
    }
}

/* Share of rows whose label has the largest logit. */
CELL_FN double net_accuracy(const dense_net *n, const float *params, float *workspace) {
    net_tile tile;
    size_t right = 0;
    const size_t classes = n->size[n->layers];
    net_place(n, workspace, &tile);
    for (size_t first = 0; first < n->rows; first += NET_TILE) {
        net_load(n, NULL, first, n->rows, &tile);
        net_forward(n, params, &tile);
        for (size_t r = 0; r < tile.rows; r++) {
            size_t best = 0;
            for (size_t o = 1; o < classes; o++)
                if (tile.a[n->layers][o * NET_TILE + r] > tile.a[n->layers][best * NET_TILE + r]) best = o;
            right += (float)best == tile.label[r];
        }
    }
    return (double)right / (double)n->rows;
}

#endif
