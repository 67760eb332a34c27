/* A step on the CPU: rules 1 to 14 (docs/cell.md; Wichrowska et al. 2017, section 3) over all chunks of a model. */
#include <math.h>
#include <string.h>

#include "base/status.h"
#include "csrc/optimizer/cpu.h"
#include "csrc/optimizer/subnormals.h"
#include "kernels/cell/guard.h"

typedef struct step_call {
    cpu_optimizer *opt;
    float *const *params;
    const float *const *grads;
    float divisor;     /* of the gradients */
    float mean_log_lr; /* over the tensors that take part */
} step_call;

/* The gradients of a chunk as the cell wants them: fp32, divided, and entries that must be read as 0 are. buffer [STEP_CHUNK] */
static const float *chunk_gradients(const step_call *s, const chunk *c, float *buffer) {
    const cpu_optimizer *opt = s->opt;
    const float *from = s->grads[c->tensor];
    if (opt->common.grad_type == NUMBER_FP32 && s->divisor == 1.0f && !opt->common.zero_nonfinite) return from + c->first;
    numbers_read(opt->common.grad_type, from, c->first, c->n, buffer);
    if (s->divisor != 1.0f)
        for (size_t i = 0; i < c->n; i++) buffer[i] /= s->divisor;
    if (opt->common.zero_nonfinite)
        for (size_t i = 0; i < c->n; i++) buffer[i] = fabsf(buffer[i]) <= GRADIENT_MAX ? buffer[i] : 0.0f; /* NaN too */
    return buffer;
}

/* Not inlined, as all that stands between a change of the processor's mode and its end (subnormals.h). */
#define IN_A_MODE static __attribute__((noinline))

IN_A_MODE int chunk_usable(const step_call *s, size_t k) {
    float buffer[STEP_CHUNK] __attribute__((aligned(64)));
    const chunk *c = &s->opt->chunks[k];
    return s->opt->kernels->all_finite(chunk_gradients(s, c, buffer), c->n);
}

/* 1 if no gradient holds a NaN, an infinity or an entry whose square would overflow. */
static int gradients_usable(const step_call *s) {
    const cpu_optimizer *opt = s->opt;
    int usable = 1;
#ifdef _OPENMP
#pragma omp parallel for schedule(static) reduction(&& : usable) if (opt->num_chunks > 1)
#endif
    for (size_t k = 0; k < opt->num_chunks; k++) {
        const unsigned mode = subnormals_on(); /* each thread may come with that of whoever made it */
        if (s->grads[opt->chunks[k].tensor]) usable = usable && chunk_usable(s, k);
        subnormals_restore(mode);
    }
    return usable;
}

/* Mean of alpha over the tensors that take part; 0: none does. */
static int mean_log_lr(const step_call *s, float *out) {
    const cpu_optimizer *opt = s->opt;
    double sum = 0.0;
    size_t n = 0;
    for (size_t i = 0; i < opt->common.num_tensors; i++) {
        if (s->grads[i] == NULL) continue;
        for (size_t k = opt->chunk_at[i]; k < opt->chunk_at[i + 1]; k++) sum += opt->log_lr[k];
        n += opt->common.counts[i];
    }
    *out = n > 0 ? (float)(sum / (double)n) : 0.0f;
    return n > 0;
}

/* Where a chunk's unnormalised updates wait between the phases. */
static float *waiting(const step_call *s, const group *g, const chunk *c, float *own) {
    return own ? own + (s->opt->param_at[c->tensor] + c->first - g->base) : s->params[c->tensor] + c->first;
}

/* Phase 1: rules 1-11. */
static void chunk_forward(const step_call *s, const group *g, size_t k) {
    cpu_optimizer *opt = s->opt;
    const lopt_dims d = opt->common.layout.dims;
    const chunk *c = &opt->chunks[k];
    const size_t F = (size_t)(d.param + dims_features(d));
    float buffer[STEP_CHUNK] __attribute__((aligned(64)));
    step_sums sums;
    const float *guard = opt->guard ? opt->guard + GUARD_STATE * c->tensor : NULL;
    float *state = opt->state + opt->state_at[c->tensor] + c->first * (size_t)dims_state(d);
    const step_forward_args a = {c->n,
                                 state,
                                 state,
                                 chunk_gradients(s, c, buffer),
                                 opt->bias_param + c->tensor * padded(3 * d.param),
                                 s->mean_log_lr,
                                 guard_settled(guard),
                                 guard_log_lr_max(guard),
                                 guard_handed_over(guard),
                                 !opt->started[c->tensor],
                                 waiting(s, g, c, opt->move),
                                 d.attention ? waiting(s, g, c, opt->attend) : NULL,
                                 NULL,
                                 &sums};
    const unsigned mode = subnormals_off();
    opt->kernels->step_forward(opt->weights, &a);
    subnormals_restore(mode);
    double *kept = opt->sums + k * (F + 2);
    memcpy(kept, sums.features, F * sizeof(double));
    kept[F] = sums.move_square;
    kept[F + 1] = sums.attend_square;
    opt->log_lr[k] = sums.log_lr;
}

