/* What an evaluation leaves: each function makes the whole text of one thing, malloc'ed. */
#ifndef LOPT_EVAL_OUTPUTS_H
#define LOPT_EVAL_OUTPUTS_H

#include "csrc/eval/results.h"
#include "csrc/eval/text_buffer.h"

lopt_status output_json(const eval_results *r, char **out);    /* results.json: all numbers */
lopt_status output_csv(const eval_results *r, char **out);     /* results.csv: one row per task and optimizer */
lopt_status output_html(const eval_results *r, char **out);    /* report.html: self-contained */
lopt_status output_svg(const eval_results *r, char **out);     /* summary.svg: all tasks on one sheet */
lopt_status output_summary(const eval_results *r, char **out); /* the table for the terminal, at most 100 columns */

lopt_status output_alone(const eval_results *r, char **out); /* the terminal's table without baselines */

/* Makes the folder, and tries whether files can be written there. LOPT_ERR_ARGUMENT: alone, and it holds the report of an evaluation with baselines. */
lopt_status outputs_check(const char *dir, int alone);
/* Writes the four files (without baselines: results.csv alone) into the folder dir, which is there, all or, but for a failure at the last moment, none; the summary is given back, malloc'ed. */
lopt_status outputs_write(const char *dir, const eval_results *r, char **summary);

/* A table's column that names a task: cut to the width, or, where that would leave it like another one of the suite, its whole spec in a line before. */
void output_task(text_buffer *b, const eval_results *r, size_t task, size_t width);

enum { OUTPUT_NUMBER_MAX = 32 };
/* "0.0123", or "diverged" for what is not finite; returns text. */
const char *output_loss(double loss, char text[OUTPUT_NUMBER_MAX]);
/* "2.1x", or "never" for 0. */
const char *output_speed_up(double speed_up, char text[OUTPUT_NUMBER_MAX]);

#endif
