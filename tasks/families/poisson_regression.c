/* poisson_regression: counts y of rate mu = exp(w . x + b); f = mean over rows of y log(y / mu) - (y - mu), half the deviance
 * (McCullagh and Nelder 1989, 2.3), which is the negative log-likelihood less the least that any rates could have. Held out: never
 * meta-trained on.
 *
 * 1,024 rows of 20 features x ~ N(0, 1), y ~ Poisson(exp(w . x + 1)), w ~ N(0, 0.15^2): rates of about e, most of them between 0.7
 * and 10. */
#include "tasks/families/dense_net.h"

enum { KEY_BATCH };
enum { ROWS = 1024, FEATURES = 20, STRIDE = 32, COUNT_LIMIT = 1000 }; /* STRIDE: of a row, whole NET_PADs */
enum { DATA_INPUT, DATA_WEIGHT, DATA_COUNT };

/* Beyond exp(20) the rate goes on in a straight line: a step that has thrown w far out sees a finite, convex loss with a continuous
 * slope. No fit comes near: counts end at 1,000. */
#define TOP 20.0f

/* A linear layer is a dense net without its softmax. */
static dense_net net_of(const task_instance *t) {
    dense_net n = {0};
    n.layers = 1;
    n.size[0] = FEATURES;
    n.size[1] = 1;
    n.rows = ROWS;
    n.batch = (uint32_t)t->values.number[KEY_BATCH];
    n.inputs = t->data;
    n.input_stride = STRIDE;
    n.labels = t->data + STRIDE * ROWS;
    return n;
}

static void plan(task_instance *t) {
    const dense_net n = net_of(t);
    net_plan(&n, t);
    t->data_floats = (STRIDE + 1) * ROWS;
}

/* The count whose place in the distribution of this rate is u, in [0, 1). */
static float draw_count(double rate, double u) {
    double probability = exp(-rate), below = probability;
    int y = 0;
    while (below <= u && y < COUNT_LIMIT) {
        y++;
        probability *= rate / y;
        below += probability;
    }
    return (float)y;
}

static void make(task_instance *t) {
    float w[FEATURES], *labels = t->data + STRIDE * ROWS;
    random_normals(t->seed, RANDOM_TASK_DATA, DATA_WEIGHT, 0, FEATURES, w);
    for (size_t r = 0; r < ROWS; r++) {
        float *x = t->data + r * STRIDE;
        double at = 1.0;
        random_normals(t->seed, RANDOM_TASK_DATA, DATA_INPUT, (uint32_t)r, FEATURES, x);
        for (size_t j = 0; j < FEATURES; j++) at += 0.15 * (double)w[j] * (double)x[j];
        labels[r] = draw_count(exp(at), (double)random_uniform(t->seed, RANDOM_TASK_DATA, DATA_COUNT, r, 0));
    }
}

static void start(const task_instance *t, uint64_t seed, float *params) {
    const dense_net n = net_of(t);
    net_start(&n, seed, 1.0f, 0, params);
}

/* z of all rows of the tile: inputs W + b, or along a direction. */
CELL_FN void predict(const dense_net *n, const float *params, const net_tile *tile, float *z) {
    net_up(n, 0, params, params + FEATURES, tile->a[0], tile, 0, z);
}

/* The tile's part of the loss, and delta = weight (mu' - y). y log y - y is taken without log 0: it is 0 for y = 0. */
CELL_FN double deviance(net_tile *tile) {
    vf loss = vf_set1(0.0f);
    for (size_t r = 0; r < tile->span; r += VF_LANES) {
        const vf z = vf_load(tile->a[1] + r), y = vf_load(tile->label + r), weight = vf_load(tile->weight + r);
        const vf held = vf_min(z, vf_set1(TOP)), slope = vf_exp(held);
        const vf mu = slope + slope * (z - held), least = y * vf_log(vf_max(y, vf_set1(1.0f))) - y;
        const vf part = mu - y * z + least;
        loss += weight * vf_select(part < vf_set1(0.0f), vf_set1(0.0f), part); /* rounding; NaN stays NaN */
        vf_store(tile->delta + r, weight * (slope - y));
    }
    return (double)vf_sum(loss);
}

/* delta's change along v: weight mu'' (v . x), mu'' = mu below TOP and 0 beyond. */
CELL_FN void deviance_along(net_tile *tile) {
    for (size_t r = 0; r < tile->span; r += VF_LANES) {
        const vf z = vf_load(tile->a[1] + r), bend = vf_select(z < vf_set1(TOP), vf_exp(z), vf_set1(0.0f));
        vf_store(tile->rdelta + r, vf_load(tile->weight + r) * bend * vf_load(tile->ra[1] + r));
    }
}

static double loss_grad(const task_instance *t, const task_draw *draw, const float *params, float *grad, float *workspace) {
    const dense_net n = net_of(t);
    net_tile tile;
    batch_order order;
    const size_t rows = net_rows(&n, draw, &order);
    double loss = 0.0;
    net_place(&n, workspace, &tile);
    for (size_t first = 0; first < rows; first += NET_TILE) {
        net_load(&n, draw ? &order : NULL, first, rows, &tile);
        predict(&n, params, &tile, tile.a[1]);
        loss += deviance(&tile);
        if (grad) net_weights(&n, 0, tile.a[0], tile.delta, &tile, first > 0, grad, grad + FEATURES);
    }
    return loss;
}

static void hvp(const task_instance *t, const task_draw *draw, const float *params, const float *v, float *out, float *workspace) {
    const dense_net n = net_of(t);
    net_tile tile;
    batch_order order;
    const size_t rows = net_rows(&n, draw, &order);
    net_place(&n, workspace, &tile);
    for (size_t first = 0; first < rows; first += NET_TILE) {
        net_load(&n, draw ? &order : NULL, first, rows, &tile);
        predict(&n, params, &tile, tile.a[1]);
        predict(&n, v, &tile, tile.ra[1]);
        deviance_along(&tile);
        net_weights(&n, 0, tile.a[0], tile.rdelta, &tile, first > 0, out, out + FEATURES);
    }
}

static const lopt_task_key keys[] = {{"batch", "rows in a minibatch", 64, 1, ROWS, 1, 0, "64"}, TASK_TRANSFORM_KEYS};
static const char *const instances[] = {"poisson_regression"};

const task_family ISA_SYMBOL(poisson_regression_family) = {
    {"poisson_regression", "counts whose rates are exponentials of a linear function",
     "mean of y log(y / mu) - (y - mu), mu = exp(w . x + b), 1,024 rows of 20 features", sizeof keys / sizeof keys[0], keys, 1,
     instances, 1, 0},
    1,
    plan,
    make,
    start,
    loss_grad,
    hvp,
    NULL};
