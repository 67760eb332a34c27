/* mnist_mlp and cifar10_mlp: ReLU networks on real images, read from the user's files (tasks/data). Held out: never meta-trained on. Both
 * differ in their images alone. */
#include "base/status.h"
#include "tasks/data/image_cache.h"
#include "tasks/families/dense_net.h"

enum { ROWS, HIDDEN = 64, BATCH = 64 };

static dense_net net_of_size(const task_instance *t, size_t pixels) {
    dense_net n = {0};
    n.layers = 2;
    n.activation = NET_RELU;
    n.size[0] = n.input_stride = pixels; /* 784 and 3,072: multiples of NET_PAD */
    n.size[1] = HIDDEN;
    n.size[2] = IMAGE_CLASSES;
    n.rows = (uint32_t)t->values.number[ROWS];
    n.batch = BATCH;
    return n;
}

/* With its data: image_set's layout. */
static dense_net net_of(const task_instance *t) {
    dense_net n = net_of_size(t, t->counts[0] / HIDDEN);
    n.inputs = t->shared;
    n.labels = t->shared + n.size[0] * (t->shared_train + t->shared_test);
    return n;
}

static void plan(task_instance *t, size_t pixels) {
    dense_net n = net_of_size(t, pixels);
    net_plan(&n, t);
}
static void mnist_plan(task_instance *t) { plan(t, MNIST_PIXELS); }
static void cifar10_plan(task_instance *t) { plan(t, CIFAR10_PIXELS); }

static lopt_status load(task_instance *t, const image_source *source) {
    image_set s = {0};
    LOPT_TRY(image_cache_take(source, (size_t)t->values.number[ROWS], &s));
    t->shared = s.data;
    t->shared_train = s.train;
    t->shared_test = s.test;
    return LOPT_OK;
}
static lopt_status mnist_load(task_instance *t) { return load(t, &mnist_source); }
static lopt_status cifar10_load(task_instance *t) { return load(t, &cifar10_source); }

static void unload(task_instance *t) { image_cache_release(t->shared); }

/* He et al. 2015; biases 0. */
static void start(const task_instance *t, uint64_t seed, float *params) {
    dense_net n = net_of(t);
    net_start(&n, seed, 1.41421356f, 0, params);
}

static double loss_grad(const task_instance *t, const task_draw *draw, const float *params, float *grad, float *workspace) {
    dense_net n = net_of(t);
    return net_loss_grad(&n, draw, params, grad, workspace);
}

static void hvp(const task_instance *t, const task_draw *draw, const float *params, const float *v, float *out, float *workspace) {
    dense_net n = net_of(t);
    net_hvp(&n, draw, params, v, out, workspace);
}

static double accuracy(const task_instance *t, const float *params, float *workspace) {
    dense_net n = net_of(t);
    n.inputs += t->shared_train * n.input_stride;
    n.labels += t->shared_train;
    n.rows = (uint32_t)t->shared_test;
    return net_accuracy(&n, params, workspace);
}

#define ROWS_KEY(most) \
    { "rows", "training rows that are the whole data, the first of the files", 10000, BATCH, most, 1, 0, "10000" }
static const lopt_task_key mnist_keys[] = {ROWS_KEY(60000), TASK_TRANSFORM_KEYS};
static const lopt_task_key cifar10_keys[] = {ROWS_KEY(50000), TASK_TRANSFORM_KEYS};
enum { KEYS = sizeof mnist_keys / sizeof mnist_keys[0] };
static const char *const mnist_instances[] = {"mnist_mlp"}, *const cifar10_instances[] = {"cifar10_mlp"};

#define FORMULA "cross-entropy, mean over `rows` rows, batch 64"
#define NEEDS(variable) " (needs files: " variable ")"

const task_family ISA_SYMBOL(mnist_mlp_family) = {{"mnist_mlp", "MNIST's digits, 784-64-10 ReLU network" NEEDS(MNIST_VARIABLE),
                                                   FORMULA, KEYS, mnist_keys, 1, mnist_instances, 1, 1, MNIST_VARIABLE},
                                                  1,
                                                  mnist_plan,
                                                  NULL,
                                                  start,
                                                  loss_grad,
                                                  hvp,
                                                  accuracy,
                                                  mnist_load,
                                                  unload};

const task_family ISA_SYMBOL(cifar10_mlp_family) = {{"cifar10_mlp",
                                                     "CIFAR-10's photos, 3072-64-10 ReLU network" NEEDS(CIFAR10_VARIABLE), FORMULA,
                                                     KEYS, cifar10_keys, 1, cifar10_instances, 1, 1, CIFAR10_VARIABLE},
                                                    1,
                                                    cifar10_plan,
                                                    NULL,
                                                    start,
                                                    loss_grad,
                                                    hvp,
                                                    accuracy,
                                                    cifar10_load,
                                                    unload};
