/* The terminal's table of an evaluation without baselines: the tasks where a run diverged or lost what it had, and the totals. */
#include "csrc/eval/names.h"
#include "csrc/eval/outputs.h"
#include "csrc/eval/text_buffer.h"

enum { TASK_WIDTH = 48 };

/* Mean over the seeds of the loss at a point of the grid. */
static double mean_at(const eval_results *r, const learned_result *l, size_t point) {
    double sum = 0.0;
    for (size_t s = 0; s < r->seeds; s++) sum += l->curve.losses[s * r->grid.count + point];
    return sum / (double)r->seeds;
}

static void add_task(text_buffer *b, const eval_results *r, size_t task, size_t which) {
    const eval_task *t = &r->tasks[task];
    const learned_result *l = &t->learned[which];
    const double at[3] = {t->start_loss, mean_at(r, l, eval_grid_tenth(r->grid)), l->ending.loss};
    char text[OUTPUT_NUMBER_MAX];
    output_task(b, r, task, TASK_WIDTH);
    for (int i = 0; i < 3; i++) text_add(b, " %10s", output_loss(at[i], text));
    text_add(b, "  %zu / %zu / %zu\n", l->ending.diverged, l->ending.worsened, l->ending.risen);
}

/* Runs that ended above their start or above their loss after a tenth; those that diverged are both. */
static int has_lost(const learned_result *l) { return l->ending.worsened > 0 || l->ending.risen > 0; }

static void add_learned(text_buffer *b, const eval_results *r, size_t which) {
    const learned_total *t = &r->totals[which];
    size_t calm = 0;
    text_add(b, "\n%s:\n%zu runs, of which %zu diverged, %zu ended above their start, %zu above their loss after a tenth.\n",
             r->labels[which], t->runs, t->diverged, t->worsened, t->risen);
    for (size_t i = 0; i < r->num_tasks; i++) calm += !has_lost(&r->tasks[i].learned[which]);
    if (calm == r->num_tasks) return;
    text_add(b, "%-*s %10s %10s %10s  diverged / above start / rose, of %zu\n", TASK_WIDTH, "", "at start", "at a tenth",
             "at the end", r->seeds);
    for (size_t i = 0; i < r->num_tasks; i++)
        if (has_lost(&r->tasks[i].learned[which])) add_task(b, r, i, which);
    text_add(b, "None did on the other %zu tasks.\n", calm);
}

lopt_status output_alone(const eval_results *r, char **out) {
    text_buffer b = TEXT_BUFFER_INIT;
    char suite[NAME_ROOM];
    text_add(&b, "Suite %s: %zu tasks, %zu steps, %zu seeds; without baselines.\n", name_begin(r->suite, 40, suite), r->num_tasks,
             r->grid.steps, r->seeds);
    for (size_t k = 0; k < r->num_learned; k++) add_learned(&b, r, k);
    return text_take(&b, out);
}
