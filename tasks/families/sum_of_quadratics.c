/* sum_of_quadratics: f(x) = mean over rows d of |x - d|^2 - |d|^2, + 1e-12. Written out, |x|^2 - 2 x . mean d + 1e-12: the rows are
 * N(0, 1) and their negatives, so that the whole loss is |x|^2 + 1e-12 and a minibatch, whose loss may be negative, is off by its own
 * mean. */
#include "tasks/families/row_means.h"

static void plan(task_instance *t) {
    const row_set s = row_set_of(t, ROW_MIRRORED);
    row_plan(&s, 0, t);
}
static void make(task_instance *t) { row_make(t, ROW_MIRRORED); }

static double loss_grad(const task_instance *t, const task_draw *draw, const float *x, float *grad, float *workspace) {
    const row_set s = row_set_of(t, ROW_MIRRORED);
    const float *mean = row_means(&s, draw, workspace);
    double along = 0.0;
    for (size_t j = 0; draw && j < s.n; j++) along += (double)x[j] * (double)mean[j];
    if (grad) TEAM_FOR_BLOCKS(j, s.n) block_store(grad, j, s.n, 2.0f * (block_load(x, j, s.n) - vf_load(mean + j)));
    return linear_square_norm(s.n, x) - 2.0 * along + 1e-12;
}

static void hvp(const task_instance *t, const task_draw *draw, const float *x, const float *v, float *out, float *workspace) {
    (void)draw;
    (void)x;
    (void)workspace;
    TEAM_FOR(j, t->total) out[j] = 2.0f * v[j];
}

static const char *const instances[] = ROW_INSTANCES("sum_of_quadratics");

const task_family ISA_SYMBOL(sum_of_quadratics_family) = {
    {"sum_of_quadratics", "|x|^2 behind the noise of minibatches",
     "mean over rows d of |x - d|^2 - |d|^2, + 1e-12; d ~ N(0, 1) and the negatives", sizeof row_keys / sizeof row_keys[0],
     row_keys, sizeof instances / sizeof instances[0], instances, 0, 0},
    1,
    plan,
    make,
    row_start,
    loss_grad,
    hvp,
    NULL,
    NULL,
    NULL,
    1};
