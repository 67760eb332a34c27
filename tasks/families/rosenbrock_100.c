/* rosenbrock_100: f(x) = sum_{i<99} 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2 in 100 dimensions, start N(0, 1). Held out: never meta-trained on.
 * In double, as the function of two variables is: its residuals are differences of nearly equal numbers all along the valley. */
#include "kernels/cell/philox.h"
#include "tasks/families/doubles.h"
#include "tasks/family.h"

enum { COUNT = 100, STRIDE = (COUNT + DOUBLES_PAD - 1) / DOUBLES_PAD * DOUBLES_PAD };

/* x, x_{i+1} - x_i^2 and 1 - x_i, the latter two 0 from entry 99 on. [STRIDE] each */
typedef struct valley {
    double *x, *bend, *slope;
    double *v;
} valley;

static void plan(task_instance *t) {
    t->num_tensors = 1;
    t->counts[0] = t->total = COUNT;
    t->workspace_floats = doubles_floats(4 * STRIDE);
}

static void start(const task_instance *t, uint64_t seed, float *params) {
    random_normals(seed, RANDOM_TASK_START, 0, 0, t->total, params);
}

static valley solve(const float *params, float *workspace) {
    valley r;
    r.x = doubles_begin(workspace);
    r.bend = r.x + STRIDE;
    r.slope = r.bend + STRIDE;
    r.v = r.slope + STRIDE;
    doubles_from_floats(1, COUNT, params, r.x);
    doubles_clear(2, STRIDE, r.bend);
    TEAM_FOR(i, COUNT - 1) {
        r.bend[i] = r.x[i + 1] - r.x[i] * r.x[i];
        r.slope[i] = 1.0 - r.x[i];
    }
    team_sync();
    return r;
}

static double loss_grad(const task_instance *t, const task_draw *draw, const float *params, float *grad, float *workspace) {
    const valley r = solve(params, workspace);
    (void)t;
    (void)draw;
    if (grad) {
        TEAM_FOR(i, COUNT) {
            const double before = i > 0 ? r.bend[i - 1] : 0.0;
            grad[i] = (float)(200.0 * before - 400.0 * r.x[i] * r.bend[i] - 2.0 * r.slope[i]);
        }
        team_sync();
    }
    return 100.0 * doubles_dot(1, STRIDE, r.bend, r.bend) + doubles_dot(1, STRIDE, r.slope, r.slope);
}

/* Tridiagonal: 1200 x_i^2 - 400 x_{i+1} + 2 (not in the last row) + 200 (not in the first), beside it -400 x_i. */
static void hvp(const task_instance *t, const task_draw *draw, const float *params, const float *v, float *out, float *workspace) {
    const valley r = solve(params, workspace);
    (void)t;
    (void)draw;
    doubles_from_floats(1, COUNT, v, r.v);
    TEAM_FOR(i, COUNT) {
        double sum = 0.0;
        if (i > 0) sum += 200.0 * r.v[i] - 400.0 * r.x[i - 1] * r.v[i - 1];
        if (i < COUNT - 1) sum += (800.0 * r.x[i] * r.x[i] - 400.0 * r.bend[i] + 2.0) * r.v[i] - 400.0 * r.x[i] * r.v[i + 1];
        out[i] = (float)sum;
    }
    team_sync();
}

static const lopt_task_key keys[] = {TASK_TRANSFORM_KEYS};
static const char *const instances[] = {"rosenbrock_100"};

const task_family ISA_SYMBOL(rosenbrock_100_family) = {
    {"rosenbrock_100", "Rosenbrock's valley in 100 dimensions", "sum_{i<99} 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2",
     sizeof keys / sizeof keys[0], keys, sizeof instances / sizeof instances[0], instances, 1, 0},
    0,
    plan,
    NULL,
    start,
    loss_grad,
    hvp,
    NULL};
