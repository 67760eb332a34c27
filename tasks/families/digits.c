/* digits_softmax and digits_mlp: classifiers of real handwritten digits, 1,500 rows to train, 297 to test. Held out: never meta-trained on. */
#include "tasks/data/digits.h"
#include "tasks/families/dense_net.h"

enum { CLASSES = 10, HIDDEN = 32, BATCH = 64 };

static dense_net net_of(const task_instance *t, int layers) {
    dense_net n = {0};
    n.layers = layers;
    n.relu = 1;
    n.size[0] = n.widest = DIGITS_PIXELS;
    n.size[1] = HIDDEN;
    n.size[layers] = CLASSES;
    n.rows = DIGITS_TRAIN;
    n.batch = BATCH;
    n.inputs = t->data;
    n.input_stride = DIGITS_ROWS;
    n.labels = t->data + DIGITS_PIXELS * DIGITS_ROWS;
    return n;
}

static void make(task_instance *t) {
    for (size_t r = 0; r < DIGITS_ROWS; r++) {
        for (size_t u = 0; u < DIGITS_PIXELS; u++) t->data[u * DIGITS_ROWS + r] = (float)digits_rows[r][u] / 16.0f;
        t->data[DIGITS_PIXELS * DIGITS_ROWS + r] = (float)digits_rows[r][DIGITS_PIXELS];
    }
}

/* Both networks differ in their layers and in the gain of their start alone. */
#define DIGITS_FAMILY(name, layers, gain, summary)                                                                              \
    static void name##_plan(task_instance *t) {                                                                                 \
        dense_net n = net_of(t, layers);                                                                                        \
        net_plan(&n, t);                                                                                                        \
        t->data_floats = (DIGITS_PIXELS + 1) * DIGITS_ROWS;                                                                     \
    }                                                                                                                           \
    static void name##_start(const task_instance *t, uint64_t seed, float *params) {                                           \
        dense_net n = net_of(t, layers);                                                                                        \
        net_start(&n, seed, gain, 0, params);                                                                                   \
    }                                                                                                                           \
    static double name##_loss_grad(const task_instance *t, const task_draw *draw, const float *params, float *grad, float *ws) { \
        dense_net n = net_of(t, layers);                                                                                        \
        return net_loss_grad(&n, draw, params, grad, ws);                                                                       \
    }                                                                                                                           \
    static void name##_hvp(const task_instance *t, const task_draw *draw, const float *params, const float *v, float *out,      \
                           float *ws) {                                                                                         \
        dense_net n = net_of(t, layers);                                                                                        \
        net_hvp(&n, draw, params, v, out, ws);                                                                                  \
    }                                                                                                                           \
    static double name##_accuracy(const task_instance *t, const float *params, float *ws) {                                    \
        dense_net n = net_of(t, layers);                                                                                        \
        n.inputs += DIGITS_TRAIN;                                                                                               \
        n.labels += DIGITS_TRAIN;                                                                                               \
        n.rows = DIGITS_ROWS - DIGITS_TRAIN;                                                                                    \
        return net_accuracy(&n, params, ws);                                                                                    \
    }                                                                                                                           \
    static const char *const name##_instances[] = {#name};                                                                     \
    const task_family ISA_SYMBOL(name##_family) = {                                                                             \
        {#name, summary, "cross-entropy, 1,500 rows, batch 64", TRANSFORM_KEYS, keys, 1, name##_instances, 1, 1},               \
        1, name##_plan, make, name##_start, name##_loss_grad, name##_hvp, name##_accuracy};

static const lopt_task_key keys[] = {TASK_TRANSFORM_KEYS};

DIGITS_FAMILY(digits_softmax, 1, 1.0f, "handwritten digits, linear classifier (held out)")
DIGITS_FAMILY(digits_mlp, 2, 1.41421356f, "handwritten digits, 64-32-10 ReLU network (held out)")
