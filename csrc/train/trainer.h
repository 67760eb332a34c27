/* The state of a meta-training and its one operation, the meta-iteration. Knows no files. */
#ifndef LOPT_TRAIN_TRAINER_H
#define LOPT_TRAIN_TRAINER_H

#include "csrc/train/meta_optimizer.h"
#include "csrc/train/particle.h"
#include "csrc/weights/weights.h"

/* When a particle's window is run: the long ones first, so that no thread waits at the end. Results do not depend on it. */
typedef struct trainer_turn {
    size_t particle;
    double seconds; /* that its last window took; infinite before the first window of a run */
} trainer_turn;

typedef struct trainer {
    const train_config *config;
    corpus tasks;
    weight_layout layout;
    meta_state meta;
    prepared_weights *prepared;
    uint64_t iteration;           /* meta-iterations done */
    uint64_t inner_steps;         /* in all unrolls of all particles since the start of the run */
    double meta_loss_average;     /* moving average over meta-iterations */
    size_t num_particles;
    particle *particles;          /* [num_particles] */
    particle_report *reports;     /* [num_particles], of the last meta-iteration */
    trainer_turn *turns;          /* [num_particles], in the order in which threads take them */
    float *gradients, *gradient;  /* [num_particles][count]; [count] their mean */
    int num_workspaces;
    estimate_workspace **workspaces; /* one per thread */
} trainer;

typedef struct iteration_report {
    double meta_loss, gradient_norm, learning_rate;
    uint64_t diverged, restarted, bounded;
    size_t window;
} iteration_report;

/* config is borrowed. Particles begin their first runs in the first meta-iteration. */
lopt_status trainer_create(const train_config *config, const lopt_weights *start, trainer **out);
void trainer_free(trainer *t);
/* One window of every particle, one update. Bit-identical for any number of threads. After a failure the trainer is not to be used. */
lopt_status trainer_iterate(trainer *t, iteration_report *out);

#endif
