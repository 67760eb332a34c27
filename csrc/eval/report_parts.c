#include <math.h>

#include "csrc/eval/figure_svg.h"
#include "csrc/eval/outputs.h"
#include "csrc/eval/report.h"

/* ---- Cards ---- */

static const char *bad_class(size_t count) { return count ? " class=\"bad\"" : ""; }

static void add_win_row(text_buffer *b, const char *rival, double share) {
    text_add(b, "<span>");
    text_add_escaped(b, rival);
    text_add(b, "</span><span class=\"bar\"><i style=\"width:%.1f%%\"></i></span><span>%.0f&#160;%%</span>\n", 100 * share,
             100 * share);
}

static void add_speed(text_buffer *b, const speed_total *s, const char *over) {
    text_add(b,
             "<div class=\"big\"><strong>%.2f&#215;</strong><span class=\"note\">speed-up over %s (interquartile mean over tasks, "
             "95&#160;%% interval %.2f to %.2f)</span></div>\n",
             s->mean, over, s->low, s->high);
}

static void add_card(text_buffer *b, const eval_results *r, size_t which) {
    const learned_total *t = &r->totals[which];
    text_add(b, "<div class=\"card\" style=\"--tint:var(--learned%zu)\"><h3>", which % FIGURE_LEARNED_LOOKS);
    text_add_escaped(b, r->labels[which]);
    text_add(b, "</h3>\n");
    add_speed(b, &t->speed_up[TARGET_TUNED_ADAM], "tuned Adam");
    add_speed(b, &t->speed_up[TARGET_BEST_BASELINE], "the best tuned baseline");
    text_add(b, "<div class=\"kind\">Runs won against</div><div class=\"wins\">");
    for (size_t k = 0; k < RIVAL_COUNT; k++) add_win_row(b, eval_rival_name((eval_rival)k), t->wins[k]);
    text_add(
        b,
        "</div>\n<div class=\"facts\">Reached tuned Adam&#39;s last loss on <b>%zu</b> of %zu tasks, the best tuned baseline&#39;s on <b>%zu</b>. ",
        t->speed_up[TARGET_TUNED_ADAM].reached, r->num_tasks, t->speed_up[TARGET_BEST_BASELINE].reached);
    text_add(
        b,
        "Of %zu runs <b%s>%zu</b> diverged, <b%s>%zu</b> ended above their start, <b%s>%zu</b> above their loss after a tenth of the steps. "
        "A step took %.3g&#160;&#181;s (geometric mean over the tasks).</div></div>\n",
        t->runs, bad_class(t->diverged), t->diverged, bad_class(t->worsened), t->worsened, bad_class(t->risen), t->risen,
        1e6 * t->seconds_per_step);
}

void report_add_cards(text_buffer *b, const eval_results *r) {
    if (r->num_learned == 0) return;
    text_add(b, "<section class=\"cards\">\n");
    for (size_t k = 0; k < r->num_learned; k++) add_card(b, r, k);
    text_add(b, "</section>\n");
}

/* ---- Results by task ---- */

static void add_loss(text_buffer *b, double loss, int lowest) {
    char text[OUTPUT_NUMBER_MAX];
    text_add(b, "<td class=\"%s%s\">%s", isfinite(loss) ? "" : "bad", lowest ? " lowest" : "", output_loss(loss, text));
}

static void add_accuracy(text_buffer *b, double accuracy) {
    if (isfinite(accuracy)) text_add(b, "<small>%.1f&#160;%% right</small>", 100 * accuracy);
}

/* Loss of a baseline, what it is and what it gets right. */
static void add_baseline(text_buffer *b, const eval_results *r, const eval_curve *c, double lowest, const char *name,
                         const char *rate) {
    eval_ending e = eval_ending_of(c, r->seeds, r->grid);
    add_loss(b, e.loss, e.loss <= lowest);
    text_add(b, "<small>%s %s</small>", name, rate);
    add_accuracy(b, e.accuracy);
    text_add(b, "</td>");
}

static void add_learned(text_buffer *b, const learned_result *l, double lowest) {
    const double best = l->speed_up[TARGET_BEST_BASELINE], adam = l->speed_up[TARGET_TUNED_ADAM];
    char text[OUTPUT_NUMBER_MAX];
    add_loss(b, l->ending.loss, l->ending.loss <= lowest);
    if (l->ending.diverged) text_add(b, "<small class=\"bad\">%zu diverged</small>", l->ending.diverged);
    else if (best > 0.0)
        text_add(b, "<small class=\"%s\">speed-up %s</small>", best > 1.0 ? "good" : "", output_speed_up(best, text));
    else text_add(b, "<small>best baseline not reached</small>");
    if (adam > 0.0) text_add(b, "<small class=\"%s\">%s over Adam</small>", adam > 1.0 ? "good" : "", output_speed_up(adam, text));
    add_accuracy(b, l->ending.accuracy);
    text_add(b, "</td>");
}

