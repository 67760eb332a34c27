/* The task object: a sum of terms, each an instance of a family, under transforms; or a user's callbacks. */
#ifndef LOPT_TASKS_TASK_OBJECT_H
#define LOPT_TASKS_TASK_OBJECT_H

#include <pthread.h>

#include "tasks/spec.h"
#include "tasks/task.h"

/* What is done to a loss, and to its gradient after all differentiation. Rescaled parameters stand in lopt_task.inverse_scale. */
typedef struct task_transform {
    int log;             /* 1: log(f + 1e-6) - log 1e-6 */
    float sparse, noise; /* probability that an entry is zeroed; standard deviation */
} task_transform;

typedef struct task_term {
    const task_family *family;
    task_instance instance;
    task_transform transform;
    size_t first; /* its first parameter in the task's vector */
    int loaded;   /* 1: the family's unload is due */
} task_term;

struct lopt_task {
    char name[TASK_NAME_MAX];
    size_t num_tensors, *counts, total; /* of all terms, one after the other */
    size_t num_terms;                   /* 0: a user's task */
    task_term *term;
    task_transform transform; /* of the sum */
    float *inverse_scale;     /* [total]: f(x * inverse_scale), start / inverse_scale; 0: dead; NULL: all are 1 */
    size_t family_workspace;  /* floats: the largest that a term needs */
    /* user's task only */
    lopt_task_ops ops;
    void *self;
    pthread_mutex_t lock; /* `self` is entered by one thread at a time */
};

/* Independent randomness for term i of a sum, which for the first is that of the task: a single term is a sum of one. */
uint64_t term_seed(uint64_t seed, size_t term);

/* ---- The objective at rescaled parameters z: terms and logarithms (tasks/objective.c). z, v, grad, out [total] ---- */
double objective_loss_grad(const lopt_task *t, const task_draw *draw, const float *z, float *grad, float *workspace);
/* out = H v; grad is scratch. */
void objective_hvp(const lopt_task *t, const task_draw *draw, const float *z, const float *v, float *out, float *grad,
                   float *workspace);

/* ---- What is around it: rescaling, masks, noise (tasks/transform.c) ---- */
lopt_status transform_make(lopt_task *t, const task_spec *spec, uint64_t seed, const task_spread *augmentation);
size_t transform_workspace(const lopt_task *t);
void transform_start(const lopt_task *t, uint64_t seed, float *params);
double transform_loss_grad(const lopt_task *t, const task_draw *draw, const float *params, float *grad, float *workspace);
void transform_hvp(const lopt_task *t, const task_draw *draw, const float *params, const float *v, float *out, float *workspace);
double transform_accuracy(const lopt_task *t, const float *params, float *workspace);

/* ---- The user's callbacks, likewise (tasks/user_task.c) ---- */
lopt_status user_init(const lopt_task *t, uint64_t seed, float *params);
lopt_status user_loss_grad(const lopt_task *t, uint64_t seed, uint64_t step, const float *params, double *loss, float *grad);
lopt_status user_full_loss_grad(const lopt_task *t, const float *params, double *loss, float *grad, float *workspace);
lopt_status user_hvp(const lopt_task *t, uint64_t seed, uint64_t step, const float *params, const float *v, float *out);
void user_free(lopt_task *t);

#endif
