#include "tasks/task.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "tasks/task_object.h"

lopt_status lopt_task_create(const char *spec, uint64_t seed, lopt_task **out) {
    lopt_status status = LOPT_OK;
    void *memory = NULL;
    LOPT_CHECK(spec != NULL && out != NULL, LOPT_ERR_ARGUMENT, "lopt_task_create: spec and out must not be NULL");
    LOPT_TRY(memory_alloc(1, sizeof(lopt_task), "a task", &memory));
    lopt_task *t = memory;
    LOPT_TRY_CLEANUP(task_spec_parse(spec, &t->family, &t->instance.values, t->name, sizeof t->name));
    t->instance.seed = seed;
    t->family->plan(&t->instance);
    LOPT_TRY_CLEANUP(memory_floats(t->instance.data_floats, t->name, &t->instance.data));
    if (t->family->load) LOPT_TRY_CLEANUP(t->family->load(&t->instance));
    if (t->family->make) t->family->make(&t->instance);
    transform_make(t);
    *out = t;
    return LOPT_OK;
cleanup:
    free(t->instance.data);
    free(t);
    return status;
}

void lopt_task_free(lopt_task *t) {
    if (t == NULL) return;
    if (t->family == NULL) user_free(t);
    else if (t->family->unload) t->family->unload(&t->instance);
    free(t->instance.data);
    free(t);
}

const char *task_name(const lopt_task *t) { return t->name; }
const char *task_family_name(const lopt_task *t) { return t->family ? t->family->info.name : "user"; }
size_t task_num_tensors(const lopt_task *t) { return t->family ? t->instance.num_tensors : t->ops.num_tensors; }
const size_t *task_counts(const lopt_task *t) { return t->family ? t->instance.counts : t->user_counts; }
size_t task_total(const lopt_task *t) { return t->family ? t->instance.total : t->user_total; }
int task_has_hvp(const lopt_task *t) { return t->family != NULL || t->ops.hvp != NULL; }
int task_is_shareable(const lopt_task *t) { return t->family != NULL; }

int task_is_stochastic(const lopt_task *t) {
    return t->family ? t->family->stochastic || t->transform.noise > 0.0f : t->ops.full_loss_grad != NULL;
}

size_t task_workspace(const lopt_task *t) { return t->family ? transform_workspace(t) : t->user_total; }

lopt_status task_init(const lopt_task *t, uint64_t seed, float *params) {
    if (t->family == NULL) return user_init(t, seed, params);
    transform_start(t, seed, params);
    return LOPT_OK;
}

lopt_status task_loss_grad(const lopt_task *t, uint64_t seed, uint64_t step, const float *params, double *loss, float *grad,
                           float *workspace) {
    const task_draw draw = {seed, step};
    double value = 0.0;
    if (t->family == NULL)
        LOPT_TRY(user_loss_grad(t, seed, step, params, &value, grad));
    else
        value = transform_loss_grad(t, &draw, params, grad, workspace);
    if (loss) *loss = value;
    return LOPT_OK;
}

lopt_status task_full_loss_grad(const lopt_task *t, const float *params, double *loss, float *grad, float *workspace) {
    if (t->family == NULL) return user_full_loss_grad(t, params, loss, grad, workspace);
    *loss = transform_loss_grad(t, NULL, params, grad, workspace);
    return LOPT_OK;
}

lopt_status task_hvp(const lopt_task *t, uint64_t seed, uint64_t step, const float *params, const float *v, float *out,
                     float *workspace) {
    const task_draw draw = {seed, step};
    if (t->family == NULL) return user_hvp(t, seed, step, params, v, out);
    transform_hvp(t, &draw, params, v, out, workspace);
    return LOPT_OK;
}

double task_test_accuracy(const lopt_task *t, const float *params, float *workspace) {
    return t->family && t->family->accuracy ? transform_accuracy(t, params, workspace) : NAN;
}

const char *lopt_task_name(const lopt_task *t) { return t ? t->name : ""; }
size_t lopt_task_num_tensors(const lopt_task *t) { return t ? task_num_tensors(t) : 0; }
const size_t *lopt_task_counts(const lopt_task *t) { return t ? task_counts(t) : NULL; }
