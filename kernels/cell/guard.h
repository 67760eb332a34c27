/* The guard: a tensor's learning rates stay within bounds that follow from those used so far.
 *
 * A learned optimizer cannot see how large its rates are, only how gradients behave. Far from what it was trained on it may raise them without
 * end; and once they are so small that parameters hardly move, each step's features are those of the last, and nothing turns their fall round.
 * So the geometric mean of a tensor's rates is held within two multiples of the average of those used so far, GUARD_FLOOR s and GUARD_CEILING
 * + s, of which GUARD_CEILING falls like t^(-1/2) from step GUARD_LATE on, to GUARD_LEAST. The signal s is 1 for gradients that keep their value
 * and about 1/10 for noise, where rates have to fall in the end. (A gradient that is always 0 keeps its value.) Held at a multiple c of it, the
 * average goes as the power c - 1 of the number of steps: at the ceiling from t^(1/2) to t^(-0.4), in the long run from t^(0.1) to t^(-0.8); at
 * the floor from t^(-0.7) to t^(-1). At the ceiling noise settles, and the sum of all rates still has no bound (Robbins and Monro 1951). No
 * single rate begins a step above GUARD_SPREAD averages; those of weights behind features that are nearly always 0 would.
 *
 * A hold lasts: the difference is kept as a shift of the tensor's log learning rates, so that the optimizer's next word counts from where the
 * rate is, not from where it would have been. The shift passes into the single rates little by little, GUARD_SETTLE of it in a step: at once the
 * cell would be disturbed, and if never, single rates that are held down would rise until all of them are at their bound, and a tensor's
 * would say nothing any more beside another's. A step that was never held is what the rules say to the bit. */
#ifndef LOPT_CELL_GUARD_H
#define LOPT_CELL_GUARD_H

#include "kernels/cell/readout.h"

#define GUARD_CEILING 0.5f
#define GUARD_FLOOR 0.3f
#define GUARD_SPREAD 30.0f
#define GUARD_SETTLE 0.002f
#define GUARD_FREE 100.0f  /* steps before it begins: rates start anywhere, and have to find their size */
#define GUARD_LATE 2000.0f /* steps after which the ceiling comes down, and updates are handed over (handover.h) */
#define GUARD_LEAST 0.1f   /* what it comes down to above the signal, or sums of rates would be bounded where s is 0 */

/* Where rates may start: with those of the rules (LOG_LR_MAX), neither they, nor their average, nor a shift from one to the other leave the floats. */
#define GUARD_LR_MIN 1e-20
#define GUARD_LR_MAX 1e20

#define GUARD_MEMORY 0.1f  /* share of the steps so far over which mean squares of directions are averaged */
#define GUARD_LONGEST 3.0f /* what a step's RMS counts for at most, in averages: one bad gradient must not become one huge step */

/* Of each tensor: the average of the rates used, over how many steps, the shift, and the average mean square of directions. Starts from 0. */
enum { GUARD_AVERAGE, GUARD_STEPS, GUARD_SHIFT, GUARD_SQUARE, GUARD_STATE };

/* Log ratio of the mean squares of a tensor's slowest and fastest averages, a geometric mean over its parameters, from the means of its
 * features [P + X]. With one timescale there is nothing to tell signal from noise by: as if all were noise. */
CELL_FN float guard_log_ratio(lopt_dims d, const float *mean) {
    const float *gam = mean + d.param + features_magnitudes(d);
    return d.scales > 1 ? gam[d.scales - 1] - gam[0] : -INFINITY;
}

/* What is added to each of a tensor's log learning rates at the start of the step to come, and taken from its shift; what the cell sees of
 * the model's mean rate is from before. state NULL: the guard is off. */
CELL_FN float guard_settled(const float *state) { return state ? GUARD_SETTLE * state[GUARD_SHIFT] : 0.0f; }

/* What is left of the shift in the step to come. */
CELL_FN float guard_left(const float *state) { return state[GUARD_SHIFT] - guard_settled(state); }

/* What single log learning rates are lowered to after that; INFINITY: they are not. */
CELL_FN float guard_log_lr_max(const float *state) {
    if (state == NULL || state[GUARD_STEPS] < GUARD_FREE) return INFINITY;
    return logf(GUARD_SPREAD * state[GUARD_AVERAGE]) - guard_left(state);
}

/* The highest multiple of the average that is let through, after so many steps: less and less above the signal alone, so that what noise
 * leaves of the loss goes on falling. */
CELL_FN float guard_ceiling(float signal, float steps) {
    return signal + fmaxf(GUARD_LEAST, GUARD_CEILING * fminf(1.0f, sqrtf(GUARD_LATE / fmaxf(steps, 1.0f))));
}

/* The share of a tensor's update that is the plain one's in the step to come: 3/4 after twice GUARD_LATE steps, 0 before. */
CELL_FN float guard_handed_over(const float *state) {
    if (state == NULL || state[GUARD_STEPS] <= GUARD_LATE) return 0.0f;
    const float ratio = GUARD_LATE / state[GUARD_STEPS];
    return 1.0f - ratio * ratio;
}

/* The mean square that a tensor's directions are divided by the root of (rule 10): as much as is handed over, it is an average over many
 * steps. square: this step's. */
CELL_FN double guard_mean_square(double square, float *state) {
    const float share = guard_handed_over(state), now = (float)square;
    state[GUARD_SQUARE] += fminf(1.0f, 1.0f / (GUARD_MEMORY * (state[GUARD_STEPS] + 1.0f))) * (now - state[GUARD_SQUARE]);
    if (share == 0.0f) return square;
    return (double)fmaxf(now + share * (state[GUARD_SQUARE] - now), now / (GUARD_LONGEST * GUARD_LONGEST));
}

/* What a tensor's update is multiplied by in this step. mean_log_lr: its mean of alpha' (rule 11). Counts the step. */
CELL_FN float guard_scale(float mean_log_lr, float log_ratio, float *state) {
    const float signal = expf(-fabsf(log_ratio)), low = GUARD_FLOOR * signal, high = guard_ceiling(signal, state[GUARD_STEPS]);
    const float shift = guard_left(state), rate = expf(mean_log_lr + shift), average = state[GUARD_AVERAGE];
    const float used = state[GUARD_STEPS] < GUARD_FREE ? rate : fminf(fmaxf(rate, low * average), high * average);
    state[GUARD_SHIFT] = used != rate ? logf(used) - mean_log_lr : shift;
    state[GUARD_STEPS] += 1.0f; /* stands still at 2^24, and the average goes on with that memory */
    state[GUARD_AVERAGE] += (used - average) / state[GUARD_STEPS];
    return expf(state[GUARD_SHIFT]);
}

/* What a step leaves of a tensor of n parameters. */
typedef struct guard_sums {
    double n, move_square, attend_square, log_lr; /* sums of d^2, e^2 and alpha' */
    const float *mean;                            /* [P + X] of h' and x */
} guard_sums;

/* What its unnormalised moves and attended ones are multiplied by: 1 / RMS (rule 10), and the guard's factor. state NULL: the guard is off.
 * Counts the step. */
CELL_FN void guard_inverse_rms(lopt_dims d, const guard_sums *s, float *state, float *move, float *attend) {
    const double square = state ? guard_mean_square(s->move_square / s->n, state) : s->move_square / s->n;
    const float scale = state ? guard_scale((float)(s->log_lr / s->n), guard_log_ratio(d, s->mean), state) : 1.0f;
    *move = scale * readout_inverse_rms(square);
    *attend = scale * readout_inverse_rms(s->attend_square / s->n);
}

#endif
