/* The rivals of a learned optimizer: hand-written rules with a learning rate that has to be tuned. */
#ifndef LOPT_EVAL_BASELINES_H
#define LOPT_EVAL_BASELINES_H

#include <stddef.h>

#include "lopt/lopt.h"

typedef struct baseline_state {
    size_t n, step;          /* parameters; steps done, the one under way included */
    float *first, *second;   /* [n] each, zero at the start: momentum and mean square where the rule has them */
    double momentum_product; /* NAdamW: product of its momenta so far; 1 at the start */
} baseline_state;

typedef enum baseline_id {
    BASELINE_SGD,
    BASELINE_MOMENTUM,
    BASELINE_NESTEROV,
    BASELINE_RMSPROP,
    BASELINE_ADAM,
    BASELINE_ADAMW,
    BASELINE_NADAMW,
    BASELINE_ADAM_COSINE,
    BASELINE_ADAMW_COSINE,
    BASELINE_COUNT
} baseline_id;

typedef struct baseline {
    const char *name;
    void (*update)(baseline_state *s, double rate, const float *grad, float *params); /* one step on n parameters */
    int cosine; /* 1: the rate falls to 0 over the run by half a cosine */
} baseline;

const baseline *baseline_get(baseline_id id); /* static memory */

lopt_status baseline_state_create(size_t n, baseline_state **out);
void baseline_state_free(baseline_state *s);

/* One step. rate: at the start of the run; steps: of the whole run (for the schedule). */
void baseline_step(const baseline *b, baseline_state *s, double rate, size_t steps, const float *grad, float *params);

#endif
