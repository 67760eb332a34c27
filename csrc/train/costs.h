/* What windows and task set-ups cost, learnt from reports, so that work can be spread before it is done. No result depends on it. */
#ifndef LOPT_TRAIN_COSTS_H
#define LOPT_TRAIN_COSTS_H

#include "csrc/train/particle.h"

typedef struct costs {
    const corpus *tasks; /* borrowed */
    double *step;        /* [tasks->count] seconds of processor time that a step takes, smoothed; 0: not seen yet */
    double *setup;       /* [tasks->count] the same of setting the task up */
} costs;

lopt_status costs_create(const corpus *tasks, costs *out);
void costs_free(costs *c);
/* r: of a window of `steps` steps. */
void costs_learn(costs *c, const particle_report *r, size_t steps);
/* What has been seen of this task; of a task not seen yet, the mean over those seen with the same spec (lists name some more often), else
 * over its family, else over all, else `otherwise`. */
double costs_step(const costs *c, size_t spec, double otherwise);
double costs_setup(const costs *c, size_t spec, double otherwise);

#endif
