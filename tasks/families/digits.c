/* Networks on real handwritten digits, 1,500 rows to train, 297 to test. Held out: never meta-trained on. */
#include "tasks/data/digits.h"
#include "tasks/families/dense_net.h"

enum { PIXELS = DIGITS_PIXELS, CLASSES = 10, BATCH = 64 };

#define HE 1.41421356f /* gain of starts under ReLU (He et al. 2015); 1 under tanh */

static const dense_net digits_softmax = {.layers = 1, .size = {PIXELS, CLASSES}};
static const dense_net digits_mlp = {.layers = 2, .activation = NET_RELU, .size = {PIXELS, 32, CLASSES}};
static const dense_net digits_wide = {.layers = 2, .activation = NET_RELU, .size = {PIXELS, 512, CLASSES}};
static const dense_net digits_deep = {
    .layers = 11, .activation = NET_TANH, .size = {PIXELS, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, CLASSES}};
static const dense_net digits_autoencoder = {
    .layers = 4, .activation = NET_TANH, .loss = NET_SQUARED_ERROR, .size = {PIXELS, 32, 8, 32, PIXELS}};
/* Zeros around the images keep 8 x 8 places in the first layer and 4 x 4 in the second, so that the dense layer sees 16 x 4 x 4 units. */
static const dense_net digits_conv = {.layers = 3,
                                      .activation = NET_RELU,
                                      .size = {PIXELS, 8 * 8 * 8, 16 * 4 * 4, CLASSES},
                                      .conv = {{.channels = 1, .side = 8, .stride = 1}, {.channels = 8, .side = 8, .stride = 2}}};

static dense_net net_of(const task_instance *t, const dense_net *shape) {
    dense_net n = *shape;
    n.rows = DIGITS_TRAIN;
    n.batch = BATCH;
    n.inputs = n.targets = t->data;
    n.input_stride = n.target_stride = PIXELS;
    n.labels = t->data + PIXELS * DIGITS_ROWS;
    return n;
}

static void make(task_instance *t) {
    for (size_t r = 0; r < DIGITS_ROWS; r++) {
        for (size_t u = 0; u < PIXELS; u++) t->data[r * PIXELS + u] = (float)digits_rows[r][u] / 16.0f;
        t->data[PIXELS * DIGITS_ROWS + r] = (float)digits_rows[r][PIXELS];
    }
}

/* Biases 0; those of convolutions are small but positive: where the paper is blank, 0 would put their units exactly on the kink of ReLU. */
static void start(const task_instance *t, const dense_net *shape, float gain, uint64_t seed, float *params) {
    dense_net n = net_of(t, shape);
    net_start(&n, seed, gain, 0, params);
    for (int l = 0; n.conv[l].channels; l++) {
        const net_layer m = net_layer_at(&n, l);
        params += m.in * m.out;
        for (size_t o = 0; o < m.out; o++) *params++ = 0.01f;
    }
}

static double accuracy(const task_instance *t, const dense_net *shape, const float *params, float *ws) {
    dense_net n = net_of(t, shape);
    n.inputs += DIGITS_TRAIN * PIXELS;
    n.labels += DIGITS_TRAIN;
    n.rows = DIGITS_ROWS - DIGITS_TRAIN;
    return net_accuracy(&n, params, ws);
}

static const lopt_task_key keys[] = {TASK_TRANSFORM_KEYS};

/* The family of the network called `name`; `is_classifier` 0 or 1. */
#define DIGITS_FAMILY(name, gain, is_classifier, summary, formula)                                                               \
    static void name##_plan(task_instance *t) {                                                                                  \
        dense_net n = net_of(t, &name);                                                                                          \
        net_plan(&n, t);                                                                                                         \
        t->data_floats = (PIXELS + 1) * DIGITS_ROWS;                                                                             \
    }                                                                                                                            \
    static void name##_start(const task_instance *t, uint64_t seed, float *params) { start(t, &name, gain, seed, params); }      \
    static double name##_loss_grad(const task_instance *t, const task_draw *draw, const float *params, float *grad, float *ws) { \
        dense_net n = net_of(t, &name);                                                                                          \
        return net_loss_grad(&n, draw, params, grad, ws);                                                                        \
    }                                                                                                                            \
    static void name##_hvp(const task_instance *t, const task_draw *draw, const float *params, const float *v, float *out,       \
                           float *ws) {                                                                                          \
        dense_net n = net_of(t, &name);                                                                                          \
        net_hvp(&n, draw, params, v, out, ws);                                                                                   \
    }                                                                                                                            \
    static double name##_accuracy(const task_instance *t, const float *params, float *ws) {                                      \
        return accuracy(t, &name, params, ws);                                                                                   \
    }                                                                                                                            \
    static const char *const name##_instances[] = {#name};                                                                       \
    const task_family ISA_SYMBOL(name##_family) = {                                                                              \
        {#name, summary, formula ", 1,500 rows, batch 64", TRANSFORM_KEYS, keys, 1, name##_instances, 1, is_classifier},         \
        1,                                                                                                                       \
        name##_plan,                                                                                                             \
        make,                                                                                                                    \
        name##_start,                                                                                                            \
        name##_loss_grad,                                                                                                        \
        name##_hvp,                                                                                                              \
        (is_classifier) ? name##_accuracy : NULL};

DIGITS_FAMILY(digits_softmax, 1.0f, 1, "handwritten digits, linear classifier", "cross-entropy")
DIGITS_FAMILY(digits_mlp, HE, 1, "handwritten digits, 64-32-10 ReLU network", "cross-entropy")
DIGITS_FAMILY(digits_wide, HE, 1, "handwritten digits, 64-512-10 ReLU network", "cross-entropy")
DIGITS_FAMILY(digits_deep, 1.0f, 1, "handwritten digits, ten layers of 16 tanh units", "cross-entropy")
DIGITS_FAMILY(digits_conv, HE, 1, "handwritten digits, convolutions 3x3x8 and 3x3x16 of stride 2, ReLU, dense", "cross-entropy")
DIGITS_FAMILY(digits_autoencoder, 1.0f, 0, "handwritten digits, 64-32-8-32-64 tanh autoencoder",
              "mean over rows of |output - input|^2")
