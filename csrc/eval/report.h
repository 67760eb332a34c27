/* Parts of report.html. */
#ifndef LOPT_EVAL_REPORT_H
#define LOPT_EVAL_REPORT_H

#include "csrc/eval/results.h"
#include "csrc/eval/text_buffer.h"

void report_add_style(text_buffer *b);                            /* the rules inside <style> */
void report_add_cards(text_buffer *b, const eval_results *r);     /* one per learned optimizer: what it did over the suite */
void report_add_table(text_buffer *b, const eval_results *r);     /* one row per task */
void report_add_baselines(text_buffer *b, const eval_results *r); /* one row per task and baseline, folded away */
void report_add_method(text_buffer *b, const eval_results *r);    /* how it was measured */

#endif
