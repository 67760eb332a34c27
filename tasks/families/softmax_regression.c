/* softmax_regression: two classes of two Gaussian clusters each, 1,000 samples, cross-entropy + l2 x mean over tensors of |.|^2. */
#include "tasks/families/dense_net.h"
#include "tasks/families/ordered_sums.h"

enum { KEY_FEATURES, KEY_SEPARATION, KEY_BATCH, KEY_L2, KEY_RARE };
enum { ROWS = 1000, CLUSTERS = 4, FEATURES_LIMIT = 1024 };
enum { DATA_VERTEX, DATA_MAP, DATA_POINT, DATA_FLIP, DATA_RARE };

static dense_net net_of(const task_instance *t) {
    dense_net n = {0};
    n.layers = 1;
    n.size[0] = (size_t)t->values.number[KEY_FEATURES];
    n.size[1] = 2;
    n.l2 = (float)t->values.number[KEY_L2];
    n.rows = ROWS;
    n.batch = (uint32_t)t->values.number[KEY_BATCH];
    n.inputs = t->data;
    n.input_stride = net_round(n.size[0], NET_PAD);
    n.labels = t->data + n.input_stride * ROWS;
    n.whole = n.labels + net_round(ROWS, NET_PAD);
    return n;
}

static void plan(task_instance *t) {
    dense_net n = net_of(t);
    net_plan(&n, t);
    const size_t whole = net_whole_floats(&n), map = n.size[0] * n.size[0]; /* make draws its maps where the tiles will be */
    t->data_floats = n.input_stride * ROWS + net_round(ROWS, NET_PAD) + (whole > map ? whole : map);
}

/* The random linear map of a cluster, [d][d], entries uniform(-1, 1). */
static void draw_map(uint64_t seed, uint32_t cluster, size_t d, float *map) {
    for (size_t j = 0; j < d; j++)
        for (size_t k = 0; k < d; k += 4) {
            random4 bits = random_bits(seed, RANDOM_TASK_DATA, DATA_MAP, j * d + k, cluster);
            for (size_t i = 0; i < 4 && k + i < d; i++) map[j * d + k + i] = 2.0f * random_to_uniform(bits.u[i]) - 1.0f;
        }
}

/* Where a cluster's centre stands: a corner of the cube [-separation, separation]^d. */
static void draw_centre(uint64_t seed, uint32_t cluster, size_t d, float separation, float *centre) {
    for (size_t j = 0; j < d; j++) {
        const uint32_t side = random_bits(seed, RANDOM_TASK_DATA, DATA_VERTEX, (uint32_t)j, cluster).u[0] & 1;
        centre[j] = side ? separation : -separation;
    }
}

/* Rows first, first + CLUSTERS, ... of one cluster, as many as go side by side: x = centre + A z, z ~ N(0, 1). */
static void make_rows(task_instance *t, size_t first, size_t d, const float *centre, const float *map) {
    const size_t stride = net_round(d, NET_PAD);
    float row[FEATURES_LIMIT], z[FEATURES_LIMIT * ORDERED_ROWS], x[FEATURES_LIMIT * ORDERED_ROWS];
    size_t rows = 0;
    for (size_t r = first; r < ROWS && rows < ORDERED_ROWS; r += CLUSTERS, rows++) {
        random_normals(t->seed, RANDOM_TASK_DATA, DATA_POINT, (uint32_t)r, d, row);
        for (size_t k = 0; k < d; k++) z[k * ORDERED_ROWS + rows] = row[k];
    }
    for (size_t j = 0; j < d; j++)
        for (size_t i = 0; i < ORDERED_ROWS; i++) {
            if (i >= rows) z[j * ORDERED_ROWS + i] = 0.0f;
            x[j * ORDERED_ROWS + i] = centre[j];
        }
    ordered_sums(d, d, map, d, 1, z, x);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < d; j++) t->data[(first + i * CLUSTERS) * stride + j] = x[j * ORDERED_ROWS + i];
}

/* Row r belongs to cluster r % 4 and class r % 2. */
static void make(task_instance *t) {
    const size_t d = (size_t)t->values.number[KEY_FEATURES];
    float centre[FEATURES_LIMIT], *labels = t->data + net_round(d, NET_PAD) * ROWS, *map = labels + net_round(ROWS, NET_PAD);
    for (uint32_t cluster = 0; cluster < CLUSTERS; cluster++) {
        draw_map(t->seed, cluster, d, map);
        draw_centre(t->seed, cluster, d, (float)t->values.number[KEY_SEPARATION], centre);
        for (size_t r = cluster; r < ROWS; r += CLUSTERS * ORDERED_ROWS) make_rows(t, r, d, centre, map);
    }
    for (size_t r = 0; r < ROWS; r++) {
        const int flip = random_uniform(t->seed, RANDOM_TASK_DATA, DATA_FLIP, r, 0) < 0.01f;
        labels[r] = (float)((uint32_t)(r & 1) ^ (uint32_t)flip);
    }
    const dense_net n = net_of(t);
    net_thin(&n, t->seed, DATA_RARE, t->values.number[KEY_RARE], t->data);
    net_whole_fill(&n, map);
}

static void start(const task_instance *t, uint64_t seed, float *params) {
    dense_net n = net_of(t);
    net_start(&n, seed, 1.2f, 1, params);
}
static double loss_grad(const task_instance *t, const task_draw *draw, const float *params, float *grad, float *workspace) {
    dense_net n = net_of(t);
    return net_loss_grad(&n, draw, params, grad, workspace);
}
static void hvp(const task_instance *t, const task_draw *draw, const float *params, const float *v, float *out, float *workspace) {
    dense_net n = net_of(t);
    net_hvp(&n, draw, params, v, out, workspace);
}

static const lopt_task_key keys[] = {{"features", "input features", 10, 1, FEATURES_LIMIT, 1, 0, "10"},
                                     {"sep", "distance of the cluster centres from 0 along each axis", 2, 0, 100, 0, 0, "2"},
                                     {"batch", "rows in a minibatch", 100, 1, ROWS, 1, 0, "100"},
                                     NET_L2_KEY,
                                     NET_RARE_KEY,
                                     TASK_TRANSFORM_KEYS};
static const char *const instances[] = {"softmax_regression:features=10,sep=2,batch=100",
                                        "softmax_regression:features=100,sep=1,batch=50",
                                        "softmax_regression:features=200,sep=1.5,batch=20",
                                        "softmax_regression:features=256,sep=1.5,batch=100",
                                        "softmax_regression:features=10,sep=2,batch=100,noise=0.5",
                                        "softmax_regression:features=100,sep=1,batch=50,noise=0.1",
                                        "softmax_regression:features=200,sep=1.5,batch=20,noise=0.1",
                                        "softmax_regression:features=256,sep=1.5,batch=100,noise=0.5"};

const task_family ISA_SYMBOL(softmax_regression_family) = {
    {"softmax_regression", "linear classifiers on two classes of Gaussian clusters",
     "cross-entropy + l2 mean over tensors of |.|^2, 1,000 rows", sizeof keys / sizeof keys[0], keys,
     sizeof instances / sizeof instances[0], instances, 0, 0},
    1,
    plan,
    make,
    start,
    loss_grad,
    hvp,
    NULL};
