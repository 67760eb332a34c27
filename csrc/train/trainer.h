/* The state of a meta-training and its one operation, the meta-iteration. Knows no files. */
#ifndef LOPT_TRAIN_TRAINER_H
#define LOPT_TRAIN_TRAINER_H

#include "csrc/train/costs.h"
#include "csrc/train/meta_optimizer.h"
#include "csrc/train/plan.h"
#include "csrc/train/shards.h"
#include "csrc/weights/weights.h"

/* When a particle's window is run: the long ones first, so that no thread waits at the end. Results do not depend on it. */
typedef struct trainer_turn {
    size_t place; /* among this rank's particles */
    double cost;
} trainer_turn;

typedef struct trainer {
    const train_config *config;
    corpus tasks;
    weight_layout layout;
    meta_state meta;
    prepared_weights *prepared;
    uint64_t iteration;       /* meta-iterations done */
    uint64_t inner_steps;     /* in all unrolls of all particles since the start of the run */
    double meta_loss_average; /* moving average over meta-iterations */
    size_t num_particles;
    shards shards;            /* which of the particles are this rank's */
    particle *particles;      /* [num_particles]; of other ranks' ones only number and restart are known */
    particle_report *reports; /* [num_particles], all ranks', of the last meta-iteration; before the first, `restarted` alone */
    costs costs;
    plan plan;                   /* of the present meta-iteration */
    trainer_turn *turns;         /* [num_particles], this rank's, in the order in which threads take them */
    float *gradients, *gradient; /* [gradients_room][count], in the order of shards.mine; [count] the mean over all */
    size_t gradients_room;
    int num_workspaces;
    estimate_workspace **workspaces; /* one per thread */
} trainer;

typedef struct iteration_report {
    double meta_loss, gradient_norm, learning_rate;
    uint64_t diverged, restarted, bounded;
    size_t window;
} iteration_report;

/* Collective, as all calls on a trainer: config and start are the same on all ranks; config and comm are borrowed. Particles begin their
 * first runs in the first meta-iteration. */
lopt_status trainer_create(const train_config *config, const lopt_weights *start, lopt_comm *comm, trainer **out);
void trainer_free(trainer *t);
/* One window of every particle, one update. Bit-identical for any number of ranks and threads. After a failure the trainer is not to be
 * used; all ranks get the same failure. */
lopt_status trainer_iterate(trainer *t, iteration_report *out);
/* owner [num_particles]: from now on. Not collective; states are not moved (trainer_move). After a failure, reports still come through. */
lopt_status trainer_assign(trainer *t, const int *owner);
/* Weights have changed behind its back: what follows from them is made anew. */
void trainer_set_weights(trainer *t);

#endif
