/* lopt_estimator_measure: how far an estimator's expectation is from the exact gradient of the whole episode, and how much it scatters. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "base/struct_size.h"
#include "csrc/bench/clock.h"
#include "csrc/optimizer/subnormals.h"
#include "csrc/train/estimate.h"
#include "csrc/weights/weights.h"

enum { SAMPLES_MIN = 3, SAMPLES_MAX = 1000000 };

typedef struct session {
    lopt_estimator_options options;
    train_config config, exact; /* exact: the same but for the estimator, which is that of the truth */
    lopt_weights *weights;
    prepared_weights *prepared;
    lopt_task *task;
    size_t count;
    float *truth, *window, *samples; /* [count], [count], [samples][count] */
} session;

/* ---- Samples --------------------------------------------------------------------------------------------------------------- */

/* One episode from start to end: the mean over its steps' windows in out [count]. *finite 0: a run diverged, and out is void. */
static lopt_status sample(const session *s, const train_config *c, size_t window, uint64_t noise_seed, float *out, int *finite) {
    lopt_status status = LOPT_OK;
    const size_t steps = s->options.steps;
    episode *e = NULL;
    estimate_workspace *ws = NULL;
    estimate r = {0.0, 0};
    LOPT_TRY(episode_create(c, &s->weights->layout, s->task, (uint64_t)c->seed, noise_seed, &e));
    LOPT_TRY_CLEANUP(estimate_workspace_create(c, &s->weights->layout, &ws));
    memset(out, 0, s->count * sizeof(float));
    for (size_t done = 0; done < steps && isfinite(r.meta_loss);) {
        const size_t now = window < steps - done ? window : steps - done;
        const float share = (float)((double)now / (double)steps);
        LOPT_TRY_CLEANUP(estimate_window(c, s->prepared, e, now, ws, s->window, &r));
        for (size_t i = 0; i < s->count; i++) out[i] += share * s->window[i];
        done += now;
    }
    *finite = isfinite(r.meta_loss);
    for (size_t i = 0; *finite && i < s->count; i++) *finite = isfinite(out[i]);
cleanup:
    estimate_workspace_free(ws);
    episode_free(e);
    return status;
}

static lopt_status take_samples(const session *s, size_t *good, double *seconds) {
    const double started = clock_seconds();
    *good = 0;
    for (size_t i = 0; i < s->options.samples; i++) {
        int finite = 0;
        LOPT_TRY(sample(s, &s->config, s->options.window, i, s->samples + *good * s->count, &finite));
        *good += (size_t)finite;
    }
    *seconds = (clock_seconds() - started) / (double)s->options.samples;
    LOPT_CHECK(*good >= SAMPLES_MIN, LOPT_ERR_TASK, "%zu of %zu samples on %s diverged: try fewer steps or a smaller es.sigma",
               s->options.samples - *good, s->options.samples, s->options.task);
    return LOPT_OK;
}

/* ---- Statistics ------------------------------------------------------------------------------------------------------------ */

static double dot(const double *a, const double *b, size_t n) {
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* n vectors x_i with sum S and Q the sum of |x_i|^2. */
typedef struct moments {
    double sum_square, squares; /* |S|^2, Q */
    size_t n;
} moments;

/* |E x|^2 without bias: the mean of x_i.x_j over all i != j. */
static double square_of_expectation(moments m) { return (m.sum_square - m.squares) / ((double)m.n * (double)(m.n - 1)); }

static double variance(moments m) { return fmax(0.0, (m.squares - m.sum_square / (double)m.n) / (double)(m.n - 1)); }

/* Standard error of square_of_expectation by the jackknife (Efron and Stein 1981). along [n]: S.x_i; square [n]: |x_i|^2. */
static double jackknife_error(moments m, const double *along, const double *square) {
    double mean = 0.0, sum = 0.0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < m.n; i++) {
            const moments without = {m.sum_square - 2.0 * along[i] + square[i], m.squares - square[i], m.n - 1};
            const double left = square_of_expectation(without);
            if (pass == 0) mean += left / (double)m.n;
            else sum += (left - mean) * (left - mean);
        }
    return sqrt(sum * (double)(m.n - 1) / (double)m.n);
}

/* Scratch of the statistics, [count] but for the last two, which are [samples]. */
typedef struct statistics_buffers {
    double *truth, *difference, *sum, *along, *square;
} statistics_buffers;

static void load_difference(const session *s, size_t i, double *difference) {
    for (size_t j = 0; j < s->count; j++) difference[j] = (double)s->samples[i * s->count + j] - (double)s->truth[j];
}

/* From differences d_i = sample - truth; an expectation of samples is truth + that of the differences. */
static void judge(const session *s, size_t good, statistics_buffers b, lopt_estimator_quality *out) {
    moments m = {0.0, 0.0, good};
    for (size_t j = 0; j < s->count; j++) b.truth[j] = s->truth[j];
    for (size_t i = 0; i < good; i++) {
        load_difference(s, i, b.difference);
        b.square[i] = dot(b.difference, b.difference, s->count);
        m.squares += b.square[i];
        for (size_t j = 0; j < s->count; j++) b.sum[j] += b.difference[j];
    }
    m.sum_square = dot(b.sum, b.sum, s->count);
    for (size_t i = 0; i < good; i++) {
        load_difference(s, i, b.difference);
        b.along[i] = dot(b.difference, b.sum, s->count);
    }
    const double truth = dot(b.truth, b.truth, s->count), along = dot(b.truth, b.sum, s->count) / (double)good;
    const double bias = fmax(0.0, square_of_expectation(m)), error = jackknife_error(m, b.along, b.square);
    const double length = truth + 2.0 * along + square_of_expectation(m);
    out->bias = sqrt(bias / truth);
    out->bias_error = sqrt((bias + error) / truth) - out->bias;
    out->cosine = length > 0.0 ? fmin(1.0, fmax(-1.0, (truth + along) / sqrt(truth * length))) : NAN;
    out->variance = variance(m) / truth;
}

