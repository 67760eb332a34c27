/* A user's task: callbacks on pointer arrays, presented with flat vectors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "tasks/task_object.h"

/* Pointers to the tensors of a flat vector, in an array of the caller. Casts drop const, as C callbacks of the API demand. */
static float **spread(const lopt_task *t, const float *flat, float **pointers) {
    for (size_t i = 0; flat && i < t->ops.num_tensors; i++) {
        pointers[i] = (float *)flat;
        flat += t->counts[i];
    }
    return flat ? pointers : NULL;
}

static lopt_status callback_status(const lopt_task *t, const char *callback, int result) {
    LOPT_CHECK(result == 0, LOPT_ERR_TASK, "task %s: its %s callback failed with %d", t->name, callback, result);
    return LOPT_OK;
}

/* Three pointer arrays on the heap for one call; a user's task may have any number of tensors. */
static lopt_status pointer_arrays(const lopt_task *t, float ***out) {
    void *memory = NULL;
    LOPT_TRY(memory_alloc(3 * t->ops.num_tensors, sizeof(float *), "a task's pointers", &memory));
    *out = memory;
    return LOPT_OK;
}

static void enter(const lopt_task *t) { pthread_mutex_lock((pthread_mutex_t *)&t->lock); }
static void leave(const lopt_task *t) { pthread_mutex_unlock((pthread_mutex_t *)&t->lock); }

lopt_status user_init(const lopt_task *t, uint64_t seed, float *params) {
    float **p = NULL;
    LOPT_TRY(pointer_arrays(t, &p));
    enter(t);
    int result = t->ops.init(t->self, seed, spread(t, params, p));
    leave(t);
    free(p);
    return callback_status(t, "init", result);
}

lopt_status user_loss_grad(const lopt_task *t, uint64_t seed, uint64_t step, const float *params, double *loss, float *grad) {
    float **p = NULL;
    LOPT_TRY(pointer_arrays(t, &p));
    enter(t);
    int result = t->ops.loss_grad(t->self, seed, step, (const float *const *)spread(t, params, p), loss,
                                  spread(t, grad, p + t->ops.num_tensors));
    leave(t);
    free(p);
    return callback_status(t, "loss_grad", result);
}

lopt_status user_full_loss_grad(const lopt_task *t, const float *params, double *loss, float *grad, float *workspace) {
    float **p = NULL;
    if (t->ops.full_loss_grad == NULL) return user_loss_grad(t, 0, 0, params, loss, grad ? grad : workspace);
    LOPT_TRY(pointer_arrays(t, &p));
    enter(t);
    int result =
        t->ops.full_loss_grad(t->self, (const float *const *)spread(t, params, p), loss, spread(t, grad, p + t->ops.num_tensors));
    leave(t);
    free(p);
    return callback_status(t, "full_loss_grad", result);
}

lopt_status user_hvp(const lopt_task *t, uint64_t seed, uint64_t step, const float *params, const float *v, float *out) {
    float **p = NULL;
    const size_t n = t->ops.num_tensors;
    LOPT_TRY(pointer_arrays(t, &p));
    enter(t);
    int result = t->ops.hvp(t->self, seed, step, (const float *const *)spread(t, params, p),
                            (const float *const *)spread(t, v, p + n), spread(t, out, p + 2 * n));
    leave(t);
    free(p);
    return callback_status(t, "hvp", result);
}

void user_free(lopt_task *t) {
    if (t->ops.destroy) t->ops.destroy(t->self);
    pthread_mutex_destroy(&t->lock);
}

enum { OPS_MAX = 4096 }; /* bytes of a later version's */

static lopt_status check_ops(const lopt_task_ops *ops) {
    LOPT_CHECK(ops != NULL && ops->struct_size >= sizeof(lopt_task_ops) && ops->struct_size <= OPS_MAX, LOPT_ERR_ARGUMENT,
               "lopt_task_from_ops: ops is NULL or its struct_size is not sizeof(lopt_task_ops)");
    LOPT_CHECK(ops->num_tensors > 0 && ops->counts != NULL, LOPT_ERR_ARGUMENT,
               "lopt_task_from_ops: a task needs at least one tensor");
    LOPT_CHECK(ops->init != NULL && ops->loss_grad != NULL, LOPT_ERR_ARGUMENT,
               "lopt_task_from_ops: the init and loss_grad callbacks must not be NULL");
    return LOPT_OK;
}

lopt_status lopt_task_from_ops(const lopt_task_ops *ops, void *self, lopt_task **out) {
    void *memory = NULL, *counts = NULL;
    size_t total = 0;
    LOPT_CHECK(out != NULL, LOPT_ERR_ARGUMENT, "lopt_task_from_ops: out is NULL");
    LOPT_TRY(check_ops(ops));
    for (size_t i = 0; i < ops->num_tensors; i++) {
        LOPT_CHECK(ops->counts[i] > 0, LOPT_ERR_ARGUMENT, "lopt_task_from_ops: tensor %zu has no elements", i);
        LOPT_CHECK(!__builtin_add_overflow(total, ops->counts[i], &total) && total < SIZE_MAX / 64, LOPT_ERR_ARGUMENT,
                   "lopt_task_from_ops: the tensors' sizes overflow");
    }
    LOPT_TRY(memory_alloc(1, sizeof(lopt_task), "a task", &memory));
    lopt_task *t = memory;
    lopt_status status = memory_alloc(ops->num_tensors, sizeof(size_t), "a task's tensor sizes", &counts);
    if (status == LOPT_OK && pthread_mutex_init(&t->lock, NULL) != 0) status = lopt_fail(LOPT_ERR_MEMORY, "no memory for a lock");
    if (status != LOPT_OK) {
        free(counts);
        free(t);
        return status;
    }
    snprintf(t->name, sizeof t->name, "%s", ops->name ? ops->name : "user");
    t->ops = *ops;
    t->ops.counts = t->counts = memcpy(counts, ops->counts, ops->num_tensors * sizeof(size_t));
    t->ops.name = t->name;
    t->total = total;
    t->num_tensors = ops->num_tensors;
    t->self = self;
    *out = t;
    return LOPT_OK;
}
