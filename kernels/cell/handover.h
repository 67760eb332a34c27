/* The hand-over: late in a run, where the guard is on, the learned update gives way by and by to a plain one.
 *
 * What a cell makes of a gradient is not linear in it; nor is a rate that answers to the gradient which it multiplies, nor a direction that
 * is divided by its own RMS. Where gradients of minibatches are skewed (wrong labels: few and large ones), the mean of such moves vanishes
 * elsewhere than the mean gradient, and smaller rates only go there the more exactly. An update of which all but the gradient is from before
 * the step has its mean where it should be (as a stochastic gradient step with a preconditioner: Robbins and Monro 1951). This one nearly is
 * that: an average of gradients, over the root of their mean square before the step, with the rate of before the step, relative to
 * the tensor's RMS over many steps (guard_mean_square). */
#ifndef LOPT_CELL_HANDOVER_H
#define LOPT_CELL_HANDOVER_H

#include "kernels/cell/readout.h"

#define HANDOVER_MOST 30.0f /* RMS of before the step that a single parameter's plain direction is at most */

/* Which average: the second, over twice the fastest one's time, where there is one. */
CELL_FN int handover_scale(lopt_dims d) { return d.scales > 1 ? 1 : 0; }

/* gbar: that average, after the step; lam: the fastest one's mean square before it. */
CELL_FN vf handover_direction(vf gbar, vf lam) {
    return vf_max(vf_min(gbar * vf_rsqrt(lam + SCALE_FLOOR), vf_set1(HANDOVER_MOST)), vf_set1(-HANDOVER_MOST));
}

/* Gives `share` (0..1) of a parameter's update to the plain one. log_lr: alpha before the step. What is attended stays what it was. */
CELL_FN void handover_blend(const cell_weights *w, float share, vf plain, vf log_lr, cell_readout *o) {
    const vf rate = o->rate + share * (log_lr - o->rate);
    o->direction += share * (plain - o->direction);
    o->move_scale = vf_exp_fast(vf_min(rate + w->step_offset, vf_set1(EXPONENT_MAX)));
    o->move = o->move_scale * o->direction;
}

#endif
