#include "csrc/train/estimate.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/train/trained.h"

/* ---- Workspace ------------------------------------------------------------------------------------------------------------- */

static lopt_status allocate(const train_config *c, const weight_layout *layout, estimate_workspace *ws) {
    const size_t n = layout->count;
    LOPT_TRY(unroll_workspace_create(&ws->unroll));
    LOPT_TRY(trained_mask(&c->weights_trained, layout, &ws->trained));
    if (!estimator_of(c)->perturbs) return LOPT_OK;
    LOPT_TRY(memory_floats(5 * n, "perturbed weights", &ws->storage));
    ws->noise = ws->storage;
    ws->weights = ws->storage + n;
    if (estimator_of(c)->backpropagates) {
        ws->exact[0] = ws->storage + 2 * n;
        ws->exact[1] = ws->storage + 3 * n;
        ws->exact_sum = ws->storage + 4 * n;
    }
    return prepared_create(layout, ws->weights, &ws->perturbed);
}

lopt_status estimate_workspace_create(const train_config *c, const weight_layout *layout, estimate_workspace **out) {
    void *memory = NULL;
    LOPT_TRY(memory_alloc(1, sizeof(estimate_workspace), "a workspace", &memory));
    lopt_status status = allocate(c, layout, memory);
    if (status != LOPT_OK) {
        estimate_workspace_free(memory);
        return status;
    }
    *out = memory;
    return LOPT_OK;
}

void estimate_workspace_free(estimate_workspace *ws) {
    if (ws == NULL) return;
    unroll_workspace_free(ws->unroll);
    prepared_free(ws->perturbed);
    free(ws->storage);
    free(ws->trained);
    free(ws);
}

/* ---- Runs ------------------------------------------------------------------------------------------------------------------ */

/* The arguments of estimate_window. */
typedef struct job {
    const train_config *config;
    const estimator *kind;
    const prepared_weights *weights;
    episode *episode;
    size_t steps;
    estimate_workspace *ws;
} job;

/* Both runs of a pair in one window. */
typedef struct pair_outcome {
    double loss[2]; /* at +eps, -eps; NaN: diverged */
    size_t bounded;
} pair_outcome;

/* A run's window, its first included: the states that a run starts from are weights, so a perturbed run starts from perturbed ones. */
static lopt_status advance(const job *j, const prepared_weights *w, unroll_run *run, float *exact, unroll_result *out) {
    const train_config *c = j->config;
    const unroll_window_args args = {j->steps, c->second_derivatives, exact, NULL};
    const double shock = episode_shock(c, j->episode);
    if (j->episode->window == 0)
        LOPT_TRY(unroll_run_start(run, w, j->episode->run_seed, c->init_lr_min, c->init_lr_max, j->ws->unroll));
    if (shock != 0.0) unroll_run_shift_rates(run, shock);
    LOPT_TRY(unroll_window(run, w, &args, j->ws->unroll, out));
    if (exact) trained_apply(j->ws->trained, j->episode->count, exact);
    return LOPT_OK;
}

static void perturb(const job *j, float sign) {
    const float *center = prepared_flat(j->weights);
    for (size_t i = 0; i < j->episode->count; i++) j->ws->weights[i] = center[i] + sign * j->ws->noise[i];
    prepared_set(j->ws->perturbed, j->ws->weights);
}

/* The pair at plus and minus the noise in the workspace. */
static lopt_status advance_pair(const job *j, size_t pair, pair_outcome *out) {
    episode *e = j->episode;
    *out = (pair_outcome){{NAN, NAN}, 0};
    for (int i = 0; i < 2; i++) {
        unroll_run *run = j->kind->keeps_pairs ? e->runs[2 * pair + (size_t)i] : e->trial;
        unroll_result result;
        if (!j->kind->keeps_pairs) unroll_run_copy(run, e->runs[0]);
        perturb(j, i == 0 ? 1.0f : -1.0f);
        LOPT_TRY(advance(j, j->ws->perturbed, run, j->ws->exact[i], &result));
        out->loss[i] = result.meta_loss;
        out->bounded += result.bounded;
    }
    return LOPT_OK;
}

/* ---- Sums over pairs ------------------------------------------------------------------------------------------------------- */

/* Sums of squared lengths over pairs, of the estimates by evolution and of the exact gradients. */
typedef struct square_sums {
    double evolved, exact;
} square_sums;

static double square_length(const float *x, size_t n) {
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * x[i];
    return sum;
}

/* What a pair's losses are credited to: its perturbation in this window, or all of them since the episode began (xi of algorithm 2). */
static const float *credited(const job *j, size_t pair) {
    if (!j->kind->accumulates) return j->ws->noise;
    float *xi = j->episode->accumulators + pair * j->episode->count;
    for (size_t i = 0; i < j->episode->count; i++) xi[i] += j->ws->noise[i];
    return xi;
}

