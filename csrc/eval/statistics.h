/* Numbers that sum an evaluation up. A loss that is not finite is NaN everywhere in csrc/eval and always counts as the worst. */
#ifndef LOPT_EVAL_STATISTICS_H
#define LOPT_EVAL_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

#include "csrc/eval/protocol.h"

/* Mean; NaN if any value is not finite or there is none. */
double stat_mean(const double *values, size_t count);

typedef struct stat_spread {
    double median, low, high; /* NaN where it falls on a value that is not finite; low: the least finite one */
} stat_spread;
/* Of at most EVAL_SEEDS_MAX values, count > 0. An even count takes the mean of the two in the middle. */
stat_spread stat_spread_of(const double *values, size_t count);

/* Interquartile mean: the mean without the lowest and the highest floor(count / 4) values (Agarwal et al. 2021, "Deep RL at the
 * Edge of the Statistical Precipice"). scratch [count]. */
double stat_iqm(const double *values, size_t count, double *scratch);

/* 95 % percentile bootstrap interval of the interquartile mean, resampling the values. LOPT_ERR_MEMORY. */
lopt_status stat_iqm_interval(const double *values, size_t count, uint64_t seed, double *low, double *high);

/* The first recorded step after the start at which the loss is at most `target` (floored); 0: never. losses [grid.count] */
size_t stat_steps_to_reach(eval_grid grid, const double *losses, double target);

/* grid.steps / stat_steps_to_reach; 0 if it is never reached, if the target or the last loss is not finite. */
double stat_speed_up(eval_grid grid, const double *losses, double target);

/* 1 if loss is lower than rival, 0.5 if they are equal, 0 if it is higher or not finite. A rival that is not finite loses. */
double stat_win(double loss, double rival);

/* The column with the lowest mean rank over the rows of losses [rows][columns]; equal ranks are averaged, the first of the best
 * wins. */
size_t stat_best_mean_rank(const double *losses, size_t rows, size_t columns);

#endif
