/* Particles change ranks so that all ranks are busy for equally long: tasks differ in cost by orders of magnitude. No result depends on it. */
#ifndef LOPT_TRAIN_BALANCE_H
#define LOPT_TRAIN_BALANCE_H

#include "csrc/train/trainer.h"

/* cost [n] >= 0; owner [n], of ranks 0 .. ranks - 1. plan [n] out: owner, with particles moved from busy ranks to idle ones; load [ranks] out: the
 * costs of each rank then. Few moves rather than the best of all plans. Returns how many moved. */
size_t balance_plan(size_t n, int ranks, const double *cost, const int *owner, int *plan, double *load);

/* Collective, between meta-iterations: particles with another owner in plan [num_particles], the same on all ranks, move there. */
lopt_status trainer_move(trainer *t, const int *plan);
/* Collective: after a meta-iteration, moves particles if that promises to pay. */
lopt_status trainer_balance(trainer *t);

#endif
