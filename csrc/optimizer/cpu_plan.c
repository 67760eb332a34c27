/* How an optimizer on the CPU cuts its parameters, and its memory. */
#include "base/memory.h"
#include "base/status.h"
#include "csrc/optimizer/cpu.h"
#include "kernels/cell/guard.h"

enum { GROUP_PARAMETERS = 1 << 18 };

lopt_status cpu_alloc(cpu_optimizer *opt, size_t count, size_t size, const char *what, void **out) {
    LOPT_TRY(memory_alloc(count, size, what, out));
    opt->common.bytes += count * size;
    return LOPT_OK;
}

static lopt_status floats(cpu_optimizer *opt, size_t count, float **out) {
    void *memory = NULL;
    LOPT_TRY(cpu_alloc(opt, count, sizeof(float), "an optimizer", &memory));
    *out = memory;
    return LOPT_OK;
}

static lopt_status sizes(cpu_optimizer *opt, size_t count, size_t **out) {
    void *memory = NULL;
    LOPT_TRY(cpu_alloc(opt, count, sizeof(size_t), "an optimizer", &memory));
    *out = memory;
    return LOPT_OK;
}

/* Where each tensor's parameters, state and chunks begin. */
static lopt_status plan_tensors(cpu_optimizer *opt) {
    const size_t n = opt->common.num_tensors;
    LOPT_TRY(sizes(opt, n + 1, &opt->param_at));
    LOPT_TRY(sizes(opt, n + 1, &opt->state_at));
    LOPT_TRY(sizes(opt, n + 1, &opt->chunk_at));
    for (size_t i = 0; i < n; i++) {
        const size_t count = opt->common.counts[i];
        opt->param_at[i + 1] = opt->param_at[i] + count;
        opt->state_at[i + 1] = opt->state_at[i] + state_floats(opt->kernels->lanes, opt->common.layout.dims, count);
        opt->chunk_at[i + 1] = opt->chunk_at[i] + (count + STEP_CHUNK - 1) / STEP_CHUNK;
    }
    opt->num_chunks = opt->chunk_at[n];
    return LOPT_OK;
}

static lopt_status plan_chunks(cpu_optimizer *opt) {
    void *memory = NULL;
    size_t at = 0;
    LOPT_TRY(cpu_alloc(opt, opt->num_chunks, sizeof(chunk), "an optimizer", &memory));
    opt->chunks = memory;
    for (size_t i = 0; i < opt->common.num_tensors; i++)
        for (size_t first = 0; first < opt->common.counts[i]; first += STEP_CHUNK) {
            const size_t left = opt->common.counts[i] - first;
            opt->chunks[at++] = (chunk){i, first, left < STEP_CHUNK ? left : STEP_CHUNK};
        }
    return LOPT_OK;
}

/* Cuts the tensors into groups; groups NULL: only counts them. Returns the parameters of the largest. */
static size_t cut_groups(cpu_optimizer *opt, group *groups) {
    size_t largest = 0, first = 0;
    opt->num_groups = 0;
    for (size_t i = 0; i < opt->common.num_tensors; i++) {
        const size_t size = opt->param_at[i + 1] - opt->param_at[first];
        if (size < GROUP_PARAMETERS && i + 1 < opt->common.num_tensors) continue;
        if (groups)
            groups[opt->num_groups] = (group){first, i + 1, opt->chunk_at[first], opt->chunk_at[i + 1], opt->param_at[first]};
        opt->num_groups++;
        largest = size > largest ? size : largest;
        first = i + 1;
    }
    return largest;
}

static lopt_status plan_groups(cpu_optimizer *opt, size_t *largest) {
    void *memory = NULL;
    cut_groups(opt, NULL);
    LOPT_TRY(cpu_alloc(opt, opt->num_groups, sizeof(group), "an optimizer", &memory));
    opt->groups = memory;
    *largest = cut_groups(opt, opt->groups);
    return LOPT_OK;
}

lopt_status cpu_plan(cpu_optimizer *opt) {
    const lopt_dims d = opt->common.layout.dims;
    const size_t F = (size_t)(d.param + dims_features(d));
    const int user_buffer_serves = opt->common.param_type == NUMBER_FP32; /* for attend, or for move where there is none */
    const size_t num_tensors = opt->common.num_tensors;
    size_t largest = 0;
    void *memory = NULL;
    LOPT_TRY(plan_tensors(opt));
    LOPT_TRY(floats(opt, opt->common.total, &opt->theta)); /* first what may be too much, before tables for it are filled */
    LOPT_TRY(floats(opt, opt->state_at[num_tensors], &opt->state));
    LOPT_TRY(plan_chunks(opt));
    LOPT_TRY(plan_groups(opt, &largest));
    LOPT_TRY(cpu_alloc(opt, num_tensors, 1, "an optimizer", &memory));
    opt->started = memory;
    if (d.attention || !user_buffer_serves) LOPT_TRY(floats(opt, largest, &opt->move));
    if (d.attention && !user_buffer_serves) LOPT_TRY(floats(opt, largest, &opt->attend));
    LOPT_TRY(floats(opt, num_tensors * padded(d.tensor), &opt->u));
    LOPT_TRY(floats(opt, padded(d.global), &opt->v));
    LOPT_TRY(floats(opt, num_tensors * padded(3 * d.param), &opt->bias_param));
    LOPT_TRY(floats(opt, num_tensors * padded(3 * d.tensor), &opt->bias_tensor));
    LOPT_TRY(floats(opt, 2 * num_tensors, &opt->inverse_rms));
    if (opt->common.guarded) LOPT_TRY(floats(opt, GUARD_STATE * num_tensors, &opt->guard));
    LOPT_TRY(cpu_alloc(opt, opt->num_chunks * (F + 2), sizeof(double), "an optimizer", &memory));
    opt->sums = memory;
    LOPT_TRY(cpu_alloc(opt, opt->num_chunks, sizeof(double), "an optimizer", &memory));
    opt->log_lr = memory;
    return LOPT_OK;
}

void cpu_sum_log_lr(cpu_optimizer *opt) {
    const size_t C = (size_t)dims_state(opt->common.layout.dims);
#ifdef _OPENMP
#pragma omp parallel for schedule(static) if (opt->num_chunks > 1)
#endif
    for (size_t k = 0; k < opt->num_chunks; k++) {
        const chunk *c = &opt->chunks[k];
        opt->log_lr[k] =
            opt->kernels->sum_log_lr(opt->common.layout.dims, opt->state + opt->state_at[c->tensor] + c->first * C, c->n);
    }
}
