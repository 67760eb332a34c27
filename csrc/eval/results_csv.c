/* results.csv: one row per task and optimizer; RFC 4180. */
#include <math.h>

#include "csrc/eval/outputs.h"
#include "csrc/eval/text_buffer.h"

static void add_quoted(text_buffer *b, const char *text) {
    text_add(b, "\"");
    for (; *text; text++) text_add(b, *text == '"' ? "\"\"" : "%c", *text);
    text_add(b, "\"");
}

/* A comma, and the number unless it is not finite. */
static void add_number(text_buffer *b, double value) {
    text_add(b, ",");
    if (isfinite(value)) text_add(b, "%.9g", value);
}

/* l NULL: a baseline */
static void add_row(text_buffer *b, const eval_results *r, const eval_task *t, const char *optimizer, const char *kind, double rate,
                    const eval_curve *curve, const learned_result *l) {
    eval_ending e = eval_ending_of(curve, r->seeds, r->grid);
    add_quoted(b, t->spec);
    text_add(b, ",");
    add_quoted(b, optimizer);
    text_add(b, ",%s", kind);
    add_number(b, rate);
    add_number(b, e.loss);
    if (r->alone) l = NULL; /* there is nothing to compare with */
    for (size_t k = 0; k < TARGET_COUNT; k++) {
        add_number(b, l ? l->speed_up[k] : NAN);
        add_number(b, l && l->steps_to_target[k] ? (double)l->steps_to_target[k] : NAN);
    }
    text_add(b, ",%zu,%zu,%zu,%zu", e.diverged, e.worsened, e.risen, r->seeds);
    add_number(b, e.accuracy);
    add_number(b, curve->seconds_per_step);
    for (size_t k = 0; k < RIVAL_COUNT; k++) add_number(b, l ? l->wins[k] : NAN);
    text_add(b, "\r\n");
}

lopt_status output_csv(const eval_results *r, char **out) {
    text_buffer b = TEXT_BUFFER_INIT;
    text_add(&b,
             "task,optimizer,kind,learning_rate,final_loss,speed_up,steps_to_target,speed_up_over_adam,steps_to_adam,diverged_runs,"
             "runs_above_start,runs_above_tenth,runs,test_accuracy,seconds_per_step,"
             "won_adam_tuned,won_adam_one_rate,won_adam_1e-3\r\n");
    for (size_t i = 0; i < r->num_tasks; i++) {
        const eval_task *t = &r->tasks[i];
        for (size_t k = 0; k < r->num_learned; k++)
            add_row(&b, r, t, r->labels[k], "learned", NAN, &t->learned[k].curve, &t->learned[k]);
        if (r->alone) continue;
        for (size_t m = 0; m < BASELINE_COUNT; m++)
            add_row(&b, r, t, baseline_get((baseline_id)m)->name, "tuned", eval_rate(t->best_rate[m]), &t->sweep.curves[m], NULL);
        add_row(&b, r, t, "Adam", "untuned", eval_rate(EVAL_RATE_DEFAULT), &t->sweep.curves[SWEEP_DEFAULT_ADAM], NULL);
    }
    return text_take(&b, out);
}
