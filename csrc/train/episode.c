#include "csrc/train/episode.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "kernels/cell/philox.h"

static lopt_status allocate(const estimator *kind, const weight_layout *layout, const lopt_task *task, episode *e) {
    void *memory = NULL;
    size_t floats = 0;
    LOPT_TRY(memory_alloc(e->num_runs, sizeof(unroll_run *), "an episode", &memory));
    e->runs = memory;
    for (size_t i = 0; i < e->num_runs; i++) LOPT_TRY(unroll_run_create(layout, task, &e->runs[i]));
    if (kind->perturbs && !kind->keeps_pairs) LOPT_TRY(unroll_run_create(layout, task, &e->trial));
    if (!kind->accumulates) return LOPT_OK;
    LOPT_CHECK(!__builtin_mul_overflow(e->pairs, e->count, &floats), LOPT_ERR_MEMORY, "too many pairs");
    return memory_floats(floats, "accumulated perturbations (train with fewer es.pairs)", &e->accumulators);
}

lopt_status episode_create(const train_config *c, const weight_layout *layout, const lopt_task *task, uint64_t run_seed,
                           uint64_t noise_seed, episode **out) {
    const estimator *kind = estimator_of(c);
    const size_t pairs = estimator_pairs(c);
    void *memory = NULL;
    LOPT_TRY(memory_alloc(1, sizeof(episode), "an episode", &memory));
    episode *e = memory;
    e->run_seed = run_seed;
    e->noise_seed = noise_seed;
    e->num_runs = kind->keeps_pairs ? 2 * pairs : 1;
    e->pairs = pairs;
    e->count = layout->count;
    lopt_status status = allocate(kind, layout, task, e);
    if (status != LOPT_OK) {
        episode_free(e);
        return status;
    }
    *out = e;
    return LOPT_OK;
}

void episode_free(episode *e) {
    if (e == NULL) return;
    for (size_t i = 0; e->runs && i < e->num_runs; i++) unroll_run_free(e->runs[i]);
    unroll_run_free(e->trial);
    free(e->runs);
    free(e->accumulators);
    free(e);
}

void episode_perturbation(const train_config *c, const episode *e, size_t pair, float *out) {
    const uint64_t window = estimator_of(c)->reuses_noise ? 0 : e->window;
    random_normals(e->noise_seed, RANDOM_PERTURBATION, (uint32_t)pair, (uint32_t)window, e->count, out);
    for (size_t i = 0; i < e->count; i++) out[i] *= (float)c->es_sigma;
}

double episode_shock(const train_config *c, const episode *e) {
    const random4 r = random_bits(e->run_seed, RANDOM_TRAIN_SHOCK, 0, e->window, 0);
    const double low = -log(c->shock_down), high = log(c->shock_up);
    if (e->window == 0 || (double)random_to_uniform(r.u[0]) >= c->shock_share) return 0.0;
    return low + (high - low) * (double)random_to_uniform(r.u[1]);
}

unroll_position episode_position(const episode *e) { return unroll_run_position(e->runs[0]); }

static size_t accumulated(const episode *e) { return e->accumulators ? e->pairs * e->count : 0; }

size_t episode_floats(const episode *e) { return e->num_runs * unroll_run_floats(e->runs[0]) + accumulated(e); }

void episode_export(const episode *e, float *out) {
    for (size_t i = 0; i < e->num_runs; i++, out += unroll_run_floats(e->runs[0])) unroll_run_export(e->runs[i], out);
    if (e->accumulators) memcpy(out, e->accumulators, accumulated(e) * sizeof(float));
}

void episode_import(episode *e, unroll_position at, uint64_t window, const float *values) {
    e->window = window;
    for (size_t i = 0; i < e->num_runs; i++, values += unroll_run_floats(e->runs[0])) unroll_run_import(e->runs[i], at, values);
    if (e->accumulators) memcpy(e->accumulators, values, accumulated(e) * sizeof(float));
}
