/* The task object: an instance of a family with its transforms, or a user's callbacks. */
#ifndef LOPT_TASKS_TASK_OBJECT_H
#define LOPT_TASKS_TASK_OBJECT_H

#include <pthread.h>

#include "tasks/family.h"
#include "tasks/task.h"

enum { TASK_NAME_MAX = 320 };

/* What is wrapped around the family's functions: f(x / s) with s per tensor, and gradient noise. */
typedef struct task_transform {
    float noise;
    int scaled;                        /* 0: all scales are 1 */
    float scale[TASK_TENSORS_MAX];     /* s of each tensor */
} task_transform;

struct lopt_task {
    char name[TASK_NAME_MAX];
    const task_family *family; /* NULL: a user's task */
    task_instance instance;
    task_transform transform;
    /* user's task only */
    lopt_task_ops ops;
    void *self;
    size_t *user_counts;
    size_t user_total;
    pthread_mutex_t lock; /* `self` is entered by one thread at a time */
};

/* The family's functions under the transforms (tasks/transform.c). */
void transform_make(lopt_task *t);
void transform_start(const lopt_task *t, uint64_t seed, float *params);
double transform_loss_grad(const lopt_task *t, const task_draw *draw, const float *params, float *grad, float *workspace);
void transform_hvp(const lopt_task *t, const task_draw *draw, const float *params, const float *v, float *out, float *workspace);
double transform_accuracy(const lopt_task *t, const float *params, float *workspace);
size_t transform_workspace(const lopt_task *t);

/* A user's callbacks on flat vectors (tasks/user_task.c). */
lopt_status user_init(const lopt_task *t, uint64_t seed, float *params);
lopt_status user_loss_grad(const lopt_task *t, uint64_t seed, uint64_t step, const float *params, double *loss, float *grad);
lopt_status user_full_loss_grad(const lopt_task *t, const float *params, double *loss, float *grad, float *workspace);
lopt_status user_hvp(const lopt_task *t, uint64_t seed, uint64_t step, const float *params, const float *v, float *out);
void user_free(lopt_task *t);

#endif
