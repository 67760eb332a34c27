/* Axes of a loss figure: from steps and losses to places on the page, with ticks that people like. */
#ifndef LOPT_EVAL_FIGURE_SCALE_H
#define LOPT_EVAL_FIGURE_SCALE_H

#include <stddef.h>

enum { FIGURE_TICKS_MAX = 24 };

typedef struct figure_ticks {
    size_t count;
    double value[FIGURE_TICKS_MAX];
    int powers; /* 1: all are powers of ten, too far apart to be written out */
} figure_ticks;

/* A logarithmic axis. */
typedef struct loss_scale {
    double low, high;   /* losses at the bottom and the top, 0 < low < high */
    double bottom, top; /* places on the page */
} loss_scale;

/* The axis that shows losses from low to high with a margin; a range that is empty, not finite or not positive becomes one that can
 * be drawn. */
loss_scale loss_scale_make(double low, double high, double bottom, double top);
/* Place of a loss. What lies outside the axis, zero and NaN come out at most a tenth of the axis outside. */
double loss_scale_place(const loss_scale *s, double loss);
figure_ticks loss_scale_ticks(const loss_scale *s, size_t wanted);

/* Whole, evenly spaced numbers from 0 to at most `last`, about `wanted` of them. */
figure_ticks step_ticks(size_t last, size_t wanted);

#endif
