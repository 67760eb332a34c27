/* Around the objective F of objective.c: rescaled parameters, F(x / s) with gradient grad_z / s and H_z (v / s) / s; then, on what has been
 * differentiated, masks and noise. J'v of a masked gradient M g is H M v; noise has no Jacobian. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "kernels/cell/philox.h"
#include "tasks/task_object.h"

enum { SPREAD_MODEL, SPREAD_TENSOR, SPREAD_PARAMETER, SPREAD_DEAD };
/* "Terms" beyond the real ones, for the randomness of what is around the sum. */
enum { SEED_OF_SUM = TASK_TERMS_MAX, SEED_OF_AUGMENTATION };

/* ---- Rescaling ---- */

static double spread_factor(double spread, uint64_t seed, uint32_t what, size_t index) {
    return spread > 1.0 ? exp(log(spread) * (2.0 * (double)random_uniform(seed, RANDOM_TASK_SPREAD, what, index, 0) - 1.0)) : 1.0;
}

/* Divides inverse [sum of counts] by scale and by drawn factors. */
static void rescale(double scale, const task_spread *s, uint64_t seed, size_t num_tensors, const size_t *counts, float *inverse) {
    const double model = scale * spread_factor(s->model, seed, SPREAD_MODEL, 0);
    size_t index = 0;
    for (size_t i = 0; i < num_tensors; i++) {
        const double tensor = model * spread_factor(s->tensor, seed, SPREAD_TENSOR, i);
        for (size_t j = 0; j < counts[i]; j++, index++)
            inverse[index] =
                (float)((double)inverse[index] / (tensor * spread_factor(s->parameter, seed, SPREAD_PARAMETER, index)));
    }
}

/* Parameters behind an input that is always 0, say. */
static void kill_share(double dead, uint64_t seed, size_t n, float *inverse) {
    for (size_t i = 0; dead > 0.0 && i < n; i++)
        if ((double)random_uniform(seed, RANDOM_TASK_SPREAD, SPREAD_DEAD, i, 0) < dead) inverse[i] = 0.0f;
}

static const double *transform_values(const task_spec *spec, size_t term) {
    return spec->term[term].values.number + spec->term[term].family->info.num_keys - TRANSFORM_KEYS;
}

static task_spread spread_of(const double *v) {
    return (task_spread){v[TRANSFORM_MODEL_SPREAD], v[TRANSFORM_TENSOR_SPREAD], v[TRANSFORM_PARAMETER_SPREAD]};
}
static int is_spread(const task_spread *s) { return s->model > 1.0 || s->tensor > 1.0 || s->parameter > 1.0; }
static int is_rescaled(const double *v) {
    const task_spread s = spread_of(v);
    return v[TRANSFORM_SCALE] != 1.0 || is_spread(&s) || v[TRANSFORM_DEAD] > 0.0;
}

static task_transform transform_of(const double *v) {
    return (task_transform){v[TRANSFORM_LOG] != 0.0, (float)v[TRANSFORM_SPARSE], (float)v[TRANSFORM_NOISE]};
}

lopt_status transform_make(lopt_task *t, const task_spec *spec, uint64_t seed, const task_spread *augmentation) {
    const double *sum = spec->sum.number;
    int any = is_rescaled(sum) || (augmentation && is_spread(augmentation));
    t->transform = transform_of(sum);
    for (size_t i = 0; i < t->num_terms; i++) {
        t->term[i].transform = transform_of(transform_values(spec, i));
        any |= is_rescaled(transform_values(spec, i));
    }
    if (!any) return LOPT_OK;
    LOPT_TRY(memory_floats(t->total, t->name, &t->inverse_scale));
    for (size_t i = 0; i < t->total; i++) t->inverse_scale[i] = 1.0f;
    for (size_t i = 0; i < t->num_terms; i++) {
        const double *v = transform_values(spec, i);
        const task_spread own = spread_of(v);
        const task_instance *instance = &t->term[i].instance;
        float *inverse = t->inverse_scale + t->term[i].first;
        rescale(v[TRANSFORM_SCALE], &own, term_seed(seed, i), instance->num_tensors, instance->counts, inverse);
        kill_share(v[TRANSFORM_DEAD], term_seed(seed, i), instance->total, inverse);
    }
    const task_spread of_sum = spread_of(sum);
    rescale(sum[TRANSFORM_SCALE], &of_sum, term_seed(seed, SEED_OF_SUM), t->num_tensors, t->counts, t->inverse_scale);
    kill_share(sum[TRANSFORM_DEAD], term_seed(seed, SEED_OF_SUM), t->total, t->inverse_scale);
    if (augmentation)
        rescale(1.0, augmentation, term_seed(seed, SEED_OF_AUGMENTATION), t->num_tensors, t->counts, t->inverse_scale);
    return LOPT_OK;
}

