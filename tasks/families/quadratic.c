/* quadratic: f(x) = 0.5 |W x - y|^2, W [n, n] and y [n] drawn N(0, 1), start N(0, 1). */
#include "kernels/cell/philox.h"
#include "tasks/families/linear.h"
#include "tasks/family.h"

enum { KEY_N };
enum { DATA_W, DATA_Y };

static size_t size_of(const task_instance *t) { return (size_t)t->values.number[KEY_N]; }

static void plan(task_instance *t) {
    const size_t n = size_of(t);
    t->num_tensors = 1;
    t->counts[0] = t->total = n;
    t->data_floats = n * n + n;
    t->workspace_floats = n + 16;
}

static void make(task_instance *t) {
    const size_t n = size_of(t);
    random_normals(t->seed, RANDOM_TASK_DATA, DATA_W, 0, n * n, t->data);
    random_normals(t->seed, RANDOM_TASK_DATA, DATA_Y, 0, n, t->data + n * n);
}

static void start(const task_instance *t, uint64_t seed, float *params) {
    random_normals(seed, RANDOM_TASK_START, 0, 0, t->total, params);
}

static double loss_grad(const task_instance *t, const task_draw *draw, const float *params, float *grad, float *residual) {
    const size_t n = size_of(t);
    (void)draw;
    if (grad) linear_normal(n, n, t->data, params, t->data + n * n, residual, grad);
    else linear_residual(n, n, t->data, params, t->data + n * n, residual);
    return 0.5 * linear_square_norm(n, residual);
}

static void hvp(const task_instance *t, const task_draw *draw, const float *params, const float *v, float *out, float *wv) {
    const size_t n = size_of(t);
    (void)draw;
    (void)params;
    linear_normal(n, n, t->data, v, NULL, wv, out);
}

static const lopt_task_key keys[] = {{"n", "number of parameters", 20, 1, 4096, 1, 0, "20"}, TASK_TRANSFORM_KEYS};
static const char *const instances[] = {
    "quadratic:n=20",         "quadratic:n=25",          "quadratic:n=50",  "quadratic:n=100",  "quadratic:n=20,noise=0.5",
    "quadratic:n=50,noise=1", "quadratic:n=100,noise=2", "quadratic:n=784", "quadratic:n=1024", "quadratic:n=2048"};

const task_family ISA_SYMBOL(quadratic_family) = {{"quadratic", "random convex quadratics",
                                                   "0.5 |W x - y|^2, W [n, n], y [n] ~ N(0, 1)", sizeof keys / sizeof keys[0], keys,
                                                   sizeof instances / sizeof instances[0], instances, 0, 0},
                                                  0,
                                                  plan,
                                                  make,
                                                  start,
                                                  loss_grad,
                                                  hvp,
                                                  NULL};
