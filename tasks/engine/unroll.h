/* Inner runs: a task trained by a learned optimizer, a window of steps at a time, with the exact gradient of the window's meta-loss with
 * respect to the weights (truncated backpropagation through time; Wichrowska et al. 2017, section 4.3 for the objective).
 *
 * One run is used by one thread at a time; a workspace belongs to a thread and serves any run. Everything is a pure function of the
 * arguments: same bits for any number of threads. */
#ifndef LOPT_TASKS_ENGINE_UNROLL_H
#define LOPT_TASKS_ENGINE_UNROLL_H

#include "kernels/cpu/prepared.h"
#include "tasks/task.h"

typedef struct unroll_run unroll_run;             /* parameters and optimizer state of one run */
typedef struct unroll_workspace unroll_workspace; /* tape and scratch; grows to the largest window it has seen */

/* A run on a task (borrowed; it must outlive the run) for weights of this shape. Not started. */
lopt_status unroll_run_create(const weight_layout *layout, const lopt_task *task, unroll_run **out);
void unroll_run_free(unroll_run *r);

lopt_status unroll_workspace_create(unroll_workspace **out);
void unroll_workspace_free(unroll_workspace *ws);

/* Draws the start from seed: parameters, learning rates; states from the weights. The run's minibatches and noise follow the same seed. */
lopt_status unroll_run_start(unroll_run *r, const prepared_weights *w, uint64_t seed, double lr_min, double lr_max,
                             unroll_workspace *ws);

/* Multiplies all learning rates of a run by exp(shift), within the bounds that a step keeps them in. */
void unroll_run_shift_rates(unroll_run *r, double shift);

/* Makes `to` stand where `from` does; both are runs of one task for weights of one shape. */
void unroll_run_copy(unroll_run *to, const unroll_run *from);

typedef struct unroll_window_args {
    size_t steps;           /* > 0 */
    int second_derivatives; /* 1: through the task's Hessian (task_has_hvp is then required) */
    float *gradient;        /* [layout.count] out, d meta_loss / d weights, overwritten; NULL: forward only */
    double *losses;         /* [steps] out, f(theta_t); NULL: not wanted */
} unroll_window_args;

typedef struct unroll_result {
    double meta_loss;  /* mean over the window of log( f(theta_t)/(f(theta_0) + 1e-6) + 1e-6 ); NaN if diverged */
    double final_loss; /* f(theta) after the window */
    int diverged;      /* 1: a loss or task gradient was not finite; the run must be started anew, the gradient is zero */
    size_t bounded;    /* adjoint entries that were bounded (zero gradient with curvature, see kernels/cell/features.h) */
} unroll_result;

lopt_status unroll_window(unroll_run *r, const prepared_weights *w, const unroll_window_args *a, unroll_workspace *ws,
                          unroll_result *out);

/* ---- For checkpoints: everything but the task, whose spec and seed the caller knows ---- */
typedef struct unroll_position {
    uint64_t seed, step; /* of the run */
    double start_loss;   /* f(theta_0) */
} unroll_position;
unroll_position unroll_run_position(const unroll_run *r);
size_t unroll_run_floats(const unroll_run *r);
void unroll_run_export(const unroll_run *r, float *out);                        /* [unroll_run_floats]; the same on every ISA */
void unroll_run_import(unroll_run *r, unroll_position at, const float *values); /* the run then goes on with the same bits */

#endif
