#include "tasks/task.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "tasks/task_object.h"

static void free_terms(lopt_task *t) {
    for (size_t i = 0; t->term && i < t->num_terms; i++) {
        if (t->term[i].loaded) t->term[i].family->unload(&t->term[i].instance);
        free(t->term[i].instance.data);
    }
    free(t->term);
    free(t->counts);
    free(t->inverse_scale);
}

/* Plans the terms and lays them out in one vector. */
static lopt_status plan(lopt_task *t, const task_spec *spec, uint64_t seed) {
    void *memory = NULL;
    LOPT_TRY(memory_alloc(spec->num_terms, sizeof(task_term), t->name, &memory));
    t->term = memory;
    t->num_terms = spec->num_terms;
    for (size_t i = 0; i < t->num_terms; i++) {
        task_term *term = &t->term[i];
        term->family = spec->term[i].family;
        term->instance.values = spec->term[i].values;
        term->instance.seed = term_seed(seed, i);
        term->family->plan(&term->instance);
        term->first = t->total;
        t->total += term->instance.total;
        t->num_tensors += term->instance.num_tensors;
        if (term->instance.workspace_floats > t->family_workspace) t->family_workspace = term->instance.workspace_floats;
    }
    LOPT_TRY(memory_alloc(t->num_tensors, sizeof(size_t), t->name, &memory));
    t->counts = memory;
    for (size_t i = 0, at = 0; i < t->num_terms; at += t->term[i++].instance.num_tensors)
        memcpy(t->counts + at, t->term[i].instance.counts, t->term[i].instance.num_tensors * sizeof(size_t));
    return LOPT_OK;
}

static lopt_status make_data(lopt_task *t) {
    for (size_t i = 0; i < t->num_terms; i++) {
        task_instance *instance = &t->term[i].instance;
        LOPT_TRY(memory_floats(instance->data_floats, t->name, &instance->data));
        if (t->term[i].family->load) {
            LOPT_TRY(t->term[i].family->load(instance));
            t->term[i].loaded = 1;
        }
        if (t->term[i].family->make) t->term[i].family->make(instance);
    }
    return LOPT_OK;
}

lopt_status task_create(const char *text, uint64_t seed, const task_spread *augmentation, lopt_task **out) {
    lopt_status status = LOPT_OK;
    lopt_task *t = NULL;
    task_spec spec;
    void *memory = NULL;
    LOPT_TRY(task_spec_parse(text, &spec));
    LOPT_TRY(memory_alloc(1, sizeof(lopt_task), "a task", &memory));
    t = memory;
    strcpy(t->name, spec.name);
    LOPT_TRY_CLEANUP(plan(t, &spec, seed));
    LOPT_TRY_CLEANUP(make_data(t));
    LOPT_TRY_CLEANUP(transform_make(t, &spec, seed, augmentation));
    *out = t;
    return LOPT_OK;
cleanup:
    free_terms(t);
    free(t);
    return status;
}

lopt_status lopt_task_shape(const char *text, size_t *num_tensors, size_t *counts, size_t room) {
    task_spec spec;
    size_t n = 0;
    LOPT_CHECK(text != NULL && num_tensors != NULL && (counts != NULL || room == 0), LOPT_ERR_ARGUMENT,
               "lopt_task_shape: spec, num_tensors and counts must not be NULL");
    LOPT_TRY(task_spec_parse(text, &spec));
    for (size_t i = 0; i < spec.num_terms; i++) {
        task_instance instance = {.values = spec.term[i].values};
        spec.term[i].family->plan(&instance);
        for (size_t k = 0; k < instance.num_tensors; k++, n++)
            if (n < room) counts[n] = instance.counts[k];
    }
    *num_tensors = n;
    return LOPT_OK;
}

lopt_status lopt_task_create(const char *spec, uint64_t seed, lopt_task **out) {
    LOPT_CHECK(spec != NULL && out != NULL, LOPT_ERR_ARGUMENT, "lopt_task_create: spec and out must not be NULL");
    return task_create(spec, seed, NULL, out);
}

void lopt_task_free(lopt_task *t) {
    if (t == NULL) return;
    if (t->num_terms == 0) user_free(t);
    free_terms(t);
    free(t);
}

const char *task_name(const lopt_task *t) { return t->name; }
const char *task_family_name(const lopt_task *t) {
    if (t->num_terms == 0) return "user";
    return t->num_terms == 1 ? t->term[0].family->info.name : "sum";
}
size_t task_num_tensors(const lopt_task *t) { return t->num_tensors; }
const size_t *task_counts(const lopt_task *t) { return t->counts; }
size_t task_total(const lopt_task *t) { return t->total; }
int task_has_hvp(const lopt_task *t) { return t->num_terms > 0 || t->ops.hvp != NULL; }
int task_is_shareable(const lopt_task *t) { return t->num_terms > 0; }

static int is_random(const task_transform *r) { return r->sparse > 0.0f || r->noise > 0.0f; }

int task_is_stochastic(const lopt_task *t) {
    int random = t->num_terms == 0 ? t->ops.full_loss_grad != NULL : is_random(&t->transform);
    for (size_t i = 0; i < t->num_terms; i++) random |= t->term[i].family->stochastic || is_random(&t->term[i].transform);
    return random;
}

size_t task_workspace(const lopt_task *t) { return t->num_terms > 0 ? transform_workspace(t) : t->total; }

lopt_status task_init(const lopt_task *t, uint64_t seed, float *params) {
    if (t->num_terms == 0) return user_init(t, seed, params);
    transform_start(t, seed, params);
    return LOPT_OK;
}

lopt_status task_loss_grad(const lopt_task *t, uint64_t seed, uint64_t step, const float *params, double *loss, float *grad,
                           float *workspace) {
    const task_draw draw = {seed, step};
    double value = 0.0;
    if (t->num_terms == 0) LOPT_TRY(user_loss_grad(t, seed, step, params, &value, grad));
    else value = transform_loss_grad(t, &draw, params, grad, workspace);
    if (loss) *loss = value;
    return LOPT_OK;
}

lopt_status task_full_loss_grad(const lopt_task *t, const float *params, double *loss, float *grad, float *workspace) {
    if (t->num_terms == 0) return user_full_loss_grad(t, params, loss, grad, workspace);
    *loss = transform_loss_grad(t, NULL, params, grad, workspace);
    return LOPT_OK;
}

lopt_status task_hvp(const lopt_task *t, uint64_t seed, uint64_t step, const float *params, const float *v, float *out,
                     float *workspace) {
    const task_draw draw = {seed, step};
    if (t->num_terms == 0) return user_hvp(t, seed, step, params, v, out);
    transform_hvp(t, &draw, params, v, out, workspace);
    return LOPT_OK;
}

double task_test_accuracy(const lopt_task *t, const float *params, float *workspace) {
    return t->num_terms == 1 && t->term[0].family->accuracy ? transform_accuracy(t, params, workspace) : NAN;
}

const char *lopt_task_name(const lopt_task *t) { return t ? t->name : ""; }
size_t lopt_task_num_tensors(const lopt_task *t) { return t ? task_num_tensors(t) : 0; }
const size_t *lopt_task_counts(const lopt_task *t) { return t ? task_counts(t) : NULL; }
