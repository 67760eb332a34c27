/* A rank of a training whose particles change ranks at random after every meta-iteration: prints a hash of what they come to.
 *   trainer_worker ESTIMATOR MOVES    MOVES 0: they stay where they are */
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "csrc/train/balance.h"

enum { ITERATIONS = 12, PARTICLES = 7 };

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

static lopt_status train(trainer *t, int moves, size_t *moved) {
    int plan[PARTICLES];
    unsigned random = 1;
    for (int i = 0; i < ITERATIONS; i++) {
        iteration_report r;
        lopt_status status = trainer_iterate(t, &r);
        if (status != LOPT_OK) return status;
        for (int p = 0; p < PARTICLES; p++) {
            random = random * 1664525u + 1013904223u;
            plan[p] = (int)((random >> 16) % (unsigned)t->shards.size);
            *moved += moves && plan[p] != t->shards.owner[p];
        }
        if (moves) status = trainer_move(t, plan);
        if (status != LOPT_OK) return status;
    }
    return LOPT_OK;
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
    if (run(comm, argv[1], atoi(argv[2])) != LOPT_OK) {
        fprintf(stderr, "rank %d: %s\n", lopt_comm_rank(comm), lopt_last_error());
        fflush(NULL);
        lopt_comm_abort(comm, 1);
    }
    lopt_comm_close(comm);
    return 0;
}
