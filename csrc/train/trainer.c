#include "csrc/train/trainer.h"
#include "csrc/optimizer/subnormals.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#include <xxhash.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/bench/clock.h"
#include "csrc/comm/agree.h"
#include "csrc/train/balance.h"
#include "csrc/train/parcel.h"

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
#pragma omp critical(lopt_trainer_failure)
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

lopt_status trainer_assign(trainer *t, const int *owner) {
    LOPT_TRY(shards_assign(&t->shards, owner));
    const size_t held = shards_held(&t->shards, t->shards.rank);
    size_t floats = 0;
    float *gradients = NULL;
    if (held <= t->gradients_room) return LOPT_OK;
    LOPT_CHECK(!__builtin_mul_overflow(held, t->layout.count, &floats), LOPT_ERR_MEMORY, "too many particles");
    LOPT_TRY(memory_floats(floats, "the particles' meta-gradients (train with fewer particles, or on more ranks)", &gradients));
    free(t->gradients);
    t->gradients = gradients;
    t->gradients_room = held;
    return LOPT_OK;
}

static lopt_status allocate(trainer *t) {
    void *memory = NULL;
    const size_t n = t->num_particles;
    LOPT_TRY(memory_alloc(n, sizeof(particle), "particles", &memory));
    t->particles = memory;
    LOPT_TRY(memory_alloc(n, sizeof(particle_report), "particles", &memory));
    t->reports = memory;
    LOPT_TRY(memory_alloc(n, sizeof(trainer_turn), "particles", &memory));
    t->turns = memory;
    LOPT_TRY(costs_create(&t->tasks, &t->costs));
    LOPT_TRY(plan_create(n, t->shards.size, &t->plan));
    for (size_t p = 0; p < n; p++) {
        t->particles[p].number = p;
        t->reports[p].restarted = 1;
    }
    LOPT_TRY(memory_floats(t->layout.count, "the meta-gradient", &t->gradient));
    LOPT_TRY(trainer_assign(t, t->shards.owner));
    LOPT_TRY(memory_alloc((size_t)thread_count(), sizeof(estimate_workspace *), "workspaces", &memory));
    t->workspaces = memory;
    t->num_workspaces = thread_count();
    for (int i = 0; i < t->num_workspaces; i++) LOPT_TRY(estimate_workspace_create(t->config, &t->layout, &t->workspaces[i]));
    memcpy(t->meta.trained, t->workspaces[0]->trained, t->layout.count * sizeof(float));
    return LOPT_OK;
}

static lopt_status create(const train_config *config, const lopt_weights *start, lopt_comm *comm, trainer **out) {
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
    LOPT_TRY_CLEANUP(shards_create(comm, t->num_particles, t->layout.count, &t->shards));
    LOPT_TRY_CLEANUP(allocate(t));
    *out = t;
    return LOPT_OK;
cleanup:
    trainer_free(t);
    return status;
}

lopt_status trainer_create(const train_config *config, const lopt_weights *start, lopt_comm *comm, trainer **out) {
    trainer *t = NULL;
    lopt_status status = comm_agree(comm, create(config, start, comm, &t));
    if (status == LOPT_OK) *out = t;
    else trainer_free(t);
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
    costs_free(&t->costs);
    plan_free(&t->plan);
    free(t->gradients);
    free(t->gradient);
    shards_free(&t->shards);
    prepared_free(t->prepared);
    meta_state_free(&t->meta);
    corpus_free(&t->tasks);
    free(t);
}

static int longer_first(const void *a, const void *b) {
    const trainer_turn *x = a, *y = b;
    if (x->cost != y->cost) return x->cost < y->cost ? 1 : -1;
    return (x->place > y->place) - (x->place < y->place);
}

/* A particle that has come from another rank is unpacked by the thread that goes on with it. */
static __attribute__((noinline)) lopt_status advance_turn(trainer *t, size_t window, const trainer_turn *turn) {
    const size_t p = t->shards.mine[turn->place];
    const int opens = t->particles[p].unopened != NULL;
    const double called = clock_thread_seconds();
    if (opens) LOPT_TRY(parcel_open(t->config, &t->tasks, &t->layout, &t->particles[p]));
    const double opened = clock_thread_seconds();
    LOPT_TRY(particle_advance(t->config, &t->tasks, t->prepared, window, t->workspaces[thread_number()], &t->particles[p],
                              t->gradients + turn->place * t->layout.count, &t->reports[p]));
    if (opens) t->reports[p].setup = opened - called;
    return LOPT_OK;
}

/* This rank's particles. */
static lopt_status advance_mine(trainer *t, size_t window) {
    const size_t held = shards_held(&t->shards, t->shards.rank);
    first_failure failure = {LOPT_OK, 0, ""};
    for (size_t i = 0; i < held; i++) t->turns[i] = (trainer_turn){i, balance_seconds(t, t->shards.mine[i])};
    qsort(t->turns, held, sizeof *t->turns, longer_first);
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 1) num_threads(t->num_workspaces)
#endif
    for (size_t i = 0; i < held; i++) {
        const unsigned mode = subnormals_on(); /* threads may come with that of whoever made them */
        note_failure(&failure, t->shards.mine[t->turns[i].place], advance_turn(t, window, &t->turns[i]));
        subnormals_restore(mode);
    }
    return outcome(&failure);
}

/* What the reports say of the particles: what their tasks cost, and that other ranks' ones have ended a run. */
static void take_notice(trainer *t, size_t window) {
    for (size_t p = 0; p < t->num_particles; p++) {
        costs_learn(&t->costs, &t->reports[p], window);
        if (t->reports[p].restarted && t->shards.owner[p] != t->shards.rank) t->particles[p].restart++;
    }
}

static double norm_of(const float *x, size_t count) {
    double square = 0.0;
    for (size_t j = 0; j < count; j++) square += (double)x[j] * x[j];
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

void trainer_set_weights(trainer *t) { prepared_set(t->prepared, t->meta.weights); }

lopt_status trainer_iterate(trainer *t, iteration_report *out) {
    iteration_report r = {0};
    lopt_status mine = LOPT_OK;
    r.window = window_length(t->config, t->iteration);
    LOPT_TRY(trainer_balance(t, r.window, &mine));
    if (mine == LOPT_OK) mine = advance_mine(t, r.window);
    const uint64_t hash = XXH3_64bits(t->meta.weights, t->layout.count * sizeof(float));
    LOPT_TRY(shards_report(&t->shards, mine, hash, t->reports));
    LOPT_TRY(shards_mean(&t->shards, t->gradients, t->gradient));
    r.gradient_norm = norm_of(t->gradient, t->layout.count);
    r.learning_rate = meta_rate(t->config, t->iteration);
    summarize(t, &r);
    take_notice(t, r.window);
    meta_step(t->config, t->iteration, t->gradient, &t->meta);
    trainer_set_weights(t);
    t->iteration++;
    *out = r;
    return LOPT_OK;
}
