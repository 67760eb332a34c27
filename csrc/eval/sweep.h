/* The baselines on one task: every method at every learning rate, and the loss curves of those worth looking at. It does not depend
 * on any learned optimizer, so it is kept (sweep_cache.h). */
#ifndef LOPT_EVAL_SWEEP_H
#define LOPT_EVAL_SWEEP_H

#include "csrc/eval/schedule.h"

/* Losses of the same runs over several seeds. */
typedef struct eval_curve {
    double *losses;          /* [seeds][grid.count] */
    double *accuracy;        /* [seeds] */
    double seconds_per_step; /* mean over the seeds */
} eval_curve;

lopt_status eval_curve_create(size_t seeds, size_t points, eval_curve *out);
void eval_curve_release(eval_curve *c);

/* Curve BASELINE_COUNT is Adam at 1e-3; those before are each method at its best rate. */
enum { SWEEP_DEFAULT_ADAM = BASELINE_COUNT, SWEEP_CURVES };

typedef struct sweep_request {
    const char *spec; /* of the task, in the task's own canonical form */
    size_t seeds;
    uint64_t seed;
    eval_grid grid;
    uint64_t fingerprint; /* sweep_fingerprint: files may be others than before, and tasks be written anew */
} sweep_request;

typedef struct task_sweep {
    size_t seeds;
    double *finals; /* [BASELINE_COUNT][EVAL_RATE_COUNT][seeds], the last loss; NaN: diverged */
    eval_curve curves[SWEEP_CURVES];
} task_sweep;

/* Zeroed, of the request's size. */
lopt_status task_sweep_create(const sweep_request *q, task_sweep *out);
void task_sweep_release(task_sweep *s); /* accepts a zeroed one */

/* Runs that a sweep takes. */
size_t task_sweep_runs(size_t seeds);
/* Fills `out` (created). If the control is stopped, what it holds means nothing. */
lopt_status task_sweep_run(const sweep_request *q, eval_control *c, task_sweep *out);

/* Mean over the seeds of the last loss of a method at a rate; NaN if any diverged. */
double task_sweep_final(const task_sweep *s, size_t method, size_t rate);
/* The rate with the lowest such mean, the smallest of equals; the rate with the fewest diverged runs where all means are NaN. */
size_t task_sweep_best_rate(const task_sweep *s, size_t method);
/* The method that at its best rate has the lowest mean last loss, the first of equals; fewest diverged runs where all means are NaN. */
size_t task_sweep_best_method(const task_sweep *s);

#endif
