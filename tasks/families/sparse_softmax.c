/* sparse_softmax: z = sum of the embeddings of `features` binary ids, logits = z W + b, label = parity of the ids plus a
 * Bernoulli(.25) error; 1,000 samples, cross-entropy + 1e-3 x mean over tensors of |.|^2. Tensors: the embeddings E [2, width] of the
 * ids 0 and 1, W [width, 2], b [2].
 *
 * Letters of dense_net.h, with two layers of which the first has no bias. Ids come as groups of two inputs that share E:
 * dense=1: a group for each id, its one-hot code, for each row (products with ones and zeros, as where there are but matrices);
 * dense=0: one group, how often each id is there. Rows with the same label and as many ones are the same row then, so that a loss
 * looks up each kind of row once, weighted by its share of the rows. */
#include "tasks/families/dense_net.h"

enum { KEY_FEATURES, KEY_WIDTH, KEY_BATCH, KEY_DENSE };
enum { ROWS = 1000, IDS = 2, CLASSES = 2, TENSORS = 3, FEATURES_LIMIT = 63 };
enum { DATA_IDS, DATA_ERROR };

/* [ROWS]: each row's kind; then [NET_TILE]: how many rows are of each. */
static float *kinds_of(const task_instance *t) { return t->data + ROWS; }

static size_t stride_of(const task_instance *t) { return net_round(IDS * (size_t)t->values.number[KEY_FEATURES], NET_PAD); }

static dense_net net_of(const task_instance *t) {
    const double *v = t->values.number;
    dense_net n = {0};
    n.layers = 2;
    n.size[0] = v[KEY_DENSE] > 0.0 ? IDS * (size_t)v[KEY_FEATURES] : IDS;
    n.size[1] = (size_t)v[KEY_WIDTH];
    n.size[2] = CLASSES;
    n.l2 = 1e-3f;
    n.rows = ROWS;
    n.batch = (uint32_t)v[KEY_BATCH];
    n.inputs = kinds_of(t) + ROWS + NET_TILE; /* one-hot codes of the ids */
    n.input_stride = stride_of(t);
    n.labels = t->data;
    return n;
}

static void plan(task_instance *t) {
    const dense_net n = net_of(t);
    net_plan(&n, t); /* for the workspace */
    t->num_tensors = TENSORS;
    t->counts[0] = IDS * n.size[1];
    t->counts[1] = n.size[1] * CLASSES;
    t->counts[2] = CLASSES;
    t->total = t->counts[0] + t->counts[1] + t->counts[2];
    t->data_floats = (2 + stride_of(t)) * ROWS + NET_TILE;
}

/* A row with k ones and label c is of kind 2 k + c. */
static void make(task_instance *t) {
    const size_t features = (size_t)t->values.number[KEY_FEATURES];
    float *labels = t->data, *kinds = kinds_of(t), *counts = kinds + ROWS, *codes = counts + NET_TILE;
    memset(counts, 0, NET_TILE * sizeof(float));
    for (uint32_t r = 0; r < ROWS; r++) {
        const random4 bits = random_bits(t->seed, RANDOM_TASK_DATA, DATA_IDS, r, 0);
        uint32_t ones = 0;
        for (size_t f = 0; f < features; f++) {
            const uint32_t id = bits.u[f / 32] >> (f % 32) & 1;
            codes[r * stride_of(t) + IDS * f] = (float)(1 - id);
            codes[r * stride_of(t) + IDS * f + 1] = (float)id;
            ones += id;
        }
        const uint32_t error = random_uniform(t->seed, RANDOM_TASK_DATA, DATA_ERROR, r, 0) < 0.25f;
        const uint32_t label = (ones + error) % 2, kind = CLASSES * ones + label;
        labels[r] = (float)label;
        kinds[r] = (float)kind;
        counts[kind] += 1.0f;
    }
}

