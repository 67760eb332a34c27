/* How an optimizer's parameters are cut, and its memory. */
#include "base/memory.h"
#include "base/status.h"
#include "csrc/optimizer/optimizer.h"

enum { GROUP_PARAMETERS = 1 << 18 };

lopt_status optimizer_alloc(lopt_optimizer *opt, size_t count, size_t size, const char *what, void **out) {
    LOPT_TRY(memory_alloc(count, size, what, out));
    opt->bytes += count * size;
    return LOPT_OK;
}

static lopt_status floats(lopt_optimizer *opt, size_t count, float **out) {
    void *memory = NULL;
    LOPT_TRY(optimizer_alloc(opt, count, sizeof(float), "an optimizer", &memory));
    *out = memory;
    return LOPT_OK;
}

static lopt_status sizes(lopt_optimizer *opt, size_t count, size_t **out) {
    void *memory = NULL;
    LOPT_TRY(optimizer_alloc(opt, count, sizeof(size_t), "an optimizer", &memory));
    *out = memory;
    return LOPT_OK;
}

/* Where each tensor's parameters, state and chunks begin. */
static lopt_status plan_tensors(lopt_optimizer *opt, const size_t *counts) {
    const size_t n = opt->num_tensors;
    LOPT_CHECK(n < SIZE_MAX / 64, LOPT_ERR_MEMORY, "no memory for %zu tensors", n);
    LOPT_TRY(sizes(opt, n, &opt->counts));
    LOPT_TRY(sizes(opt, n + 1, &opt->param_at));
    LOPT_TRY(sizes(opt, n + 1, &opt->state_at));
    LOPT_TRY(sizes(opt, n + 1, &opt->chunk_at));
    for (size_t i = 0; i < n; i++) {
        LOPT_CHECK(counts[i] > 0, LOPT_ERR_ARGUMENT, "lopt_optimizer_create: tensor %zu has no elements; leave it out", i);
        LOPT_CHECK(counts[i] < SIZE_MAX / 1024 && opt->param_at[i] < SIZE_MAX / 1024, LOPT_ERR_MEMORY,
                   "lopt_optimizer_create: the sizes of the tensors up to %zu are more than memory can hold", i);
        opt->counts[i] = counts[i];
        opt->param_at[i + 1] = opt->param_at[i] + counts[i];
        opt->state_at[i + 1] = opt->state_at[i] + state_floats(opt->kernels->lanes, opt->layout.dims, counts[i]);
        opt->chunk_at[i + 1] = opt->chunk_at[i] + (counts[i] + STEP_CHUNK - 1) / STEP_CHUNK;
    }
    opt->total = opt->param_at[n];
    opt->num_chunks = opt->chunk_at[n];
    return LOPT_OK;
}

static lopt_status plan_chunks(lopt_optimizer *opt) {
    void *memory = NULL;
    size_t at = 0;
    LOPT_TRY(optimizer_alloc(opt, opt->num_chunks, sizeof(chunk), "an optimizer", &memory));
    opt->chunks = memory;
    for (size_t i = 0; i < opt->num_tensors; i++)
        for (size_t first = 0; first < opt->counts[i]; first += STEP_CHUNK) {
            const size_t left = opt->counts[i] - first;
            opt->chunks[at++] = (chunk){i, first, left < STEP_CHUNK ? left : STEP_CHUNK};
        }
    return LOPT_OK;
}

/* Cuts the tensors into groups; groups NULL: only counts them. Returns the parameters of the largest. */
static size_t cut_groups(lopt_optimizer *opt, group *groups) {
    size_t largest = 0, first = 0;
    opt->num_groups = 0;
    for (size_t i = 0; i < opt->num_tensors; i++) {
        const size_t size = opt->param_at[i + 1] - opt->param_at[first];
        if (size < GROUP_PARAMETERS && i + 1 < opt->num_tensors) continue;
        if (groups)
            groups[opt->num_groups] = (group){first, i + 1, opt->chunk_at[first], opt->chunk_at[i + 1], opt->param_at[first]};
        opt->num_groups++;
        largest = size > largest ? size : largest;
        first = i + 1;
    }
    return largest;
}

static lopt_status plan_groups(lopt_optimizer *opt, size_t *largest) {
    void *memory = NULL;
    cut_groups(opt, NULL);
    LOPT_TRY(optimizer_alloc(opt, opt->num_groups, sizeof(group), "an optimizer", &memory));
    opt->groups = memory;
    *largest = cut_groups(opt, opt->groups);
    return LOPT_OK;
}

lopt_status optimizer_plan(lopt_optimizer *opt, size_t num_tensors, const size_t *counts) {
    const lopt_dims d = opt->layout.dims;
    const size_t F = (size_t)(d.param + dims_features(d));
    const int user_buffer_serves = opt->param_type == NUMBER_FP32; /* for attend, or for move where there is none */
    size_t largest = 0;
    void *memory = NULL;
    opt->num_tensors = num_tensors;
    LOPT_TRY(plan_tensors(opt, counts));
    LOPT_TRY(plan_chunks(opt));
    LOPT_TRY(plan_groups(opt, &largest));
    LOPT_TRY(optimizer_alloc(opt, num_tensors, 1, "an optimizer", &memory));
    opt->started = memory;
    LOPT_TRY(floats(opt, opt->total, &opt->theta));
    LOPT_TRY(floats(opt, opt->state_at[num_tensors], &opt->state));
    if (d.attention || !user_buffer_serves) LOPT_TRY(floats(opt, largest, &opt->move));
    if (d.attention && !user_buffer_serves) LOPT_TRY(floats(opt, largest, &opt->attend));
    LOPT_TRY(floats(opt, num_tensors * padded(d.tensor), &opt->u));
    LOPT_TRY(floats(opt, padded(d.global), &opt->v));
    LOPT_TRY(floats(opt, num_tensors * padded(3 * d.param), &opt->bias_param));
    LOPT_TRY(floats(opt, num_tensors * padded(3 * d.tensor), &opt->bias_tensor));
    LOPT_TRY(floats(opt, 2 * num_tensors, &opt->inverse_rms));
    LOPT_TRY(optimizer_alloc(opt, opt->num_chunks * (F + 2), sizeof(double), "an optimizer", &memory));
    opt->sums = memory;
    LOPT_TRY(optimizer_alloc(opt, opt->num_chunks, sizeof(double), "an optimizer", &memory));
    opt->log_lr = memory;
    return LOPT_OK;
}

void optimizer_sum_log_lr(lopt_optimizer *opt) {
    const size_t C = (size_t)dims_state(opt->layout.dims);
#ifdef _OPENMP
#pragma omp parallel for schedule(static)
#endif
    for (size_t k = 0; k < opt->num_chunks; k++) {
        const chunk *c = &opt->chunks[k];
        opt->log_lr[k] = opt->kernels->sum_log_lr(opt->layout.dims, opt->state + opt->state_at[c->tensor] + c->first * C, c->n);
    }
}
