#include "csrc/train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "base/memory.h"
#include "base/status.h"
#include "csrc/bench/clock.h"

enum { SENTENCE_MAX = 512 };
#define META_LOSS_AVERAGE_DECAY 0.98

/* The failure of the first particle, by number, that failed: threads have their own lopt_last_error. */
typedef struct first_failure {
    lopt_status status;
    size_t particle;
    char sentence[SENTENCE_MAX];
} first_failure;

static void note_failure(first_failure *f, size_t p, lopt_status status) {
    if (status == LOPT_OK) return;
#ifdef _OPENMP
#pragma omp critical(trainer_failure)
#endif
    if (f->status == LOPT_OK || p < f->particle) {
        f->status = status;
        f->particle = p;
        snprintf(f->sentence, sizeof f->sentence, "%s", lopt_last_error());
    }
}

static lopt_status outcome(const first_failure *f) {
    return f->status == LOPT_OK ? LOPT_OK : lopt_fail(f->status, "particle %zu: %s", f->particle, f->sentence);
}

static int thread_number(void) {
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

static int thread_count(void) {
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

static lopt_status allocate(trainer *t) {
    void *memory = NULL;
    const size_t n = t->num_particles;
    size_t floats = 0;
    LOPT_CHECK(!__builtin_mul_overflow(n + 1, t->layout.count, &floats), LOPT_ERR_MEMORY, "too many particles");
    LOPT_TRY(memory_alloc(n, sizeof(particle), "particles", &memory));
    t->particles = memory;
    LOPT_TRY(memory_alloc(n, sizeof(particle_report), "particles", &memory));
    t->reports = memory;
    LOPT_TRY(memory_alloc(n, sizeof(trainer_turn), "particles", &memory));
    t->turns = memory;
    LOPT_TRY(memory_floats(floats, "the particles' meta-gradients (train with fewer particles)", &t->gradients));
    t->gradient = t->gradients + n * t->layout.count;
    for (size_t p = 0; p < n; p++) {
        t->particles[p].number = p;
        t->turns[p] = (trainer_turn){p, INFINITY};
    }
    LOPT_TRY(memory_alloc((size_t)thread_count(), sizeof(estimate_workspace *), "workspaces", &memory));
    t->workspaces = memory;
    t->num_workspaces = thread_count();
    for (int i = 0; i < t->num_workspaces; i++) LOPT_TRY(estimate_workspace_create(t->config, &t->layout, &t->workspaces[i]));
    return LOPT_OK;
}

lopt_status trainer_create(const train_config *config, const lopt_weights *start, trainer **out) {
    lopt_status status = LOPT_OK;
    void *memory = NULL;
    LOPT_TRY(memory_alloc(1, sizeof(trainer), "a trainer", &memory));
    trainer *t = memory;
    t->config = config;
    t->layout = start->layout;
    t->num_particles = (size_t)config->particles;
    LOPT_TRY_CLEANUP(corpus_expand(&config->tasks, &t->tasks));
    LOPT_TRY_CLEANUP(meta_state_create(t->layout.count, start->data, &t->meta));
    LOPT_TRY_CLEANUP(prepared_create(&t->layout, start->data, &t->prepared));
    LOPT_TRY_CLEANUP(allocate(t));
    *out = t;
    return LOPT_OK;
cleanup:
    trainer_free(t);
    return status;
}

void trainer_free(trainer *t) {
    if (t == NULL) return;
    for (size_t p = 0; t->particles && p < t->num_particles; p++) particle_free(&t->particles[p]);
    for (int i = 0; i < t->num_workspaces; i++) estimate_workspace_free(t->workspaces[i]);
    free(t->workspaces);
    free(t->particles);
    free(t->reports);
    free(t->turns);
    free(t->gradients);
    prepared_free(t->prepared);
    meta_state_free(&t->meta);
    corpus_free(&t->tasks);
    free(t);
}

static int longer_first(const void *a, const void *b) {
    const trainer_turn *x = a, *y = b;
    if (x->seconds != y->seconds) return x->seconds < y->seconds ? 1 : -1;
    return (x->particle > y->particle) - (x->particle < y->particle);
}

static lopt_status advance_turn(trainer *t, size_t window, trainer_turn *turn) {
    const size_t p = turn->particle;
    const double started = clock_seconds();
    LOPT_TRY(particle_advance(t->config, &t->tasks, t->prepared, window, t->workspaces[thread_number()], &t->particles[p],
                              t->gradients + p * t->layout.count, &t->reports[p]));
    turn->seconds = t->reports[p].restarted ? INFINITY : clock_seconds() - started;
    return LOPT_OK;
}

static lopt_status advance_all(trainer *t, size_t window) {
    first_failure failure = {LOPT_OK, 0, ""};
    qsort(t->turns, t->num_particles, sizeof *t->turns, longer_first);
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 1) num_threads(t->num_workspaces)
#endif
    for (size_t i = 0; i < t->num_particles; i++) note_failure(&failure, t->turns[i].particle, advance_turn(t, window, &t->turns[i]));
    return outcome(&failure);
}

/* The mean over particles, added up in the order of their numbers; returns its norm. */
static double average_gradients(trainer *t) {
    const size_t count = t->layout.count;
    double square = 0.0;
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(t->num_workspaces)
#endif
    for (size_t j = 0; j < count; j++) {
        double sum = 0.0;
        for (size_t p = 0; p < t->num_particles; p++) sum += t->gradients[p * count + j];
        t->gradient[j] = (float)(sum / (double)t->num_particles);
    }
    for (size_t j = 0; j < count; j++) square += (double)t->gradient[j] * t->gradient[j];
    return sqrt(square);
}

static void summarize(trainer *t, iteration_report *out) {
    for (size_t p = 0; p < t->num_particles; p++) {
        const particle_report *r = &t->reports[p];
        out->meta_loss += r->meta_loss / (double)t->num_particles;
        out->diverged += (uint64_t)r->diverged;
        out->restarted += (uint64_t)r->restarted;
        out->bounded += r->bounded;
    }
    const double decay = t->iteration == 0 ? 0.0 : META_LOSS_AVERAGE_DECAY;
    t->meta_loss_average = decay * t->meta_loss_average + (1.0 - decay) * out->meta_loss;
    t->inner_steps += out->window * t->num_particles * estimator_unrolls(t->config);
}

lopt_status trainer_iterate(trainer *t, iteration_report *out) {
    iteration_report r = {0};
    r.window = window_length(t->config, t->iteration);
    LOPT_TRY(advance_all(t, r.window));
    r.gradient_norm = average_gradients(t);
    r.learning_rate = meta_rate(t->config, t->iteration);
    summarize(t, &r);
    meta_step(t->config, t->iteration, t->gradient, &t->meta);
    prepared_set(t->prepared, t->meta.weights);
    t->iteration++;
    *out = r;
    return LOPT_OK;
}
