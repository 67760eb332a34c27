/* What is fixed about an evaluation: learning rates, the steps at which losses are recorded, the seeds of a run.
 */
#ifndef LOPT_EVAL_PROTOCOL_H
#define LOPT_EVAL_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#include "lopt/lopt.h"

enum {
    EVAL_PROTOCOL = 2,    /* goes up whenever the same request would give other numbers: old cached sweeps then count for nothing */
    EVAL_RATE_COUNT = 15, /* 1e-7 .. 1 by half decades */
    EVAL_RATE_DEFAULT = 8, /* eval_rate(8) = 1e-3, Adam's rate where nobody tunes it */
    EVAL_GRID_INTERVALS = 200,
    EVAL_SEEDS_MAX = 1000,
    EVAL_STEPS_MAX = 100000000
};

/* Losses below this count as this where two are compared: below it float32 tasks differ by rounding alone. */
#define EVAL_LOSS_FLOOR 1e-10

double eval_rate(size_t index);           /* index < EVAL_RATE_COUNT */
const char *eval_rate_name(size_t index); /* "3.2e-4", for people */

/* Steps at which the whole loss is recorded: 0, then evenly spaced, the last one included; every step of a short run. */
typedef struct eval_grid {
    size_t count, steps; /* count points; point count - 1 is `steps` */
} eval_grid;
eval_grid eval_grid_make(size_t steps);
size_t eval_grid_step(eval_grid grid, size_t point);
size_t eval_grid_tenth(eval_grid grid); /* the last point at no more than a tenth of the steps */

/* Horizons: multiples of the steps, each judged by itself. */
enum { EVAL_HORIZONS_MAX = 8 };
typedef struct eval_horizons {
    size_t count, factor[EVAL_HORIZONS_MAX];
} eval_horizons;
/* Reads "1,10"; NULL: 1 alone. Each must be a different whole number from 1 on, times steps at most EVAL_STEPS_MAX. */
lopt_status eval_horizons_read(const char *text, size_t steps, eval_horizons *out);

/* What seed index s means for a task: the same for every optimizer, so that all have the same data, starts and batches. */
typedef struct eval_seeds {
    uint64_t instance, start, batch, optimizer;
} eval_seeds;
eval_seeds eval_seeds_make(uint64_t seed, const char *task, size_t seed_index);

#endif
