/* A network on a fixed data set, and the tile of rows that it works on at a time. */
#ifndef LOPT_TASKS_FAMILIES_NET_TILE_H
#define LOPT_TASKS_FAMILIES_NET_TILE_H

#include <string.h>

#include "tasks/families/batch.h"
#include "tasks/families/conv.h"
#include "tasks/families/net_activation.h"
#include "tasks/families/net_outer.h"

enum { NET_TILE = 128, NET_PAD = 16, NET_LAYERS_MAX = TASK_LIST_MAX + 1 };
enum { NET_CROSS_ENTROPY, NET_SQUARED_ERROR };

/* Letters: L layers, layer l maps size[l] to size[l + 1] units; tensors W [in, out] then b [out] for each. */
typedef struct dense_net {
    int layers, activation, loss;
    size_t size[NET_LAYERS_MAX + 1];
    conv_shape conv[NET_LAYERS_MAX]; /* all 0: the layer is dense */
    float l2;                        /* weight of the mean over tensors of |.|^2 */
    uint32_t rows, batch;
    /* Data by rows, strides multiples of NET_PAD, zeros after the last unit. */
    const float *inputs; /* [rows][input_stride] */
    size_t input_stride;
    const float *labels;  /* [rows], whole numbers: cross-entropy */
    const float *targets; /* [rows][target_stride]: squared error; `inputs` itself: the inputs are to be returned */
    size_t target_stride;
    /* inputs of the data's full tiles as net_load makes them (net_whole_fill); NULL: made anew for every look */
    const float *whole;
} dense_net;

/* A layer as a matrix that is applied at each of `places` (1: dense). */
typedef struct net_layer {
    size_t in, out, places;
} net_layer;
CELL_FN net_layer net_layer_at(const dense_net *n, int l) {
    const conv_shape s = n->conv[l];
    if (s.channels == 0) return (net_layer){n->size[l], n->size[l + 1], 1};
    return (net_layer){CONV_TAPS * (size_t)s.channels, n->size[l + 1] / conv_places(s), conv_places(s)};
}

CELL_FN size_t net_total(const dense_net *n) {
    size_t total = 0;
    for (int l = 0; l < n->layers; l++) {
        const net_layer layer = net_layer_at(n, l);
        total += (layer.in + 1) * layer.out;
    }
    return total;
}

/* Buffers of one tile, in the workspace. Activations are [unit][span]: rows of the data are the fast axis, rounded up to whole vectors. */
typedef struct net_tile {
    size_t rows, span;
    float *a[NET_LAYERS_MAX + 1], *delta, *delta_below; /* a[0] the inputs ... a[L] the outputs; probabilities for cross-entropy */
    float *ra[NET_LAYERS_MAX + 1], *rdelta, *rdelta_below; /* along a direction v, for J'v */
    float *inputs;                                         /* room for a[0], where the task has not got them ready */
    float *columns;                                        /* a convolution's inputs at each place (conv.h) */
    float *target;                                         /* [outputs][span] */
    float *scratch;                                        /* of net_outer and net_load */
    float label[NET_TILE], weight[NET_TILE];               /* weight: 1/rows of the mean, 0 beyond the last row */
} net_tile;

CELL_FN float *net_take(float *workspace, size_t *used, size_t floats) {
    float *at = workspace ? workspace + *used : NULL;
    *used += floats;
    return at;
}

/* Places the buffers in the workspace; returns the number of floats, which is all there is to know when workspace is NULL. Units are
 * rounded up to four for net_transpose. */
