/* A task as the engine, the trainer and the evaluation see it: an instance whose data is drawn, with its operations.
 *
 * All parameters of a task are one flat vector of `total` floats, the tensors one after the other. A task is read-only after it is made,
 * so that threads may share it; what an operation needs to write goes into the caller's workspace. A user's task by callbacks
 * (lopt_task_from_ops) stands behind the same functions and is entered by one thread at a time (task_is_shareable says so). */
#ifndef LOPT_TASKS_TASK_H
#define LOPT_TASKS_TASK_H

#include <stddef.h>
#include <stdint.h>

#include "lopt/lopt.h"

/* Random rescaling that is drawn with an instance: factors log-uniform from 1/spread to spread, one for the whole model, one per tensor,
 * one per parameter. 1: none. */
typedef struct task_spread {
    double model, tensor, parameter;
} task_spread;

/* As lopt_task_create, with rescaling beyond what the spec says. augmentation NULL: none. */
lopt_status task_create(const char *spec, uint64_t seed, const task_spread *augmentation, lopt_task **out);

/* Each function below returns LOPT_OK or LOPT_ERR_TASK (callbacks only). Non-finite values are not errors. */

const char *task_name(const lopt_task *t);        /* the instance: its spec in canonical form, e.g. "quadratic:n=20,noise=0.5" */
const char *task_family_name(const lopt_task *t); /* "quadratic"; "sum" of several; "user" for callbacks */
size_t task_num_tensors(const lopt_task *t);
const size_t *task_counts(const lopt_task *t); /* [num_tensors] */
size_t task_total(const lopt_task *t);         /* sum of counts */
int task_has_hvp(const lopt_task *t);
int task_is_stochastic(const lopt_task *t); /* 0: loss_grad does not depend on seed and step and is the whole loss */
int task_is_shareable(const lopt_task *t);  /* 0: one thread at a time */
size_t task_workspace(const lopt_task *t);  /* floats of scratch that the operations need; 64-byte aligned */

/* Starting parameters. params [total] out */
lopt_status task_init(const lopt_task *t, uint64_t seed, float *params);
/* Minibatch loss and gradient with the noise of (seed, step). loss may be NULL. grad [total] out */
lopt_status task_loss_grad(const lopt_task *t, uint64_t seed, uint64_t step, const float *params, double *loss, float *grad,
                           float *workspace);
/* The whole loss; grad [total] out or NULL. */
lopt_status task_full_loss_grad(const lopt_task *t, const float *params, double *loss, float *grad, float *workspace);
/* out [total] = J' v, J the Jacobian of loss_grad's gradient at (seed, step, params). Needs task_has_hvp. */
lopt_status task_hvp(const lopt_task *t, uint64_t seed, uint64_t step, const float *params, const float *v, float *out,
                     float *workspace);
/* Share of right answers on the task's test data, in [0, 1]; NaN where the task has no labels. */
double task_test_accuracy(const lopt_task *t, const float *params, float *workspace);

#endif
