/* The table for the terminal. */
#include <math.h>
#include <stdio.h>

#include "csrc/eval/outputs.h"
#include "csrc/eval/text_buffer.h"

enum { LEARNED_PER_BLOCK = 2 }; /* so that a line has at most 100 columns */

const char *output_loss(double loss, char text[OUTPUT_NUMBER_MAX]) {
    snprintf(text, OUTPUT_NUMBER_MAX, isfinite(loss) ? "%.3g" : "diverged", loss);
    return text;
}

const char *output_speed_up(double speed_up, char text[OUTPUT_NUMBER_MAX]) {
    snprintf(text, OUTPUT_NUMBER_MAX, !(speed_up > 0.0) ? "never" : speed_up < 100.0 ? "%.1fx" : "%.0fx", speed_up);
    return text;
}

static void add_rule(text_buffer *b, size_t columns) {
    for (size_t i = 0; i < columns; i++) text_add(b, "-");
    text_add(b, "\n");
}

static void add_row(text_buffer *b, const eval_task *t, size_t first, size_t end) {
    char name[64], loss[OUTPUT_NUMBER_MAX], speed_up[OUTPUT_NUMBER_MAX];
    snprintf(name, sizeof name, "%s %s", baseline_get((baseline_id)t->best_method)->name,
             eval_rate_name(t->best_rate[t->best_method]));
    text_add(b, "%-24.24s %-19s", t->spec, name);
    text_add(b, " %8s", output_loss(eval_task_baseline_loss(t, t->best_method), loss));
    text_add(b, " %8s", output_loss(eval_task_baseline_loss(t, BASELINE_ADAM), loss));
    for (size_t k = first; k < end; k++) {
        const learned_result *l = &t->learned[k];
        text_add(b, " | %8s %6s", output_loss(l->ending.loss, loss), output_speed_up(l->speed_up, speed_up));
    }
    text_add(b, "\n");
}

/* A table with the learned optimizers first .. end - 1. */
static void add_block(text_buffer *b, const eval_results *r, size_t first, size_t end) {
    const size_t columns = 24 + 1 + 19 + 9 + 9 + 18 * (end - first);
    text_add(b, "%-24s %-19s %8s %8s", "", "best tuned baseline", "", "tuned");
    for (size_t k = first; k < end; k++) text_add(b, " | %-15.15s", r->labels[k]);
    text_add(b, "\n%-24s %-19s %8s %8s", "task", "and learning rate", "loss", "Adam");
    for (size_t k = first; k < end; k++) text_add(b, " | %8s %6s", "loss", "speed");
    text_add(b, "\n");
    add_rule(b, columns);
    for (size_t i = 0; i < r->num_tasks; i++) add_row(b, &r->tasks[i], first, end);
    add_rule(b, columns);
}

static void add_totals(text_buffer *b, const eval_results *r) {
    text_add(b, "%-24s %-23s  %-31s %s\n", "", "speed-up against the", "runs won against Adam tuned /", "diverged / above");
    text_add(b, "%-24s %-23s  %-31s %s\n", "learned optimizer", "best tuned baseline", "at one rate / at 1e-3",
             "start, of all runs");
    add_rule(b, 98);
    for (size_t k = 0; k < r->num_learned; k++) {
        const learned_total *t = &r->totals[k];
        char speed_up[64], wins[64];
        snprintf(speed_up, sizeof speed_up, "%.2fx [%.2f, %.2f]", t->speed_up, t->speed_up_low, t->speed_up_high);
        snprintf(wins, sizeof wins, "%.0f %% / %.0f %% / %.0f %%", 100 * t->wins[RIVAL_TUNED_ADAM],
                 100 * t->wins[RIVAL_ONE_RATE_ADAM], 100 * t->wins[RIVAL_DEFAULT_ADAM]);
        text_add(b, "%-24.24s %-23s  %-31s %zu / %zu of %zu\n", r->labels[k], speed_up, wins, t->diverged, t->worsened, t->runs);
    }
}

lopt_status output_summary(const eval_results *r, char **out) {
    text_buffer b = TEXT_BUFFER_INIT;
    text_add(&b, "Suite %.40s: %zu tasks, %zu steps, %zu seeds.\n", r->suite, r->num_tasks, r->grid.steps, r->seeds);
    text_add(&b, "loss:  mean over the seeds of the whole-data loss after the last step\n"
                 "speed: steps given to the best tuned baseline / steps until its last loss is reached\n\n");
    size_t first = 0;
    do {
        size_t end = first + LEARNED_PER_BLOCK < r->num_learned ? first + LEARNED_PER_BLOCK : r->num_learned;
        add_block(&b, r, first, end);
        first = end;
        text_add(&b, "\n");
    } while (first < r->num_learned);
    if (r->num_learned > 0) add_totals(&b, r);
    text_add(&b, "%sAdam's one best rate for the whole suite: %s.\n", r->num_learned > 0 ? "\n" : "", eval_rate_name(r->one_rate));
    return text_take(&b, out);
}