CELL_FN size_t net_place(const dense_net *n, float *workspace, net_tile *t) {
    size_t used = 0, widest = 0, columns = 0, scratch = n->target_stride > n->input_stride ? n->target_stride : n->input_stride;
    t->inputs = workspace; /* where a[0] is placed */
    for (int l = 0; l <= n->layers; l++) {
        const size_t units = net_round(n->size[l], 4);
        t->a[l] = net_take(workspace, &used, units * NET_TILE);
        t->ra[l] = net_take(workspace, &used, units * NET_TILE);
        widest = units > widest ? units : widest;
        if (l == n->layers) break;
        const net_layer layer = net_layer_at(n, l);
        if (n->conv[l].channels && layer.in * layer.places > columns) columns = layer.in * layer.places;
        if (net_stride(layer.out) > scratch) scratch = net_stride(layer.out);
    }
    t->delta = net_take(workspace, &used, widest * NET_TILE);
    t->delta_below = net_take(workspace, &used, widest * NET_TILE);
    t->rdelta = net_take(workspace, &used, widest * NET_TILE);
    t->rdelta_below = net_take(workspace, &used, widest * NET_TILE);
    t->columns = net_take(workspace, &used, columns * NET_TILE);
    t->target = net_take(workspace, &used, n->target_stride * NET_TILE);
    t->scratch = net_take(workspace, &used, scratch * NET_TILE);
    return used;
}

/* Fills a task instance's tensors and workspace from the net's sizes. */
CELL_FN void net_plan(const dense_net *n, task_instance *t) {
    net_tile tile;
    t->num_tensors = 0;
    for (int l = 0; l < n->layers; l++) {
        const net_layer layer = net_layer_at(n, l);
        t->counts[t->num_tensors++] = layer.in * layer.out;
        t->counts[t->num_tensors++] = layer.out;
    }
    t->total = net_total(n);
    t->workspace_floats = net_place(n, NULL, &tile);
}

/* Rows `row` [t->span] of data, as [unit][span]; `in_order`: they are neighbours, so that there is nothing to collect. */
CELL_FN void net_gather(const float *data, size_t stride, const uint32_t *row, int in_order, const net_tile *t, size_t units,
                        float *to) {
    TEAM_FOR(i, in_order ? 0 : t->span)
    for (size_t u = 0; u < stride; u += VF_LANES) vf_store(t->scratch + i * stride + u, vf_load(data + row[i] * stride + u));
    team_sync();
    net_transpose(in_order ? data + row[0] * stride : t->scratch, stride, t->span, units, to, t->span);
}

/* The full tiles of the whole data's inputs, [tile][unit][NET_TILE], whatever the width of vectors: how many floats, and filling them. */
CELL_FN size_t net_whole_floats(const dense_net *n) { return n->rows / NET_TILE * NET_TILE * n->size[0]; }
CELL_FN void net_whole_fill(const dense_net *n, float *whole) {
    for (size_t first = 0; first + NET_TILE <= n->rows; first += NET_TILE)
        for (size_t u = 0; u < n->size[0]; u++)
            for (size_t i = 0; i < NET_TILE; i++) *whole++ = n->inputs[(first + i) * n->input_stride + u];
}

/* Inputs, labels or targets, and weights of rows [first, first + NET_TILE) of the batch, or of the whole data (order NULL). Rows that do
 * not exist repeat the first, with weight 0. */
CELL_FN void net_load(const dense_net *n, const batch_order *order, size_t first, size_t total, net_tile *t) {
    uint32_t row[NET_TILE];
    t->rows = total - first < NET_TILE ? total - first : NET_TILE;
    t->span = net_round(t->rows, VF_LANES);
    if (order) batch_rows(order, (uint32_t)first, (uint32_t)t->rows, row);
    for (size_t i = 0; i < t->span; i++) {
        if (i >= t->rows) row[i] = row[0];
        else if (!order) row[i] = (uint32_t)(first + i);
        t->label[i] = n->labels ? n->labels[row[i]] : 0.0f;
        t->weight[i] = i < t->rows ? 1.0f / (float)total : 0.0f;
    }
    const int in_order = !order && t->rows == t->span;
    const int ready = n->whole && !order && t->rows == NET_TILE;
    t->a[0] = ready ? (float *)(n->whole + first * n->size[0]) : t->inputs; /* what is ready is only read */
    if (!ready) net_gather(n->inputs, n->input_stride, row, in_order, t, n->size[0], t->a[0]);
    if (n->targets == n->inputs) t->target = t->a[0];
    else if (n->targets) net_gather(n->targets, n->target_stride, row, in_order, t, n->size[n->layers], t->target);
}

#endif