static void start(const task_instance *t, uint64_t seed, float *params) {
    const size_t first[TENSORS] = {IDS, net_of(t).size[1], CLASSES};
    for (uint32_t i = 0; i < TENSORS; i++) {
        random_normals(seed, RANDOM_TASK_START, i, 0, t->counts[i], params);
        for (size_t j = 0; j < t->counts[i]; j++) params[j] *= 1.2f / sqrtf((float)first[i]);
        params += t->counts[i];
    }
}

/* The kinds of rows as one tile, each with the weight of the rows of it. */
CELL_FN void load_kinds(const task_instance *t, const dense_net *n, const task_draw *draw, net_tile *tile) {
    const size_t features = (size_t)t->values.number[KEY_FEATURES];
    const float *kinds = kinds_of(t);
    float count[NET_TILE] = {0};
    batch_order order;
    const size_t rows = net_rows(n, draw, &order);
    uint32_t row[ROWS];
    if (draw) batch_rows(&order, 0, n->batch, row);
    else memcpy(count, kinds + ROWS, sizeof count);
    for (size_t i = 0; draw && i < rows; i++) count[(size_t)kinds[row[i]]] += 1.0f;
    tile->rows = CLASSES * (features + 1);
    tile->span = net_round(tile->rows, VF_LANES);
    for (size_t i = 0; i < tile->span; i++) {
        const size_t ones = i < tile->rows ? i / CLASSES : 0;
        tile->a[0][i] = (float)(features - ones);
        tile->a[0][tile->span + i] = (float)ones;
        tile->label[i] = (float)(i % CLASSES);
        tile->weight[i] = count[i] / (float)rows;
    }
}

/* Tiles of this call, and the first or next of them. */
CELL_FN size_t tiles_of(const task_instance *t, const dense_net *n, const task_draw *draw) {
    batch_order order;
    return t->values.number[KEY_DENSE] > 0.0 ? (net_rows(n, draw, &order) + NET_TILE - 1) / NET_TILE : 1;
}
CELL_FN void load_tile(const task_instance *t, const dense_net *n, const task_draw *draw, size_t index, net_tile *tile) {
    batch_order order;
    const size_t rows = net_rows(n, draw, &order);
    if (t->values.number[KEY_DENSE] > 0.0) net_load(n, draw ? &order : NULL, index * NET_TILE, rows, tile);
    else load_kinds(t, n, draw, tile);
}

/* z = sum over groups of (codes of the group) E. */
CELL_FN void embed(const dense_net *n, const float *embeddings, const net_tile *tile, float *z) {
    const size_t width = n->size[1], span = tile->span;
    for (size_t g = 0; g < n->size[0]; g += IDS) {
        const net_product p = {.ks = IDS,
                               .outs = width,
                               .columns = span,
                               .w = embeddings,
                               .w_k = width,
                               .w_o = 1,
                               .x = tile->a[0] + g * span,
                               .x_k = span,
                               .z = z,
                               .z_o = span,
                               .add = g > 0};
        net_multiply(&p);
    }
}
/* Adds what delta of z gives to the embeddings. */
CELL_FN void embed_outer(const dense_net *n, const net_tile *tile, const float *delta, float *grad) {
    for (size_t g = 0; g < n->size[0]; g += IDS)
        net_outer(IDS, n->size[1], tile->a[0] + g * tile->span, delta, tile->span, tile->span, 1, grad, NULL, tile->scratch);
}

CELL_FN double forward(const dense_net *n, const float *params, net_tile *tile) {
    const float *w = params + IDS * n->size[1];
    embed(n, params, tile, tile->a[1]);
    net_up(n, 1, w, w + n->size[1] * CLASSES, tile->a[1], tile, 0, tile->a[2]);
    return loss_value(n, tile, tile->a[2]);
}

