/* projection_quadratic: f(x) = mean over rows d of |x o d|^2, d ~ N(0, 1) and the negatives: sum over j of x_j^2 mean d_j^2. Each
 * minibatch has another curvature along each axis. */
#include "tasks/families/row_means.h"

static void plan(task_instance *t) {
    const row_set s = row_set_of(t, ROW_MIRRORED_SQUARE);
    row_plan(&s, 0, t);
}
static void make(task_instance *t) { row_make(t, ROW_MIRRORED_SQUARE); }

/* out = 2 a o mean d^2: the gradient at a, and as f is quadratic, the Hessian times a. */
CELL_FN void twice_projected(const row_set *s, const float *mean, const float *a, float *out) {
    TEAM_FOR_BLOCKS(j, s->n) block_store(out, j, s->n, 2.0f * block_load(a, j, s->n) * vf_load(mean + j));
}

static double loss_grad(const task_instance *t, const task_draw *draw, const float *x, float *grad, float *workspace) {
    const row_set s = row_set_of(t, ROW_MIRRORED_SQUARE);
    const float *mean = row_means(&s, draw, workspace);
    double loss = 0.0;
    for (size_t j = 0; j < s.n; j++) loss += (double)x[j] * (double)x[j] * (double)mean[j];
    if (grad) twice_projected(&s, mean, x, grad);
    return loss;
}

static void hvp(const task_instance *t, const task_draw *draw, const float *x, const float *v, float *out, float *workspace) {
    const row_set s = row_set_of(t, ROW_MIRRORED_SQUARE);
    (void)x;
    twice_projected(&s, row_means(&s, draw, workspace), v, out);
}

static const char *const instances[] = ROW_INSTANCES("projection_quadratic");

const task_family ISA_SYMBOL(projection_quadratic_family) = {
    {"projection_quadratic", "a bowl whose curvatures differ from minibatch to minibatch",
     "mean over rows d of |x o d|^2; d ~ N(0, 1) and the negatives", sizeof row_keys / sizeof row_keys[0], row_keys,
     sizeof instances / sizeof instances[0], instances, 0, 0},
    1,
    plan,
    make,
    row_start,
    loss_grad,
    hvp,
    NULL};
