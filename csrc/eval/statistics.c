#include "csrc/eval/statistics.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "kernels/cell/philox.h"

enum { RESAMPLES = 2000 };

double stat_mean(const double *values, size_t count) {
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) sum += values[i];
    double mean = sum / (double)count;
    return isfinite(mean) ? mean : NAN;
}

/* Ascending; what is not finite comes last. */
static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    if (!isfinite(x) || !isfinite(y)) return !isfinite(x) - !isfinite(y);
    return (x > y) - (x < y);
}

stat_spread stat_spread_of(const double *values, size_t count) {
    double sorted[EVAL_SEEDS_MAX];
    memcpy(sorted, values, count * sizeof *values);
    qsort(sorted, count, sizeof *sorted, compare);
    stat_spread s;
    s.median = 0.5 * (sorted[(count - 1) / 2] + sorted[count / 2]);
    s.low = sorted[0];
    s.high = sorted[count - 1];
    return s;
}

double stat_iqm(const double *values, size_t count, double *scratch) {
    memcpy(scratch, values, count * sizeof *values);
    qsort(scratch, count, sizeof *scratch, compare);
    size_t cut = count / 4;
    return stat_mean(scratch + cut, count - 2 * cut);
}

lopt_status stat_iqm_interval(const double *values, size_t count, uint64_t seed, double *low, double *high) {
    void *p = NULL;
    LOPT_TRY(memory_alloc(2 * count + RESAMPLES, sizeof(double), "bootstrap resamples", &p));
    double *drawn = p, *scratch = drawn + count, *means = scratch + count;
    for (uint32_t r = 0; r < RESAMPLES; r++) {
        for (size_t i = 0; i < count; i++)
            drawn[i] = values[random_to_below(random_bits(seed, RANDOM_RESAMPLE, r, i, 0).u[0], (uint32_t)count)];
        means[r] = stat_iqm(drawn, count, scratch);
    }
    qsort(means, RESAMPLES, sizeof *means, compare);
    *low = means[RESAMPLES / 40];
    *high = means[RESAMPLES - 1 - RESAMPLES / 40];
    free(p);
    return LOPT_OK;
}

size_t stat_steps_to_reach(eval_grid grid, const double *losses, double target) {
    const double floored = fmax(target, EVAL_LOSS_FLOOR);
    if (!isfinite(target)) return 0;
    for (size_t i = 1; i < grid.count; i++)
        if (losses[i] <= floored) return eval_grid_step(grid, i);
    return 0;
}

double stat_speed_up(eval_grid grid, const double *losses, double target) {
    size_t steps = stat_steps_to_reach(grid, losses, target);
    return steps > 0 && isfinite(losses[grid.count - 1]) ? (double)grid.steps / (double)steps : 0.0;
}

double stat_win(double loss, double rival) {
    if (!isfinite(loss)) return 0.0;
    if (!isfinite(rival)) return 1.0;
    double a = fmax(loss, EVAL_LOSS_FLOOR), b = fmax(rival, EVAL_LOSS_FLOOR);
    return a < b ? 1.0 : a == b ? 0.5 : 0.0;
}

/* Twice the rank of column c in a row, from 0: one for each column that is better, half for each that is equal. */
static size_t double_rank(const double *row, size_t columns, size_t c) {
    size_t rank = 0;
    for (size_t k = 0; k < columns; k++) {
        if (k == c) continue;
        int both_bad = !isfinite(row[k]) && !isfinite(row[c]);
        rank += both_bad ? 1 : (size_t)(2.0 * stat_win(row[k], row[c]));
    }
    return rank;
}

size_t stat_best_mean_rank(const double *losses, size_t rows, size_t columns) {
    size_t best = 0, best_rank = SIZE_MAX;
    for (size_t c = 0; c < columns; c++) {
        size_t rank = 0;
        for (size_t r = 0; r < rows; r++) rank += double_rank(losses + r * columns, columns, c);
        if (rank < best_rank) best = c, best_rank = rank;
    }
    return best;
}
