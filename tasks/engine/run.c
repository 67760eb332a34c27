/* Runs and workspaces: memory, start, checkpoints. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "kernels/cell/readout.h"
#include "tasks/engine/run.h"

static size_t round16(size_t n) { return (n + 15) / 16 * 16; }

static lopt_status place_run(unroll_run *r) {
    const lopt_dims d = r->layout.dims;
    const size_t *counts = task_counts(r->task);
    void *memory = NULL;
    LOPT_TRY(memory_alloc(2 * (r->num_tensors + 1), sizeof(size_t), "a run", &memory));
    r->param_at = memory;
    r->state_at = r->param_at + r->num_tensors + 1;
    for (size_t i = 0; i < r->num_tensors; i++) {
        r->param_at[i + 1] = r->param_at[i] + counts[i];
        r->state_at[i + 1] = r->state_at[i] + state_floats(r->kernels->lanes, d, counts[i]);
    }
    r->total = r->param_at[r->num_tensors];
    r->state_total = r->state_at[r->num_tensors];
    size_t params = round16(r->total), u = r->num_tensors * padded(d.tensor);
    r->storage_floats = (d.attention ? 2 : 1) * params + r->state_total + u + padded(d.global);
    LOPT_TRY(memory_floats(r->storage_floats, "a run", &r->storage));
    float *at = r->storage;
    r->state = at, at += r->state_total;
    r->theta = at, at += params;
    r->phi = d.attention ? at : r->theta;
    if (d.attention) at += params;
    r->u = at, at += u;
    r->v = at;
    return LOPT_OK;
}

lopt_status unroll_run_create(const weight_layout *layout, const lopt_task *task, unroll_run **out) {
    void *memory = NULL;
    LOPT_TRY(memory_alloc(1, sizeof(unroll_run), "a run", &memory));
    unroll_run *r = memory;
    r->layout = *layout;
    r->task = task;
    r->kernels = cpu_kernels_current();
    r->num_tensors = task_num_tensors(task);
    lopt_status status = place_run(r);
    if (status != LOPT_OK) {
        unroll_run_free(r);
        return status;
    }
    *out = r;
    return LOPT_OK;
}

void unroll_run_free(unroll_run *r) {
    if (r == NULL) return;
    free(r->param_at);
    free(r->storage);
    free(r);
}

void unroll_run_copy(unroll_run *to, const unroll_run *from) {
    to->at = from->at;
    memcpy(to->storage, from->storage, from->storage_floats * sizeof(float));
}

lopt_status unroll_workspace_create(unroll_workspace **out) {
    void *memory = NULL;
    LOPT_TRY(memory_alloc(1, sizeof(unroll_workspace), "a workspace", &memory));
    *out = memory;
    return LOPT_OK;
}

void unroll_workspace_free(unroll_workspace *ws) {
    if (ws == NULL) return;
    free(ws->tape);
    free(ws->scratch);
    gradient_sums_free(ws->sums);
    free(ws);
}

static lopt_status grow(void **buffer, size_t *have, size_t want, const char *what) {
    float *memory = NULL;
    if (want <= *have) return LOPT_OK;
    LOPT_TRY(memory_scratch(want, what, &memory));
    free(*buffer);
    *buffer = memory;
    *have = want;
    return LOPT_OK;
}

lopt_status workspace_reserve(unroll_workspace *ws, size_t tape_floats, size_t scratch_floats) {
    LOPT_TRY(grow(&ws->tape, &ws->tape_floats, tape_floats, "the tape of a window (use shorter windows or smaller tasks)"));
    return grow(&ws->scratch, &ws->scratch_floats, scratch_floats, "a workspace");
}

lopt_status workspace_sums(unroll_workspace *ws, const prepared_weights *w, gradient_sums **out) {
    if (ws->sums == NULL || memcmp(&ws->sums_layout, prepared_layout(w), sizeof(weight_layout)) != 0) {
        gradient_sums *fresh = NULL;
        LOPT_TRY(gradient_sums_create(w, &fresh));
        gradient_sums_free(ws->sums);
        ws->sums = fresh;
        ws->sums_layout = *prepared_layout(w);
    }
    gradient_sums_reset(ws->sums);
    *out = ws->sums;
    return LOPT_OK;
}

lopt_status unroll_run_start(unroll_run *r, const prepared_weights *w, uint64_t seed, double lr_min, double lr_max,
                             unroll_workspace *ws) {
    const lopt_dims d = r->layout.dims;
    LOPT_TRY(workspace_reserve(ws, 0, task_workspace(r->task)));
    LOPT_TRY(task_init(r->task, seed, r->theta));
    if (d.attention) memcpy(r->phi, r->theta, r->total * sizeof(float));
    r->at.seed = seed;
    r->at.step = 0;
    LOPT_TRY(task_full_loss_grad(r->task, r->theta, &r->at.start_loss, NULL, ws->scratch));
    for (size_t i = 0; i < r->num_tensors; i++) {
        step_initial_state(w, r->kernels->lanes, seed, lr_min, lr_max, i, r->param_at[i + 1] - r->param_at[i],
                           r->state + r->state_at[i]);
        memcpy(r->u + i * padded(d.tensor), prepared_initial(w, W_TENSOR_INITIAL_STATE), (size_t)d.tensor * sizeof(float));
    }
    memcpy(r->v, prepared_initial(w, W_GLOBAL_INITIAL_STATE), (size_t)d.global * sizeof(float));
    return LOPT_OK;
}

void unroll_run_shift_rates(unroll_run *r, double shift) {
    const int C = dims_state(r->layout.dims), log_lr = C - 1;
    for (size_t t = 0; t < r->num_tensors; t++)
        for (size_t i = 0; i < r->param_at[t + 1] - r->param_at[t]; i++) {
            float *alpha = &r->state[r->state_at[t] + state_index(r->kernels->lanes, C, i, log_lr)];
            *alpha = (float)fmin(fmax((double)*alpha + shift, -LOG_LR_MAX), LOG_LR_MAX);
        }
}

unroll_position unroll_run_position(const unroll_run *r) { return r->at; }

size_t unroll_run_floats(const unroll_run *r) {
    const lopt_dims d = r->layout.dims;
    return r->total * (size_t)(dims_state(d) + 2) + r->num_tensors * (size_t)d.tensor + (size_t)d.global;
}

/* Both directions walk the same order: theta, phi, state by parameter, u, v. */
static void exchange(unroll_run *r, float *values, int export) {
    const lopt_dims d = r->layout.dims;
    const int C = dims_state(d);
#define EXCHANGE(place)                \
    do {                               \
        float *place_ = (place);       \
        if (export) *values = *place_; \
        else *place_ = *values;        \
        values++;                      \
    } while (0)
    for (size_t i = 0; i < r->total; i++) EXCHANGE(&r->theta[i]);
    for (size_t i = 0; i < r->total; i++) EXCHANGE(&r->phi[i]);
    for (size_t t = 0; t < r->num_tensors; t++)
        for (size_t i = 0; i < r->param_at[t + 1] - r->param_at[t]; i++)
            for (int c = 0; c < C; c++) EXCHANGE(&r->state[r->state_at[t] + state_index(r->kernels->lanes, C, i, c)]);
    for (size_t t = 0; t < r->num_tensors; t++)
        for (int j = 0; j < d.tensor; j++) EXCHANGE(&r->u[t * padded(d.tensor) + (size_t)j]);
    for (int j = 0; j < d.global; j++) EXCHANGE(&r->v[j]);
#undef EXCHANGE
}

void unroll_run_export(const unroll_run *r, float *out) { exchange((unroll_run *)r, out, 1); }

void unroll_run_import(unroll_run *r, unroll_position at, const float *values) {
    r->at = at;
    memset(r->state, 0, r->state_total * sizeof(float));
    exchange(r, (float *)values, 0);
}
