/* A rank of a training whose particles change ranks at random after every meta-iteration: prints a hash of what they come to.
 *   trainer_worker ESTIMATOR MOVES    MOVES 0: they stay where they are; 2: plans from invented costs move them on before the next one
 *   trainer_worker shards 0           reports and means of numbers that show every change of order, with particles anywhere */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "csrc/train/balance.h"

enum { ITERATIONS = 24, PARTICLES = 7, WEIGHTS = 11 };

static lopt_status configure(const char *estimator, train_config *c) {
    static const char *const settings[] = {
        "particles=7",   "tasks=quadratic:n=5,noise=0.5;rosenbrock;softmax_regression:features=4,sep=2,batch=20",
        "window.min=4",  "window.mean=6",
        "window.max=20", "horizon.kind=log_uniform",
        "horizon.min=8", "horizon.max=60",
        "es.pairs=2",    "weights.options=param=4,tensor=4,global=3"};
    char choice[64];
    snprintf(choice, sizeof choice, "estimator=%s", estimator);
    lopt_status status = config_defaults(c);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0] && status == LOPT_OK; i++) status = config_override(c, settings[i]);
    return status == LOPT_OK ? config_override(c, choice) : status;
}

static uint64_t hash_of(const trainer *t) {
    const uint64_t hash = XXH3_64bits(t->meta.storage, 4 * t->layout.count * sizeof(float));
    return XXH3_64bits_withSeed(&t->meta_loss_average, sizeof(double), hash);
}

static int random_below(int n) {
    static unsigned state = 1;
    state = state * 1664525u + 1013904223u;
    return (int)((state >> 16) % (unsigned)n);
}

/* So large that moves pay. */
static void invent_costs(trainer *t) {
    for (size_t i = 0; i < t->tasks.count; i++) {
        t->costs.step[i] = 1 + random_below(100);
        t->costs.setup[i] = 1e-3;
    }
}

static size_t moved_by_plan(const trainer *t) {
    size_t moved = 0;
    for (size_t p = 0; p < t->num_particles; p++)
        moved += t->plan.item[p].home != PLAN_NO_HOME && t->plan.item[p].home != t->plan.owner[p];
    return moved;
}

static lopt_status train(trainer *t, int moves, size_t *moved) {
    int plan[PARTICLES];
    for (int i = 0; i < ITERATIONS; i++) {
        iteration_report r;
        lopt_status status = trainer_iterate(t, &r);
        if (status != LOPT_OK) return status;
        if (moves == 2) {
            *moved += i > 0 ? moved_by_plan(t) : 0;
            invent_costs(t);
            if (i % 2) continue; /* what the plan has moved goes on with no other move between */
        }
        for (int p = 0; p < PARTICLES; p++) {
            plan[p] = random_below(t->shards.size);
            *moved += moves == 1 && plan[p] != t->shards.owner[p];
        }
        if (moves) status = trainer_move(t, plan);
        if (status != LOPT_OK) return status;
    }
    return LOPT_OK;
}

/* Of wildly different sizes, so that sums in another order differ. */
static float entry(int round, size_t p, size_t j) {
    static const float sizes[] = {1e20f, 1.0f, -1e20f, 3e10f, 1e-3f, -3e10f, 7.0f};
    return sizes[(p * 3 + j + (size_t)round) % 7] * (float)(1 + (p + 2 * j) % 3);
}

static int means_are_right(shards *s, int round) {
    float mine[PARTICLES * WEIGHTS], mean[WEIGHTS];
    for (size_t i = 0; i < shards_held(s, s->rank); i++)
        for (size_t j = 0; j < WEIGHTS; j++) mine[i * WEIGHTS + j] = entry(round, s->mine[i], j);
    if (shards_mean(s, mine, mean) != LOPT_OK) return 0;
    for (size_t j = 0; j < WEIGHTS; j++) {
        double sum = 0.0;
        for (size_t p = 0; p < PARTICLES; p++) sum += entry(round, p, j);
        if (mean[j] != (float)(sum / PARTICLES)) return 0;
    }
    return 1;
}

static int reports_are_right(shards *s, int round) {
    particle_report reports[PARTICLES] = {{0}};
    for (size_t i = 0; i < shards_held(s, s->rank); i++) reports[s->mine[i]].spec = 100 * s->mine[i] + (size_t)round;
    if (shards_report(s, LOPT_OK, 5, reports) != LOPT_OK) return 0;
    for (size_t p = 0; p < PARTICLES; p++)
        if (reports[p].spec != 100 * p + (size_t)round) return 0;
    return 1;
}

static lopt_status try_shards(lopt_comm *comm) {
    shards s;
    int owner[PARTICLES], good = 1;
    lopt_status status = shards_create(comm, PARTICLES, WEIGHTS, &s);
    for (int round = 0; round < 50 && status == LOPT_OK && good; round++) {
        good = reports_are_right(&s, round) && means_are_right(&s, round);
        for (int p = 0; p < PARTICLES; p++) owner[p] = random_below(s.size);
        status = shards_assign(&s, owner);
    }
    /* a rank whose weights are not rank 0's is noticed by all */
    particle_report reports[PARTICLES] = {{0}};
    if (status == LOPT_OK && good && s.size > 1)
        good = shards_report(&s, LOPT_OK, s.rank == s.size - 1 ? 6 : 5, reports) == LOPT_ERR_DEVICE;
    if (status == LOPT_OK && lopt_comm_rank(comm) == 0) printf("%s\n", good ? "right" : "wrong");
    shards_free(&s);
    return status != LOPT_OK || good ? status : LOPT_ERR_TASK;
}

static lopt_status run(lopt_comm *comm, const char *estimator, int moves) {
    train_config c;
    lopt_weights *start = NULL;
    trainer *t = NULL;
    size_t moved = 0;
    lopt_status status = configure(estimator, &c);
    if (status == LOPT_OK) status = lopt_weights_init(c.weights_options, 1, &start);
    if (status == LOPT_OK) status = trainer_create(&c, start, comm, &t);
    if (status == LOPT_OK) status = train(t, moves, &moved);
    if (status == LOPT_OK && lopt_comm_rank(comm) == 0) printf("%016llx %zu\n", (unsigned long long)hash_of(t), moved);
    trainer_free(t);
    lopt_weights_free(start);
    config_free(&c);
    return status;
}

int main(int argc, char **argv) {
    lopt_comm *comm = NULL;
    if (argc != 3 || lopt_comm_open(NULL, &comm) != LOPT_OK) return 2;
    const lopt_status status = strcmp(argv[1], "shards") == 0 ? try_shards(comm) : run(comm, argv[1], atoi(argv[2]));
    if (status != LOPT_OK) {
        fprintf(stderr, "rank %d: %s\n", lopt_comm_rank(comm), lopt_last_error());
        fflush(NULL);
        lopt_comm_abort(comm, 1);
    }
    lopt_comm_close(comm);
    return 0;
}
