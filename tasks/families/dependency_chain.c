/* dependency_chain: f(x) = sum_{i<n} (x_0^2 + x_{i+1}^2 / (x_i^2 + 1e-6)), n + 1 parameters, start N(0, 1). A parameter that goes to 0
 * before the next one has arrived there lifts the next one's term up to a millionfold: they are found in order, the last first.
 *
 * With scale_0 = n, scale_{k+1} = 1 / (x_k^2 + 1e-6) and pull_k = (x_{k+1} scale_{k+1})^2, pull_n = 0: f = sum scale_k x_k^2, gradient
 * 2 x_k (scale_k - pull_k). In double: the scales reach 1e6, and the Hessian has their third powers. */
#include "kernels/cell/philox.h"
#include "tasks/families/doubles.h"
#include "tasks/family.h"

enum { KEY_N };
#define OFFSET 1e-6

typedef struct chain {
    size_t count, stride;      /* n + 1 parameters */
    double *x, *scale, *pull;  /* [stride], zeros beyond count */
    double *square, *v, *link; /* x^2 [stride]; direction [stride]; link_k the Hessian's entry (k, k + 1) [stride] */
} chain;

static size_t count_of(const task_instance *t) { return (size_t)t->values.number[KEY_N] + 1; }

static void plan(task_instance *t) {
    t->num_tensors = 1;
    t->counts[0] = t->total = count_of(t);
    t->workspace_floats = doubles_floats(6 * doubles_stride(count_of(t)));
}

static void start(const task_instance *t, uint64_t seed, float *params) {
    random_normals(seed, RANDOM_TASK_START, 0, 0, t->total, params);
}

static chain solve(const task_instance *t, const float *params, float *workspace) {
    chain c = {0};
    c.count = count_of(t);
    c.stride = doubles_stride(c.count);
    c.x = doubles_begin(workspace);
    c.scale = c.x + c.stride;
    c.pull = c.scale + c.stride;
    c.square = c.pull + c.stride;
    c.v = c.square + c.stride;
    c.link = c.v + c.stride;
    doubles_from_floats(1, c.count, params, c.x);
    doubles_clear(3, c.stride, c.scale);
    TEAM_FOR(k, c.count) {
        c.square[k] = c.x[k] * c.x[k];
        if (k == 0) c.scale[0] = (double)(c.count - 1);
        if (k + 1 < c.count) c.scale[k + 1] = 1.0 / (c.square[k] + OFFSET);
    }
    team_sync();
    TEAM_FOR(k, c.count - 1) {
        const double ratio = c.x[k + 1] * c.scale[k + 1];
        c.pull[k] = ratio * ratio;
    }
    team_sync();
    return c;
}

static double loss_grad(const task_instance *t, const task_draw *draw, const float *params, float *grad, float *workspace) {
    const chain c = solve(t, params, workspace);
    (void)draw;
    if (grad) TEAM_FOR(k, c.count) grad[k] = (float)(2.0 * c.x[k] * (c.scale[k] - c.pull[k]));
    team_sync();
    return doubles_dot(1, c.stride, c.scale, c.square);
}

static void hvp(const task_instance *t, const task_draw *draw, const float *params, const float *v, float *out, float *workspace) {
    const chain c = solve(t, params, workspace);
    (void)draw;
    doubles_from_floats(1, c.count, v, c.v);
    TEAM_FOR(k, c.count - 1) c.link[k] = -4.0 * c.x[k] * c.x[k + 1] * c.scale[k + 1] * c.scale[k + 1];
    team_sync();
    TEAM_FOR(k, c.count) {
        double sum = 2.0 * (c.scale[k] - c.pull[k]) * c.v[k];
        if (k > 0) sum += c.link[k - 1] * c.v[k - 1];
        if (k + 1 < c.count) sum += 8.0 * c.square[k] * c.pull[k] * c.scale[k + 1] * c.v[k] + c.link[k] * c.v[k + 1];
        out[k] = (float)sum;
    }
    team_sync();
}

static const lopt_task_key keys[] = {{"n", "links of the chain, one less than parameters", 12, 1, 4096, 1, 0, "12"},
                                     TASK_TRANSFORM_KEYS};
static const char *const instances[] = {"dependency_chain:n=12", "dependency_chain:n=13", "dependency_chain:n=20",
                                        "dependency_chain:n=56", "dependency_chain:n=64"};

const task_family ISA_SYMBOL(dependency_chain_family) = {{"dependency_chain", "parameters that can only be found in order",
                                                          "sum_{i<n} x_0^2 + x_{i+1}^2 / (x_i^2 + 1e-6), n + 1 parameters",
                                                          sizeof keys / sizeof keys[0], keys,
                                                          sizeof instances / sizeof instances[0], instances, 0, 0},
                                                         0,
                                                         plan,
                                                         NULL,
                                                         start,
                                                         loss_grad,
                                                         hvp,
                                                         NULL};
