/* The table for the terminal. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "csrc/eval/names.h"
#include "csrc/eval/outputs.h"
#include "csrc/eval/text_buffer.h"

enum { LEARNED_PER_BLOCK = 2, TASK_WIDTH = 24, LABEL_WIDTH = 15, TOTAL_WIDTH = 17 }; /* so that a line has at most 100 columns */

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

void output_task(text_buffer *b, const eval_results *r, size_t task, size_t width) {
    char name[NAME_ROOM], other[NAME_ROOM];
    int unlike = 1;
    name_begin(r->tasks[task].spec, width, name);
    for (size_t i = 0; i < r->num_tasks; i++) unlike &= i == task || strcmp(name, name_begin(r->tasks[i].spec, width, other)) != 0;
    if (!unlike) text_add(b, "%s\n", r->tasks[task].spec);
    name_add(b, unlike ? name : "", width);
}

static void add_row(text_buffer *b, const eval_results *r, size_t task, size_t first, size_t end) {
    const eval_task *t = &r->tasks[task];
    char name[64], loss[OUTPUT_NUMBER_MAX], speed_up[OUTPUT_NUMBER_MAX];
    snprintf(name, sizeof name, "%s %s", baseline_get((baseline_id)t->best_method)->name,
             eval_rate_name(t->best_rate[t->best_method]));
    output_task(b, r, task, TASK_WIDTH);
    text_add(b, " %-19s", name);
    text_add(b, " %8s", output_loss(eval_task_baseline_loss(t, t->best_method), loss));
    text_add(b, " %8s", output_loss(eval_task_baseline_loss(t, BASELINE_ADAM), loss));
    for (size_t k = first; k < end; k++) {
        const learned_result *l = &t->learned[k];
        text_add(b, " | %8s %6s", output_loss(l->ending.loss, loss), output_speed_up(l->speed_up[TARGET_BEST_BASELINE], speed_up));
    }
    text_add(b, "\n");
}

/* A table with the learned optimizers first .. end - 1. */
static void add_block(text_buffer *b, const eval_results *r, size_t first, size_t end) {
    const size_t columns = TASK_WIDTH + 1 + 19 + 9 + 9 + 18 * (end - first);
    char label[NAME_ROOM];
    text_add(b, "%-*s %-19s %8s %8s", TASK_WIDTH, "", "best tuned baseline", "", "tuned");
    for (size_t k = first; k < end; k++) {
        text_add(b, " | ");
        name_add(b, name_of_label(r->labels[k], LABEL_WIDTH, label), LABEL_WIDTH);
    }
    text_add(b, "\n%-*s %-19s %8s %8s", TASK_WIDTH, "task", "and learning rate", "loss", "Adam");
    for (size_t k = first; k < end; k++) text_add(b, " | %8s %6s", "loss", "speed");
    text_add(b, "\n");
    add_rule(b, columns);
    for (size_t i = 0; i < r->num_tasks; i++) add_row(b, r, i, first, end);
    add_rule(b, columns);
}

static const char *speed_text(const speed_total *s, char text[64]) {
    snprintf(text, 64, "%.2fx [%.2f, %.2f]", s->mean, s->low, s->high);
    return text;
}

static void add_totals(text_buffer *b, const eval_results *r) {
    static const char columns[] = " %-19s %-19s %-21s %s\n";
    name_add(b, "", TOTAL_WIDTH);
    text_add(b, columns, "speed-up against", "speed-up against", "runs won against", "runs that diverged");
    name_add(b, "", TOTAL_WIDTH);
    text_add(b, columns, "the best tuned", "tuned Adam", "Adam tuned /", "/ end above start");
    name_add(b, "learned optimizer", TOTAL_WIDTH);
    text_add(b, columns, "baseline", "", "one rate / 1e-3", "/ above a tenth");
    add_rule(b, 98);
    for (size_t k = 0; k < r->num_learned; k++) {
        const learned_total *t = &r->totals[k];
        char label[NAME_ROOM], best[64], adam[64], wins[64], ends[128];
        snprintf(wins, sizeof wins, "%.0f %% / %.0f %% / %.0f %%", 100 * t->wins[RIVAL_TUNED_ADAM],
                 100 * t->wins[RIVAL_ONE_RATE_ADAM], 100 * t->wins[RIVAL_DEFAULT_ADAM]);
        snprintf(ends, sizeof ends, "%zu / %zu / %zu of %zu", t->diverged, t->worsened, t->risen, t->runs);
        name_add(b, name_of_label(r->labels[k], TOTAL_WIDTH, label), TOTAL_WIDTH);
        text_add(b, columns, speed_text(&t->speed_up[TARGET_BEST_BASELINE], best),
                 speed_text(&t->speed_up[TARGET_TUNED_ADAM], adam), wins, ends);
    }
    text_add(b, "\nspeed-up:      interquartile mean over the tasks, with its 95 %% interval\n"
                "above a tenth: runs whose last loss is above the one after a tenth of the steps\n");
}

lopt_status output_summary(const eval_results *r, char **out) {
    text_buffer b = TEXT_BUFFER_INIT;
    char suite[NAME_ROOM];
    text_add(&b, "Suite %s: %zu tasks, %zu steps, %zu seeds.\n", name_begin(r->suite, 40, suite), r->num_tasks, r->grid.steps,
             r->seeds);
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
