/* teacher_mlp: regression by a 12-48-24-3 tanh network on what a random network of the same shape makes of N(0, 1) inputs. 1,000 rows, no
 * noise, so that a loss of 0 can be reached. Held out: never meta-trained on. */
#include "tasks/families/dense_net.h"

enum { ROWS = 1000, BATCH = 64, LAYERS = 3, INPUTS = 12, OUTPUTS = 3, WIDEST = 48 };
enum { DATA_INPUT, DATA_TEACHER };
#define TEACHER_GAIN 1.5f /* takes the teacher's units out of the linear part of tanh */

static const dense_net shape = {
    .layers = LAYERS, .activation = NET_TANH, .loss = NET_SQUARED_ERROR, .size = {INPUTS, WIDEST, 24, OUTPUTS}};

static dense_net net_of(const task_instance *t) {
    dense_net n = shape;
    n.rows = ROWS;
    n.batch = BATCH;
    n.inputs = t->data;
    n.input_stride = net_round(INPUTS, NET_PAD);
    n.targets = t->data + ROWS * n.input_stride;
    n.target_stride = net_round(OUTPUTS, NET_PAD);
    return n;
}

static void plan(task_instance *t) {
    dense_net n = net_of(t);
    net_plan(&n, t);
    t->data_floats = ROWS * (n.input_stride + n.target_stride);
}

/* The network with these parameters on one row. x [INPUTS], y [OUTPUTS] */
static void teach(const float *params, const float *x, float *y) {
    float a[WIDEST], z[WIDEST];
    memcpy(a, x, INPUTS * sizeof(float));
    for (int l = 0; l < LAYERS; l++) {
        const size_t in = shape.size[l], out = shape.size[l + 1];
        for (size_t o = 0; o < out; o++) {
            z[o] = params[in * out + o];
            for (size_t k = 0; k < in; k++) z[o] += params[k * out + o] * a[k];
        }
        for (size_t o = 0; o < out; o++) a[o] = tanhf(z[o]);
        params += (in + 1) * out;
    }
    memcpy(y, z, OUTPUTS * sizeof(float));
}

static void make(task_instance *t) {
    float params[(INPUTS + 1) * WIDEST + (WIDEST + 1) * 24 + (24 + 1) * OUTPUTS];
    const dense_net n = net_of(t);
    float *inputs = t->data, *targets = inputs + ROWS * n.input_stride;
    random_normals(t->seed, RANDOM_TASK_DATA, DATA_TEACHER, 0, sizeof params / sizeof params[0], params);
    for (size_t l = 0, at = 0; l < LAYERS; at += (n.size[l] + 1) * n.size[l + 1], l++)
        for (size_t i = 0; i < (n.size[l] + 1) * n.size[l + 1]; i++) params[at + i] *= TEACHER_GAIN / sqrtf((float)n.size[l]);
    for (uint32_t r = 0; r < ROWS; r++) {
        random_normals(t->seed, RANDOM_TASK_DATA, DATA_INPUT, r, INPUTS, inputs + r * n.input_stride);
        teach(params, inputs + r * n.input_stride, targets + r * n.target_stride);
    }
}

static void start(const task_instance *t, uint64_t seed, float *params) {
    dense_net n = net_of(t);
    net_start(&n, seed, 1.0f, 0, params);
}
static double loss_grad(const task_instance *t, const task_draw *draw, const float *params, float *grad, float *workspace) {
    dense_net n = net_of(t);
    return net_loss_grad(&n, draw, params, grad, workspace);
}
static void hvp(const task_instance *t, const task_draw *draw, const float *params, const float *v, float *out, float *workspace) {
    dense_net n = net_of(t);
    net_hvp(&n, draw, params, v, out, workspace);
}

static const lopt_task_key keys[] = {TASK_TRANSFORM_KEYS};
static const char *const instances[] = {"teacher_mlp"};

const task_family ISA_SYMBOL(teacher_mlp_family) = {
    {"teacher_mlp", "regression on a random network of the same shape, 12-48-24-3 tanh",
     "mean over rows of |output - target|^2, 1,000 rows, batch 64", sizeof keys / sizeof keys[0], keys, 1, instances, 1, 0},
    1,
    plan,
    make,
    start,
    loss_grad,
    hvp,
    NULL};
