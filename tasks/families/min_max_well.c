/* min_max_well: f(x) = max_i x_i^2 + 1/(min_i x_i^2 + 1e-12) - 2 + 1e-9. Only the largest and the smallest entry have a gradient and curvature;
 * of equals, the first is the largest and the last the smallest, so that they are always two. Start N(0, 1), entries smaller than 0.01 in
 * size raised to 0.01 with their sign (+ for 0). */
#include <math.h>

#include "kernels/cell/philox.h"
#include "kernels/cell/team.h"
#include "tasks/family.h"

enum { KEY_N };
#define OFFSET 1e-12
#define START_LEAST 0.01f

typedef struct well {
    size_t most, least; /* which entries */
    double x, y;        /* their values */
    double lift;        /* y^2 + 1e-12 */
} well;

static void plan(task_instance *t) {
    t->num_tensors = 1;
    t->counts[0] = t->total = (size_t)t->values.number[KEY_N];
}

static void start(const task_instance *t, uint64_t seed, float *params) {
    random_normals(seed, RANDOM_TASK_START, 0, 0, t->total, params);
    for (size_t i = 0; i < t->total; i++)
        if (fabsf(params[i]) < START_LEAST) params[i] = params[i] < 0.0f ? -START_LEAST : START_LEAST;
}

static well solve(const task_instance *t, const float *params) {
    well w = {0};
    for (size_t i = 1; i < t->total; i++) {
        const float size = fabsf(params[i]);
        if (size > fabsf(params[w.most])) w.most = i;
        if (size <= fabsf(params[w.least])) w.least = i;
    }
    w.x = (double)params[w.most];
    w.y = (double)params[w.least];
    w.lift = w.y * w.y + OFFSET;
    return w;
}

static void place(const task_instance *t, const well *w, double at_most, double at_least, float *out) {
    TEAM_FOR(i, t->total) out[i] = 0.0f;
    team_sync();
    out[w->most] = (float)at_most;
    out[w->least] = (float)at_least;
    team_sync();
}

/* Written as (max - min) + (lift - 1)^2 / lift + 1e-9 - 1e-12, which rounding cannot make negative. */
static double loss_grad(const task_instance *t, const task_draw *draw, const float *params, float *grad, float *workspace) {
    const well w = solve(t, params);
    (void)draw;
    (void)workspace;
    if (grad) place(t, &w, 2.0 * w.x, -2.0 * w.y / (w.lift * w.lift), grad);
    return (w.x * w.x - w.y * w.y) + (w.lift - 1.0) * (w.lift - 1.0) / w.lift + (1e-9 - OFFSET);
}

static void hvp(const task_instance *t, const task_draw *draw, const float *params, const float *v, float *out, float *workspace) {
    const well w = solve(t, params);
    const double bend = (8.0 * w.y * w.y / w.lift - 2.0) / (w.lift * w.lift);
    (void)draw;
    (void)workspace;
    place(t, &w, 2.0 * (double)v[w.most], bend * (double)v[w.least], out);
}

static const lopt_task_key keys[] = {{"n", "number of parameters", 12, 2, 4096, 1, 0, "12"}, TASK_TRANSFORM_KEYS};
static const char *const instances[] = {"min_max_well:n=12", "min_max_well:n=13", "min_max_well:n=20", "min_max_well:n=56",
                                        "min_max_well:n=64"};

const task_family ISA_SYMBOL(min_max_well_family) = {{"min_max_well", "a well with a gradient in two entries alone",
                                                      "max x^2 + 1/(min x^2 + 1e-12) - 2 + 1e-9", sizeof keys / sizeof keys[0],
                                                      keys, sizeof instances / sizeof instances[0], instances, 0, 0},
                                                     0,
                                                     plan,
                                                     NULL,
                                                     start,
                                                     loss_grad,
                                                     hvp,
                                                     NULL};