CELL_FN void backward(const dense_net *n, const float *params, net_tile *tile, float *grad) {
    const size_t w = IDS * n->size[1], b = w + n->size[1] * CLASSES;
    loss_delta(n, tile, tile->a[2], tile->delta);
    net_weights(n, 1, tile->a[1], tile->delta, tile, 1, grad + w, grad + b);
    net_down(n, 1, params + w, tile->delta, tile, 0, tile->delta_below);
    embed_outer(n, tile, tile->delta_below, grad);
}

static double loss_grad(const task_instance *t, const task_draw *draw, const float *params, float *grad, float *workspace) {
    const dense_net n = net_of(t);
    const float pull = n.l2 / (float)TENSORS;
    net_tile tile;
    double loss = 0.0;
    net_place(&n, workspace, &tile);
    for (size_t i = 0; grad && i < t->total; i++) grad[i] = 2.0f * pull * params[i];
    for (size_t i = 0; i < tiles_of(t, &n, draw); i++) {
        load_tile(t, &n, draw, i, &tile);
        loss += forward(&n, params, &tile);
        if (grad) backward(&n, params, &tile, grad);
    }
    return loss + (double)pull * linear_square_norm(t->total, params);
}

/* Derivatives of forward and backward along v (Pearlmutter's R operator, as in dense_net.h). */
CELL_FN void add_product(const dense_net *n, const float *params, const float *v, net_tile *tile, float *out) {
    const size_t w = IDS * n->size[1], b = w + n->size[1] * CLASSES;
    embed(n, v, tile, tile->ra[1]);
    net_up(n, 1, v + w, v + b, tile->a[1], tile, 0, tile->ra[2]);
    net_up(n, 1, params + w, NULL, tile->ra[1], tile, 1, tile->ra[2]);
    loss_delta(n, tile, tile->a[2], tile->delta);
    loss_delta_along(n, tile, tile->a[2], tile->ra[2], tile->rdelta);
    net_weights(n, 1, tile->a[1], tile->rdelta, tile, 1, out + w, out + b);
    net_weights(n, 1, tile->ra[1], tile->delta, tile, 1, out + w, NULL);
    net_down(n, 1, v + w, tile->delta, tile, 0, tile->rdelta_below);
    net_down(n, 1, params + w, tile->rdelta, tile, 1, tile->rdelta_below);
    embed_outer(n, tile, tile->rdelta_below, out);
}

static void hvp(const task_instance *t, const task_draw *draw, const float *params, const float *v, float *out, float *workspace) {
    const dense_net n = net_of(t);
    net_tile tile;
    net_place(&n, workspace, &tile);
    for (size_t i = 0; i < t->total; i++) out[i] = 2.0f * n.l2 / (float)TENSORS * v[i];
    for (size_t i = 0; i < tiles_of(t, &n, draw); i++) {
        load_tile(t, &n, draw, i, &tile);
        forward(&n, params, &tile);
        add_product(&n, params, v, &tile, out);
    }
}

static const lopt_task_key keys[] = {{"features", "binary ids in a row", 5, 1, FEATURES_LIMIT, 1, 0, "5"},
                                     {"width", "length of an embedding", 5, 1, 256, 1, 0, "5"},
                                     {"batch", "rows in a minibatch", 23, 1, ROWS, 1, 0, "23"},
                                     {"dense", "1: the same by products with one-hot codes", 0, 0, 1, 1, 0, "0"},
                                     TASK_TRANSFORM_KEYS};
static const char *const instances[] = {"sparse_softmax:features=5,batch=23", "sparse_softmax:features=5,batch=23,dense=1"};

const task_family ISA_SYMBOL(sparse_softmax_family) = {
    {"sparse_softmax", "linear classifiers on sums of embeddings; noisy parity of binary ids",
     "cross-entropy + 1e-3 mean over tensors of |.|^2, logits (sum of E[id]) W + b, 1,000 rows", sizeof keys / sizeof keys[0], keys,
     sizeof instances / sizeof instances[0], instances, 0, 0},
    1,
    plan,
    make,
    start,
    loss_grad,
    hvp,
    NULL};
