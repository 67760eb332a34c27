/* Networks on a fixed data set: what softmax_regression, mlp, the digits tasks and teacher_mlp share. Layers are dense or convolutions, which
 * are dense layers on columns (conv.h). Loss: net_loss.h, + l2 x mean over tensors of |tensor|^2. */
#ifndef LOPT_TASKS_FAMILIES_DENSE_NET_H
#define LOPT_TASKS_FAMILIES_DENSE_NET_H

#include "tasks/families/linear.h"
#include "tasks/families/net_loss.h"

/* A family's key for net_thin. */
#define NET_RARE_KEY                                                                                                                                       \
    {                                                                                                                                                      \
        "rare",                                                                                                                                            \
            "share of the features that are 0 in 199 of 200 rows, as the edges of images and most words are; the classes of an mlp may then be less even", \
            0, 0, 1, 0, 0, "0"                                                                                                                             \
    }
#define NET_SEEN 0.005f /* share of the rows in which a rare feature keeps its value */

/* A family's key for dense_net.l2. */
#define NET_L2_KEY \
    { "l2", "weight of the mean over tensors of |.|^2; at 0 the loss can go to 0", 1e-3, 0, 1, 0, 0, "0.001" }

/* The layer's inputs as its matrix wants them: a itself, or a convolution's columns. */
CELL_FN const float *net_columns(const dense_net *n, int l, const float *a, const net_tile *t) {
    if (n->conv[l].channels == 0) return a;
    conv_gather(n->conv[l], a, t->span, t->columns);
    return t->columns;
}

/* z = a W + b (+ z where add); b may be NULL. */
CELL_FN void net_up(const dense_net *n, int l, const float *w, const float *b, const float *a, const net_tile *t, int add,
                    float *z) {
    const net_layer m = net_layer_at(n, l);
    const size_t columns = m.places * t->span;
    const net_product p = {.ks = m.in,
                           .outs = m.out,
                           .columns = columns,
                           .w = w,
                           .w_k = m.out,
                           .w_o = 1,
                           .x = net_columns(n, l, a, t),
                           .x_k = columns,
                           .z = z,
                           .z_o = columns,
                           .bias = b,
                           .add = add};
    net_multiply(&p);
}

/* below = delta W' (+ below where add) */
CELL_FN void net_down(const dense_net *n, int l, const float *w, const float *delta, const net_tile *t, int add, float *below) {
    const net_layer m = net_layer_at(n, l);
    const size_t columns = m.places * t->span;
    const int conv = n->conv[l].channels > 0;
    const net_product p = {.ks = m.out,
                           .outs = m.in,
                           .columns = columns,
                           .w = w,
                           .w_k = 1,
                           .w_o = m.out,
                           .x = delta,
                           .x_k = columns,
                           .z = conv ? t->columns : below,
                           .z_o = columns,
                           .add = !conv && add};
    net_multiply(&p);
    if (conv) conv_scatter(n->conv[l], t->columns, t->span, add, below);
}

/* grad of W [in, out] and, unless NULL, of b. `add`: onto what is there. */
CELL_FN void net_weights(const dense_net *n, int l, const float *a, const float *delta, const net_tile *t, int add, float *grad,
                         float *grad_b) {
    const net_layer m = net_layer_at(n, l);
    net_outer(m.in, m.out, net_columns(n, l, a, t), delta, m.places * t->span, t->span, add, grad, grad_b, t->scratch);
}

/* All activations of a tile; returns its part of the loss. */
CELL_FN double net_forward(const dense_net *n, const float *params, net_tile *t) {
    for (int l = 0; l < n->layers; l++) {
        const net_layer m = net_layer_at(n, l);
        net_up(n, l, params, params + m.in * m.out, t->a[l], t, 0, t->a[l + 1]);
        params += (m.in + 1) * m.out;
        if (l + 1 < n->layers) NET_ACTIVATION_CASES(n->activation, activation_forward, n->size[l + 1] * t->span, t->a[l + 1]);
    }
    return loss_value(n, t, t->a[n->layers]);
}

CELL_FN void net_swap(float **a, float **b) {
    float *c = *a;
    *a = *b;
    *b = c;
}