/* Between the phases: the tensor's RMS (rule 10) and its RNN (rule 13). */
static void tensor_finish(const step_call *s, size_t i) {
    cpu_optimizer *opt = s->opt;
    const lopt_dims d = opt->common.layout.dims;
    const size_t F = (size_t)(d.param + dims_features(d));
    double total[PARAM_SIZE_MAX + FEATURES_MAX + 2] = {0};
    float mean[PARAM_SIZE_MAX + FEATURES_MAX + 16] __attribute__((aligned(64))) = {0};
    float *u = opt->u + i * padded(d.tensor);
    for (size_t k = opt->chunk_at[i]; k < opt->chunk_at[i + 1]; k++)
        for (size_t j = 0; j < F + 2; j++) total[j] += opt->sums[k * (F + 2) + j];
    for (size_t j = 0; j < F; j++) mean[j] = (float)(total[j] / (double)opt->common.counts[i]);
    guard_sums sums = {(double)opt->common.counts[i], total[F], total[F + 1], 0.0, mean};
    for (size_t k = opt->chunk_at[i]; k < opt->chunk_at[i + 1]; k++) sums.log_lr += opt->log_lr[k];
    guard_inverse_rms(d, &sums, opt->guard ? opt->guard + GUARD_STATE * i : NULL, opt->inverse_rms + 2 * i,
                      opt->inverse_rms + 2 * i + 1);
    opt->kernels->tensor_rnn(opt->weights, mean, u, opt->bias_tensor + i * padded(3 * d.tensor), u, NULL);
}

/* Phase 2: rule 12. */
static void chunk_apply(const step_call *s, const group *g, const chunk *c) {
    cpu_optimizer *opt = s->opt;
    const int attention = opt->common.layout.dims.attention, direct = opt->common.param_type == NUMBER_FP32;
    float *theta = opt->theta + opt->param_at[c->tensor] + c->first;
    float *move = waiting(s, g, c, opt->move), *attend = attention ? waiting(s, g, c, opt->attend) : NULL;
    const step_apply_args a = {c->n,
                               theta,
                               attention ? attend : theta,
                               move,
                               attend,
                               opt->inverse_rms[2 * c->tensor],
                               opt->inverse_rms[2 * c->tensor + 1],
                               (float)opt->common.options.lr_scale,
                               (float)opt->common.options.weight_decay};
    opt->kernels->step_apply(&a);
    if (!attention || !direct) numbers_write(opt->common.param_type, a.phi, c->n, s->params[c->tensor], c->first);
}

/* A thread's share of a group; only the rules' own loops read subnormal numbers as 0. */
IN_A_MODE void group_share(const step_call *s, const group *g) {
    cpu_optimizer *opt = s->opt;
    const lopt_dims d = opt->common.layout.dims;
#ifdef _OPENMP
#pragma omp for schedule(static)
#endif
    for (size_t i = g->first_tensor; i < g->end_tensor; i++)
        if (s->grads[i])
            opt->kernels->biases(opt->weights, opt->u + i * padded(d.tensor), opt->v, opt->bias_param + i * padded(3 * d.param),
                                 opt->bias_tensor + i * padded(3 * d.tensor));
#ifdef _OPENMP
#pragma omp for schedule(static)
#endif
    for (size_t k = g->first_chunk; k < g->end_chunk; k++)
        if (s->grads[opt->chunks[k].tensor]) chunk_forward(s, g, k);
#ifdef _OPENMP
#pragma omp for schedule(static)
#endif
    for (size_t i = g->first_tensor; i < g->end_tensor; i++)
        if (s->grads[i]) tensor_finish(s, i);
#ifdef _OPENMP
#pragma omp for schedule(static)
#endif
    for (size_t k = g->first_chunk; k < g->end_chunk; k++)
        if (s->grads[opt->chunks[k].tensor]) chunk_apply(s, g, &opt->chunks[k]);
}

static void group_step(const step_call *s, const group *g) {
#ifdef _OPENMP
#pragma omp parallel if (g->end_chunk - g->first_chunk > 1)
#endif
    {
        const unsigned mode = subnormals_on();
        group_share(s, g);
        subnormals_restore(mode);
    }
}

/* Rule 14, over the tensors that took part. */
IN_A_MODE void global_finish(const step_call *s) {
    cpu_optimizer *opt = s->opt;
    const size_t T = (size_t)opt->common.layout.dims.tensor;
    double sum[TENSOR_SIZE_MAX] = {0};
    float mean[TENSOR_SIZE_MAX + 16] __attribute__((aligned(64))) = {0};
    size_t n = 0;
    for (size_t i = 0; i < opt->common.num_tensors; i++) {
        if (s->grads[i] == NULL) continue;
        for (size_t j = 0; j < T; j++) sum[j] += opt->u[i * padded((int)T) + j];
        opt->started[i] = 1;
        n++;
    }
    for (size_t j = 0; j < T; j++) mean[j] = (float)(sum[j] / (double)n);
    opt->kernels->global_rnn(opt->weights, mean, opt->v, opt->v, NULL);
}

lopt_status cpu_step(lopt_optimizer *o, float *const *params, const float *const *grads, void *stream) {
    cpu_optimizer *opt = (cpu_optimizer *)o;
    (void)stream;
    step_call s = {opt, params, grads, o->grad_scale ? *o->grad_scale : 1.0f, 0.0f};
    if (!mean_log_lr(&s, &s.mean_log_lr)) return LOPT_OK; /* all rest: neither a step nor a skipped one */
    const int skip = o->found_inf ? *o->found_inf != 0.0f : !o->zero_nonfinite && !gradients_usable(&s);
    if (skip) {
        opt->skipped++;
        return LOPT_OK;
    }
    for (size_t g = 0; g < opt->num_groups; g++) group_step(&s, &opt->groups[g]);
    const unsigned mode = subnormals_on();
    global_finish(&s);
    subnormals_restore(mode);
    opt->step++;
    return LOPT_OK;
}