static void add_task_row(text_buffer *b, const eval_results *r, const eval_task *t) {
    double lowest = eval_task_baseline_loss(t, t->best_method);
    for (size_t k = 0; k < r->num_learned; k++) lowest = fmin(lowest, t->learned[k].ending.loss);
    text_add(b, "<tr><td><span class=\"spec\">");
    text_add_escaped(b, t->spec);
    text_add(b, "</span><small>%zu parameters</small></td>", t->parameters);
    add_loss(b, t->start_loss, 0);
    text_add(b, "</td>");
    for (size_t k = 0; k < r->num_learned; k++) add_learned(b, &t->learned[k], lowest);
    add_baseline(b, r, &t->sweep.curves[t->best_method], lowest, baseline_get((baseline_id)t->best_method)->name,
                 eval_rate_name(t->best_rate[t->best_method]));
    add_baseline(b, r, &t->sweep.curves[BASELINE_ADAM], lowest, "rate", eval_rate_name(t->best_rate[BASELINE_ADAM]));
    add_baseline(b, r, &t->sweep.curves[SWEEP_DEFAULT_ADAM], lowest, "rate", eval_rate_name(EVAL_RATE_DEFAULT));
    text_add(b, "</tr>\n");
}

void report_add_table(text_buffer *b, const eval_results *r) {
    text_add(b, "<div class=\"sheet\"><table><thead><tr><th>task</th><th>loss at<br/>the start</th>");
    for (size_t k = 0; k < r->num_learned; k++) {
        text_add(b, "<th style=\"color:var(--learned%zu)\">", k % FIGURE_LEARNED_LOOKS);
        text_add_escaped(b, r->labels[k]);
        text_add(b, "</th>");
    }
    text_add(b, "<th>best tuned<br/>baseline</th><th>tuned<br/>Adam</th><th>Adam<br/>at 1e-3</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < r->num_tasks; i++) add_task_row(b, r, &r->tasks[i]);
    text_add(b, "</tbody></table></div>\n");
}

/* ---- All baselines ---- */

static void add_plain_row(text_buffer *b, const eval_results *r, const char *name, const char *rate, const eval_curve *c,
                          int lowest) {
    eval_ending e = eval_ending_of(c, r->seeds, r->grid);
    text_add(b, "<tr><td>");
    text_add_escaped(b, name);
    text_add(b, "</td><td>%s</td>", rate);
    add_loss(b, e.loss, lowest);
    text_add(b, "</td><td>");
    if (isfinite(e.accuracy)) text_add(b, "%.1f&#160;%%", 100 * e.accuracy);
    text_add(b, "</td><td>%zu of %zu</td><td>%.3g&#160;&#181;s</td></tr>\n", e.diverged, r->seeds, 1e6 * c->seconds_per_step);
}

static void add_task_baselines(text_buffer *b, const eval_results *r, const eval_task *t) {
    text_add(b, "<details class=\"sheet\"><summary>");
    text_add_escaped(b, t->spec);
    text_add(b, "</summary><table><thead><tr><th>optimizer</th><th>best learning rate</th><th>last loss</th><th>test accuracy</th>"
                "<th>diverged</th><th>time per step</th></tr></thead><tbody>\n");
    for (size_t m = 0; m < BASELINE_COUNT; m++)
        add_plain_row(b, r, baseline_get((baseline_id)m)->name, eval_rate_name(t->best_rate[m]), &t->sweep.curves[m],
                      m == t->best_method);
    for (size_t k = 0; k < r->num_learned; k++) add_plain_row(b, r, r->labels[k], "none", &t->learned[k].curve, 0);
    text_add(b, "</tbody></table></details>\n");
}

void report_add_baselines(text_buffer *b, const eval_results *r) {
    for (size_t i = 0; i < r->num_tasks; i++) add_task_baselines(b, r, &r->tasks[i]);
}

/* ---- Method ---- */

void report_add_method(text_buffer *b, const eval_results *r) {
    text_add(
        b,
        "<ul><li>Loss: on the whole data, at the optimizer&#39;s true parameters, mean over the seeds after step %zu. Where one\n"
        "seed diverged the mean has diverged; nothing is left out.</li>\n",
        r->grid.steps);
    text_add(b,
             "<li>Baselines: SGD, momentum 0.9, Nesterov 0.9, RMSProp, Adam, AdamW (decay 0.01), NAdamW, and Adam and AdamW with\n"
             "a cosine schedule to 0; PyTorch&#39;s formulas. The learning rate with the lowest last loss counts.</li>\n");
    text_add(
        b,
        "<li>Speed-up: the %zu steps that the best of all tuned baselines (or tuned Adam) was given, divided by the steps after\n"
        "which the learned optimizer&#39;s mean loss first is as low as that baseline&#39;s last one, looked at on %zu evenly spaced\n"
        "steps; a last loss below %g counts as that. Never reached, or diverged later: 0.</li>\n",
        r->grid.steps, r->grid.count - 1, EVAL_LOSS_FLOOR);
    text_add(b, "<li>Interquartile mean: the mean over the tasks without the lowest and the highest quarter; interval by 2,000\n"
                "bootstrap resamples of the tasks.</li>\n");
    text_add(b,
             "<li>Runs won: share of (task, seed) pairs with the lower last loss, equal ones count half; losses below %g count as\n"
             "equal. Adam&#39;s one best rate for the suite, by mean rank over the tasks, is %s.</li>\n",
             EVAL_LOSS_FLOOR, eval_rate_name(r->one_rate));
    text_add(b,
             "<li>Time per step: gradient and update, where several runs share the machine; of baselines, at the time when their\n"
             "runs were made, which may have been for an earlier evaluation.</li></ul>\n");
}