CELL_FN void net_backward(const dense_net *n, const float *params, net_tile *t, int add, float *grad) {
    size_t offset = net_total(n);
    loss_delta(n, t, t->a[n->layers], t->delta);
    for (int l = n->layers - 1; l >= 0; l--) {
        const net_layer m = net_layer_at(n, l);
        offset -= (m.in + 1) * m.out;
        net_weights(n, l, t->a[l], t->delta, t, add, grad + offset, grad + offset + m.in * m.out);
        if (l == 0) break;
        net_down(n, l, params + offset, t->delta, t, 0, t->delta_below);
        NET_ACTIVATION_CASES(n->activation, activation_scale, n->size[l] * t->span, t->a[l], t->delta_below);
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
    for (size_t first = 0; first < rows; first += NET_TILE) {
        net_load(n, draw ? &order : NULL, first, rows, &tile);
        loss += net_forward(n, params, &tile);
        if (grad) net_backward(n, params, &tile, first > 0, grad);
    }
    if (n->l2 == 0.0f) return loss;
    const float pull = n->l2 / (float)(2 * n->layers);
    for (size_t i = 0; i < (grad ? total : 0); i++) grad[i] += 2.0f * pull * params[i];
    return loss + (double)pull * linear_square_norm(total, params);
}

/* Pearlmutter's R operator (Neural Computation 1994): derivatives of everything above along v. */
CELL_FN void net_forward_along(const dense_net *n, const float *params, const float *v, net_tile *t) {
    for (int l = 0; l < n->layers; l++) {
        const net_layer m = net_layer_at(n, l);
        net_up(n, l, v, v + m.in * m.out, t->a[l], t, 0, t->ra[l + 1]);
        if (l > 0) net_up(n, l, params, NULL, t->ra[l], t, 1, t->ra[l + 1]);
        params += (m.in + 1) * m.out;
        v += (m.in + 1) * m.out;
        if (l + 1 < n->layers)
            NET_ACTIVATION_CASES(n->activation, activation_scale, n->size[l + 1] * t->span, t->a[l + 1], t->ra[l + 1]);
    }
}

CELL_FN void net_backward_along(const dense_net *n, const float *params, const float *v, net_tile *t, float *out) {
    size_t offset = net_total(n);
    loss_delta(n, t, t->a[n->layers], t->delta);
    loss_delta_along(n, t, t->a[n->layers], t->ra[n->layers], t->rdelta);
    for (int l = n->layers - 1; l >= 0; l--) {
        const net_layer m = net_layer_at(n, l);
        offset -= (m.in + 1) * m.out;
        net_weights(n, l, t->a[l], t->rdelta, t, 1, out + offset, out + offset + m.in * m.out);
        if (l == 0) break;
        net_weights(n, l, t->ra[l], t->delta, t, 1, out + offset, NULL);
        net_down(n, l, params + offset, t->delta, t, 0, t->delta_below);
        net_down(n, l, v + offset, t->delta, t, 0, t->rdelta_below);
        net_down(n, l, params + offset, t->rdelta, t, 1, t->rdelta_below);
        NET_ACTIVATION_CASES(n->activation, activation_scale_along, n->size[l] * t->span, t->a[l], t->ra[l], t->delta_below,
                             t->rdelta_below);
        net_swap(&t->delta, &t->delta_below);
        net_swap(&t->rdelta, &t->rdelta_below);
    }
}

CELL_FN void net_hvp(const dense_net *n, const task_draw *draw, const float *params, const float *v, float *out, float *workspace) {
    net_tile tile;
    batch_order order;
    const size_t rows = net_rows(n, draw, &order), total = net_total(n);
    const float pull = n->l2 / (float)(2 * n->layers);
    net_place(n, workspace, &tile);
    for (size_t i = 0; i < total; i++) out[i] = 2.0f * pull * v[i];
    for (size_t first = 0; first < rows; first += NET_TILE) {
        net_load(n, draw ? &order : NULL, first, rows, &tile);
        net_forward(n, params, &tile);
        net_forward_along(n, params, v, &tile);
        net_backward_along(n, params, v, &tile, out);
    }
}

/* Makes a share of the features rare, drawn with the instance; `what`, `what + 1`: its random numbers. inputs [rows][input_stride] in and out. */
CELL_FN void net_thin(const dense_net *n, uint64_t seed, uint32_t what, double rare, float *inputs) {
    for (size_t j = 0; rare > 0.0 && j < n->size[0]; j++) {
        if ((double)random_uniform(seed, RANDOM_TASK_DATA, what, j, 0) >= rare) continue;
        for (size_t r = 0; r < n->rows; r++)
            if (random_uniform(seed, RANDOM_TASK_DATA, what + 1, r, (uint32_t)j) >= NET_SEEN)
                inputs[r * n->input_stride + j] = 0.0f;
    }
}

/* Starts: N(0, 1) times gain / sqrt(first dimension) for every tensor, or weights only (biases 0). */
CELL_FN void net_start(const dense_net *n, uint64_t seed, float gain, int bias_too, float *params) {
    for (int l = 0; l < n->layers; l++) {
        const size_t in = net_layer_at(n, l).in, out = net_layer_at(n, l).out;
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
    net_place(n, workspace, &tile);
    for (size_t first = 0; first < n->rows; first += NET_TILE) {
        net_load(n, NULL, first, n->rows, &tile);
        net_forward(n, params, &tile);
        const float *p = tile.a[n->layers];
        for (size_t r = 0; r < tile.rows; r++) {
            size_t best = 0;
            for (size_t o = 1; o < n->size[n->layers]; o++)
                if (p[o * tile.span + r] > p[best * tile.span + r]) best = o;
            right += (float)best == tile.label[r];
        }
    }
    return (double)right / (double)n->rows;
}

#endif
