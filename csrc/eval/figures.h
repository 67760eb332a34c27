/* The pictures of an evaluation: one figure per task, and all tasks on one sheet. */
#ifndef LOPT_EVAL_FIGURES_H
#define LOPT_EVAL_FIGURES_H

#include "csrc/eval/results.h"
#include "csrc/eval/text_buffer.h"

/* An <svg> element for use inside HTML that has the rules of figure_add_style. */
lopt_status figure_task(text_buffer *b, const eval_results *r, size_t task);
/* How many of the learned optimizers are drawn, from the first on. */
size_t figures_learned(const eval_results *r);
/* A whole SVG file with small panels of all tasks. */
lopt_status figure_sheet(text_buffer *b, const eval_results *r);

#endif