/* direction (L+ - L-) / (2 sigma^2). */
static void add_evolved(const job *j, const float *direction, const pair_outcome *p, float *sum, square_sums *squares) {
    const double slope = (p->loss[0] - p->loss[1]) / (2.0 * j->config->es_sigma * j->config->es_sigma);
    for (size_t i = 0; i < j->episode->count; i++) sum[i] += (float)(slope * direction[i]);
    if (j->kind->backpropagates) squares->evolved += slope * slope * square_length(direction, j->episode->count);
}

/* The exact gradient, averaged over the two runs of the pair. */
static void add_exact(const job *j, square_sums *squares) {
    estimate_workspace *ws = j->ws;
    for (size_t i = 0; i < j->episode->count; i++) {
        ws->exact[0][i] = 0.5f * (ws->exact[0][i] + ws->exact[1][i]);
        ws->exact_sum[i] += ws->exact[0][i];
    }
    squares->exact += square_length(ws->exact[0], j->episode->count);
}

/* Variance, summed over entries, of the mean of n > 1 vectors, from the sum of their squared lengths and their sum. */
static double variance_of_mean(double squares, const float *sum, size_t count, size_t n) {
    return fmax(0.0, squares - square_length(sum, count) / (double)n) / ((double)n * (double)(n - 1));
}

/* Means over pairs; with exact gradients, the mean of both kinds weighed by inverse variance (Metz et al. 2019). One weight
 * for the whole vector, so that a few pairs are enough to estimate it. Exact gradients that exploded have infinite variance: weight 0. */
static void finish(const job *j, const square_sums *squares, float *gradient) {
    const size_t n = j->episode->pairs, count = j->episode->count;
    double exact_share = 0.0;
    if (j->kind->backpropagates) {
        const double evolved = variance_of_mean(squares->evolved, gradient, count, n);
        const double exact = isfinite(squares->exact) ? variance_of_mean(squares->exact, j->ws->exact_sum, count, n) : INFINITY;
        exact_share = isfinite(exact) ? (exact + evolved > 0.0 ? evolved / (exact + evolved) : 1.0) : 0.0;
    }
    const float keep = (float)((1.0 - exact_share) / (double)n), add = (float)(exact_share / (double)n);
    for (size_t i = 0; i < count; i++) gradient[i] *= keep;
    for (size_t i = 0; add > 0.0f && i < count; i++) gradient[i] += add * j->ws->exact_sum[i];
}

/* ---- The estimate ---------------------------------------------------------------------------------------------------------- */

static lopt_status try_pairs(const job *j, float *gradient, estimate *out) {
    const size_t pairs = j->episode->pairs;
    square_sums squares = {0.0, 0.0};
    memset(gradient, 0, j->episode->count * sizeof(float));
    if (j->ws->exact_sum) memset(j->ws->exact_sum, 0, j->episode->count * sizeof(float));
    for (size_t pair = 0; pair < pairs && isfinite(out->meta_loss); pair++) {
        pair_outcome p;
        episode_perturbation(j->config, j->episode, pair, j->ws->noise);
        trained_apply(j->ws->trained, j->episode->count, j->ws->noise);
        LOPT_TRY(advance_pair(j, pair, &p));
        add_evolved(j, credited(j, pair), &p, gradient, &squares);
        if (j->kind->backpropagates) add_exact(j, &squares);
        out->meta_loss += (p.loss[0] + p.loss[1]) / (double)(2 * pairs);
        out->bounded += p.bounded;
    }
    finish(j, &squares, gradient);
    return LOPT_OK;
}

/* The run at the unperturbed weights: all of tbptt, and the state that es starts each window from. */
static lopt_status unperturbed(const job *j, float *exact, estimate *out) {
    unroll_result result;
    LOPT_TRY(advance(j, j->weights, j->episode->runs[0], exact, &result));
    if (isfinite(out->meta_loss)) out->meta_loss = result.meta_loss;
    out->bounded += result.bounded;
    return LOPT_OK;
}

lopt_status estimate_window(const train_config *c, const prepared_weights *w, episode *e, size_t steps, estimate_workspace *ws,
                            float *gradient, estimate *out) {
    const job j = {c, estimator_of(c), w, e, steps, ws};
    *out = (estimate){0.0, 0};
    if (j.kind->perturbs) LOPT_TRY(try_pairs(&j, gradient, out));
    if (!j.kind->keeps_pairs) LOPT_TRY(unperturbed(&j, j.kind->perturbs ? NULL : gradient, out));
    e->window++;
    return LOPT_OK;
}
