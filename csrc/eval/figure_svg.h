/* A panel with loss curves, as SVG. */
#ifndef LOPT_EVAL_FIGURE_SVG_H
#define LOPT_EVAL_FIGURE_SVG_H

#include "csrc/eval/names.h"
#include "csrc/eval/protocol.h"
#include "csrc/eval/text_buffer.h"

enum {
    FIGURE_LEARNED_LOOKS = 4, /* "learned0" .. "learned3"; further ones begin again */
    FIGURE_SERIES_MAX = 32    /* curves in a panel */
};

typedef struct figure_series {
    char label[NAME_ROOM];
    char look[16];               /* class of the style below */
    double *median, *low, *high; /* [grid.count] over the seeds, NaN where not finite; low and high NULL: no band */
} figure_series;

/* Where a panel stands and how much it says; lengths in SVG units. */
typedef struct figure_frame {
    double x, y, width, height; /* of the plotting area; tick labels stand to the left and below */
    int direct_labels;          /* 1: each curve's name to its right */
    size_t id;                  /* distinct within a document */
    size_t wanted_ticks;
} figure_frame;

/* count: at most FIGURE_SERIES_MAX. top: loss above which curves are cut off; not finite: they decide. */
void figure_panel(text_buffer *b, const figure_frame *f, eval_grid grid, const figure_series *series, size_t count, double top);

/* Rules for the classes that panels use, for a <style> element; colours that colour-blind people can tell apart, light and dark. */
void figure_add_style(text_buffer *b);

#endif
