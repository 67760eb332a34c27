/* mlp: sigmoid networks that imitate a random ReLU network, 1,000 samples, cross-entropy + l2 x mean over tensors of |.|^2. */
#include "tasks/families/dense_net.h"
#include "tasks/families/ordered_sums.h"

enum { KEY_INPUTS, KEY_HIDDEN, KEY_BATCH, KEY_L2, KEY_RARE };
enum { ROWS = 1000, INPUTS_LIMIT = 256 };
enum { TEACHER_LAYERS = 6, TEACHER_WIDTH = 20, TEACHER_TRIES = 64 };
enum { DATA_INPUT, DATA_TEACHER, DATA_RARE };

static dense_net net_of(const task_instance *t) {
    dense_net n = {0};
    n.layers = (int)t->values.list_count + 1;
    n.size[0] = (size_t)t->values.number[KEY_INPUTS];
    for (size_t i = 0; i < t->values.list_count; i++) n.size[i + 1] = t->values.list[i];
    n.size[n.layers] = 2;
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
    t->data_floats =
        n.input_stride * ROWS + net_round(ROWS, NET_PAD) + n.size[0] * ROWS; /* make draws inputs where the tiles will be */
}

/* One layer of the teacher for rows side by side: b = a W times the gain that keeps variances, for the first `out` of its units. */
static void teacher_layer(size_t in, size_t out, const float *w, const float *a, float *b) {
    const float gain = sqrtf(2.0f / (float)in);
    memset(b, 0, out * ORDERED_ROWS * sizeof *b);
    ordered_sums(out, in, w, 1, TEACHER_WIDTH, a, b);
    for (size_t i = 0; i < out * ORDERED_ROWS; i++) b[i] *= gain;
}

/* Labels of rows side by side by the first output of a teacher: six layers of width 20, the last one linear. x [inputs][ORDERED_ROWS] */
static void teach(size_t inputs, const float *x, const float *weights, float *labels) {
    float a[TEACHER_WIDTH * ORDERED_ROWS], b[TEACHER_WIDTH * ORDERED_ROWS];
    for (int l = 0; l < TEACHER_LAYERS; l++) {
        const size_t in = l == 0 ? inputs : TEACHER_WIDTH, out = l == TEACHER_LAYERS - 1 ? 1 : TEACHER_WIDTH;
        teacher_layer(in, out, weights, l == 0 ? x : a, b);
        for (size_t i = 0; i < out * ORDERED_ROWS; i++) a[i] = b[i] > 0.0f ? b[i] : 0.0f;
        weights += in * TEACHER_WIDTH;
    }
    for (size_t i = 0; i < ORDERED_ROWS; i++) labels[i] = a[i] > 0.0f ? 1.0f : 0.0f;
}

/* The data's rows [first, first + ORDERED_ROWS) side by side; 0 after the last. */
static void gather(const dense_net *n, size_t first, float *x) {
    for (size_t i = 0; i < ORDERED_ROWS; i++)
        for (size_t k = 0; k < n->size[0]; k++)
            x[k * ORDERED_ROWS + i] = first + i < ROWS ? n->inputs[(first + i) * n->input_stride + k] : 0.0f;
}

/* labels [ROWS, rounded up to ORDERED_ROWS]; returns how many are 1. */
static size_t label(const dense_net *n, const float *weights, float *labels) {
    float x[INPUTS_LIMIT * ORDERED_ROWS];
    size_t ones = 0;
    for (size_t first = 0; first < ROWS; first += ORDERED_ROWS) {
        gather(n, first, x);
        teach(n->size[0], x, weights, labels + first);
    }
    for (size_t r = 0; r < ROWS; r++) ones += labels[r] > 0.0f;
    return ones;
}

/* Labels by the first teacher under which both classes hold 10 %; the last one tried otherwise. */
static void make(task_instance *t) {
    const size_t inputs = (size_t)t->values.number[KEY_INPUTS], stride = net_round(inputs, NET_PAD);
    float weights[(INPUTS_LIMIT + (TEACHER_LAYERS - 1) * TEACHER_WIDTH) * TEACHER_WIDTH];
    float *labels = t->data + stride * ROWS, *drawn = labels + net_round(ROWS, NET_PAD);
    const dense_net n = net_of(t);
    random_normals(t->seed, RANDOM_TASK_DATA, DATA_INPUT, 0, inputs * ROWS, drawn);
    for (size_t i = 0; i < inputs * ROWS; i++) t->data[i % ROWS * stride + i / ROWS] = drawn[i];
    net_thin(&n, t->seed, DATA_RARE, t->values.number[KEY_RARE], t->data);
    net_whole_fill(&n, drawn);
    for (uint32_t attempt = 0; attempt < TEACHER_TRIES; attempt++) {
        random_normals(t->seed, RANDOM_TASK_DATA, DATA_TEACHER, attempt,
                       (inputs + (TEACHER_LAYERS - 1) * TEACHER_WIDTH) * TEACHER_WIDTH, weights);
        const size_t ones = label(&n, weights, labels);
        if (ones >= ROWS / 10 && ones <= ROWS - ROWS / 10) return;
    }
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

static const lopt_task_key keys[] = {{"inputs", "input features", 8, 1, INPUTS_LIMIT, 1, 0, "8"},
                                     {"hidden", "sizes of the hidden layers", 8, 1, 256, 1, 1, "8x5"},
                                     {"batch", "rows in a minibatch", 10, 1, ROWS, 1, 0, "10"},
                                     NET_L2_KEY,
                                     NET_RARE_KEY,
                                     TASK_TRANSFORM_KEYS};
static const char *const instances[] = {
    "mlp:inputs=8,hidden=8x5,batch=10",       "mlp:inputs=12,hidden=8x5x3,batch=200",  "mlp:inputs=5,hidden=4x4x4x4,batch=100",
    "mlp:inputs=11,hidden=4x5x6,batch=64",    "mlp:inputs=9,hidden=8,batch=128",       "mlp:inputs=7,hidden=8x5,batch=16",
    "mlp:inputs=8,hidden=32x64,batch=10",     "mlp:inputs=12,hidden=16x8x3,batch=200", "mlp:inputs=5,hidden=8x8x8x8,batch=100",
    "mlp:inputs=11,hidden=10x12x12,batch=64", "mlp:inputs=9,hidden=32,batch=128",      "mlp:inputs=7,hidden=32x64,batch=16"};

const task_family ISA_SYMBOL(mlp_family) = {
    {"mlp", "sigmoid networks that imitate a random ReLU network", "cross-entropy + l2 mean over tensors of |.|^2, 1,000 rows",
     sizeof keys / sizeof keys[0], keys, sizeof instances / sizeof instances[0], instances, 0, 0},
    1,
    plan,
    make,
    start,
    loss_grad,
    hvp,
    NULL};
