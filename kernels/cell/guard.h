/* The guard: a tensor's learning rate, by its mean, does not rise above what it was on average so far.
 *
 * A learned optimizer cannot see how large its rates are, only how gradients behave; far from what it was trained on it may raise them
 * without end. Rates that anneal are never held; one that rises late is held at GUARD_CEILING times the average of the rates that were used,
 * which then grows by a power of the number of steps at most. Only the update is scaled, neither alpha nor anything that the cell sees, so
 * that a step below the ceiling is what the rules say to the bit. */
#ifndef LOPT_CELL_GUARD_H
#define LOPT_CELL_GUARD_H

#include "kernels/cell/dims.h"

#define GUARD_CEILING 1.5f
#define GUARD_FREE 50.0f /* steps before it begins: rates start anywhere, and have to find their size */

/* Of each tensor: the average of the rates used, and over how many steps. Starts from 0. */
enum { GUARD_AVERAGE, GUARD_STEPS, GUARD_STATE };

/* What the update of this step is multiplied by, from the mean of the tensor's log learning rates (alpha' of rule 11); counts the step. */
CELL_FN float guard_scale(float mean_log_lr, float *state) {
    const float rate = expf(mean_log_lr), ceiling = GUARD_CEILING * state[GUARD_AVERAGE];
    const float used = state[GUARD_STEPS] >= GUARD_FREE && rate > ceiling ? ceiling : rate;
    state[GUARD_STEPS] += 1.0f; /* stands still at 2^24, and the average goes on with that memory */
    state[GUARD_AVERAGE] += (used - state[GUARD_AVERAGE]) / state[GUARD_STEPS];
    return used / rate;
}

#endif