/* to = from / s; from itself without rescaling. */
static const float *rescaled(const lopt_task *t, const float *from, float *to) {
    if (t->inverse_scale == NULL) return from;
    for (size_t i = 0; i < t->total; i++) to[i] = from[i] * t->inverse_scale[i];
    return to;
}

void transform_start(const lopt_task *t, uint64_t seed, float *params) {
    for (size_t i = 0; i < t->num_terms; i++)
        t->term[i].family->start(&t->term[i].instance, term_seed(seed, i), params + t->term[i].first);
    for (size_t i = 0; t->inverse_scale && i < t->total; i++)
        if (t->inverse_scale[i] > 0.0f) params[i] /= t->inverse_scale[i]; /* a dead one may be anywhere */
}

/* ---- Masks and noise ---- */

static void mask(float sparse, uint64_t seed, uint64_t step, size_t n, float *x) {
    for (size_t i = 0; i < n; i += 4) {
        const random4 r = random_bits(seed, RANDOM_TASK_MASK, (uint32_t)step, i / 4, (uint32_t)(step >> 32));
        for (size_t j = 0; j < 4 && i + j < n; j++)
            if (random_to_uniform(r.u[j]) < sparse) x[i + j] = 0.0f;
    }
}

static void add_noise(float deviation, uint64_t seed, uint64_t step, size_t n, float *grad, float *noise) {
    random_normals(seed, RANDOM_TASK_NOISE, (uint32_t)step, (uint32_t)(step >> 32), n, noise);
    for (size_t i = 0; i < n; i++) grad[i] += deviation * noise[i];
}

/* A level's mask, and then its noise unless that is NULL, on x [n]. term: whose random numbers it takes. */
static void augment(const task_transform *level, const task_draw *draw, size_t term, size_t n, float *x, float *noise) {
    const uint64_t seed = term_seed(draw->seed, term);
    if (level->sparse > 0.0f) mask(level->sparse, seed, draw->step, n, x);
    if (noise && level->noise > 0.0f) add_noise(level->noise, seed, draw->step, n, x, noise);
}

/* All levels on x [total], the terms' before the sum's, whose mask is on what the terms made: their noise too. noise NULL: masks alone. */
static void augment_all(const lopt_task *t, const task_draw *draw, float *x, float *noise) {
    for (size_t i = 0; i < t->num_terms; i++)
        augment(&t->term[i].transform, draw, i, t->term[i].instance.total, x + t->term[i].first, noise);
    augment(&t->transform, draw, SEED_OF_SUM, t->total, x, noise);
}

/* ---- All together ---- */

/* The workspace: z, v / s, and a gradient or noise, each rounded up to whole vectors; then what families need. */
static size_t padded_total(const lopt_task *t) { return (t->total + 15) / 16 * 16; }
size_t transform_workspace(const lopt_task *t) { return 3 * padded_total(t) + t->family_workspace; }

double transform_loss_grad(const lopt_task *t, const task_draw *draw, const float *params, float *grad, float *workspace) {
    float *noise = workspace + padded_total(t), *rest = workspace + 3 * padded_total(t);
    double loss = objective_loss_grad(t, draw, rescaled(t, params, workspace), grad, rest);
    if (grad == NULL) return loss;
    rescaled(t, grad, grad);
    if (draw) augment_all(t, draw, grad, noise);
    return loss;
}

void transform_hvp(const lopt_task *t, const task_draw *draw, const float *params, const float *v, float *out, float *workspace) {
    float *direction = workspace + padded_total(t), *grad = direction + padded_total(t), *rest = grad + padded_total(t);
    memcpy(direction, v, t->total * sizeof(float));
    augment_all(t, draw, direction, NULL);
    rescaled(t, direction, direction);
    objective_hvp(t, draw, rescaled(t, params, workspace), direction, out, grad, rest);
    rescaled(t, out, out);
}

double transform_accuracy(const lopt_task *t, const float *params, float *workspace) {
    return t->term[0].family->accuracy(&t->term[0].instance, rescaled(t, params, workspace), workspace + 3 * padded_total(t));
}