static lopt_status statistics(const session *s, size_t good, lopt_estimator_quality *out) {
    void *memory = NULL;
    LOPT_TRY(memory_alloc(3 * s->count + 2 * good, sizeof(double), "statistics", &memory));
    double *at = memory;
    const statistics_buffers b = {at, at + s->count, at + 2 * s->count, at + 3 * s->count, at + 3 * s->count + good};
    judge(s, good, b, out);
    free(memory);
    return LOPT_OK;
}

/* ---- The call -------------------------------------------------------------------------------------------------------------- */

static lopt_status read_options(const lopt_estimator_options *o, lopt_estimator_options *out) {
    *out = (lopt_estimator_options)LOPT_ESTIMATOR_OPTIONS_INIT;
    LOPT_CHECK(o != NULL && STRUCT_SIZE_FITS(lopt_estimator_options, o->struct_size), LOPT_ERR_ARGUMENT,
               "lopt_estimator_measure: options must be given; start from LOPT_ESTIMATOR_OPTIONS_INIT");
    memcpy(out, o, o->struct_size < sizeof *out ? o->struct_size : sizeof *out);
    if (out->task == NULL) out->task = "quadratic:n=10";
    LOPT_CHECK(out->steps > 0 && out->window > 0, LOPT_ERR_ARGUMENT, "lopt_estimator_measure: steps and window must be at least 1");
    LOPT_CHECK(out->samples >= SAMPLES_MIN && out->samples <= SAMPLES_MAX, LOPT_ERR_ARGUMENT,
               "lopt_estimator_measure: samples must be from %d to %d", SAMPLES_MIN, SAMPLES_MAX);
    LOPT_CHECK(out->num_overrides == 0 || out->overrides != NULL, LOPT_ERR_ARGUMENT, "lopt_estimator_measure: overrides is NULL");
    return LOPT_OK;
}

static lopt_status read_config(session *s) {
    for (size_t i = 0; i < s->options.num_overrides; i++) LOPT_TRY(config_override(&s->config, s->options.overrides[i]));
    LOPT_TRY(config_check(&s->config));
    s->config.shock_share = 0.0; /* shocks come between windows, and the truth is one window: they would be taken for bias */
    s->exact = s->config;        /* its text is borrowed */
    s->exact.estimator = ESTIMATOR_TBPTT;
    s->exact.second_derivatives = 1;
    return LOPT_OK;
}

static lopt_status prepare(session *s) {
    const train_config *c = &s->config;
    size_t floats = 0;
    LOPT_TRY(c->weights_from[0] ? lopt_weights_load(c->weights_from, &s->weights)
                                : lopt_weights_init(c->weights_options, (uint64_t)c->seed, &s->weights));
    LOPT_TRY(lopt_task_create(s->options.task, (uint64_t)c->seed, &s->task));
    LOPT_TRY(prepared_create(&s->weights->layout, s->weights->data, &s->prepared));
    s->count = s->weights->layout.count;
    LOPT_CHECK(!__builtin_mul_overflow(s->count, s->options.samples + 2, &floats), LOPT_ERR_MEMORY, "too many samples");
    LOPT_TRY(memory_floats(floats, "samples of the meta-gradient (take fewer)", &s->truth));
    s->window = s->truth + s->count;
    s->samples = s->window + s->count;
    return LOPT_OK;
}

static __attribute__((noinline)) lopt_status measure(session *s, lopt_estimator_quality *out) {
    lopt_estimator_quality q = {0};
    size_t good = 0;
    int finite = 0, moves = 0;
    LOPT_TRY(read_config(s));
    LOPT_TRY(prepare(s));
    LOPT_TRY(sample(s, &s->exact, s->options.steps, 0, s->truth, &finite));
    LOPT_CHECK(finite, LOPT_ERR_TASK, "the unperturbed run of %zu steps on %s diverged: there is no truth to compare with",
               s->options.steps, s->options.task);
    for (size_t i = 0; i < s->count; i++) moves |= s->truth[i] != 0.0f;
    LOPT_CHECK(moves, LOPT_ERR_TASK, "the exact gradient on %s is zero: there is nothing to compare with", s->options.task);
    LOPT_TRY(take_samples(s, &good, &q.seconds));
    LOPT_TRY(statistics(s, good, &q));
    q.steps = (double)(s->options.steps * estimator_unrolls(&s->config));
    q.weights = s->count;
    q.diverged = s->options.samples - good;
    *out = q;
    return LOPT_OK;
}

lopt_status lopt_estimator_measure(const lopt_estimator_options *options, lopt_estimator_quality *out) {
    session s = {0};
    LOPT_CHECK(out != NULL, LOPT_ERR_ARGUMENT, "lopt_estimator_measure: out is NULL");
    LOPT_TRY(read_options(options, &s.options));
    LOPT_TRY(config_defaults(&s.config));
    const unsigned mode = subnormals_on();
    const lopt_status status = measure(&s, out);
    subnormals_restore(mode);
    free(s.truth);
    prepared_free(s.prepared);
    lopt_task_free(s.task);
    lopt_weights_free(s.weights);
    config_free(&s.config);
    return status;
}
