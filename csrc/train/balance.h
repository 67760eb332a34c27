/* Particles change ranks so that all ranks are busy for equally long: tasks differ in cost by orders of magnitude. No result depends on it. */
#ifndef LOPT_TRAIN_BALANCE_H
#define LOPT_TRAIN_BALANCE_H

#include "csrc/train/trainer.h"

/* Collective, between meta-iterations: each particle goes to rank to[p] (to [num_particles] is the same on all ranks). What its task takes to
 * set up is spent in the next meta-iteration. */
lopt_status trainer_move(trainer *t, const int *to);
/* Before a meta-iteration with a window of this length: what begins a run is spread over the ranks, and what runs moves if that pays. All
 * ranks have the same reports, and so come to the same plan; they talk only if something moves. mine out: a failure of this rank alone,
 * which its report must tell. */
lopt_status trainer_balance(trainer *t, size_t window, lopt_status *mine);
/* After that: what particle p is expected to take in this meta-iteration. */
double balance_seconds(const trainer *t, size_t p);

#endif
