/* results.json. Members are added without looking at each result: a NULL member fails the whole object in the end. */
#include <stdlib.h>

#include "base/status.h"
#include "csrc/eval/json_numbers.h"
#include "csrc/eval/outputs.h"
#include "csrc/io/json_text.h"

/* Nine digits tell floats apart, and losses are sums of those. */
enum { DUMP_FLAGS = JSON_REAL_PRECISION(9) };

/* Drops a half-made object whose making failed. */
static json_t *whole(json_t *object, int failed) {
    if (!failed) return object;
    json_decref(object);
    return NULL;
}

static json_t *grid_json(eval_grid grid) {
    json_t *array = json_array();
    int failed = array == NULL;
    for (size_t i = 0; i < grid.count; i++)
        failed |= json_array_append_new(array, json_integer((json_int_t)eval_grid_step(grid, i)));
    return whole(array, failed);
}

static json_t *curve_json(const eval_curve *c, size_t seeds, eval_grid grid) {
    json_t *array = json_array();
    int failed = array == NULL;
    for (size_t s = 0; s < seeds; s++) failed |= json_array_append_new(array, json_numbers(&c->losses[s * grid.count], grid.count));
    return whole(array, failed);
}

/* What every optimizer's entry has. */
static json_t *ending_json(const char *name, const eval_curve *c, const eval_results *r) {
    eval_ending e = eval_ending_of(c, r->seeds, r->grid);
    json_t *o = json_object();
    int failed = o == NULL;
    failed |= json_object_set_new(o, "optimizer", json_string(name));
    failed |= json_object_set_new(o, "final_loss", json_number(e.loss));
    failed |= json_object_set_new(o, "test_accuracy", json_number(e.accuracy));
    failed |= json_object_set_new(o, "diverged_runs", json_integer((json_int_t)e.diverged));
    failed |= json_object_set_new(o, "runs_above_start", json_integer((json_int_t)e.worsened));
    failed |= json_object_set_new(o, "runs_above_tenth", json_integer((json_int_t)e.risen));
    failed |= json_object_set_new(o, "seconds_per_step", json_number(c->seconds_per_step));
    failed |= json_object_set_new(o, "losses", curve_json(c, r->seeds, r->grid));
    return whole(o, failed);
}

static json_t *baseline_json(const eval_results *r, const eval_task *t, size_t method) {
    double finals[EVAL_RATE_COUNT];
    for (size_t k = 0; k < EVAL_RATE_COUNT; k++) finals[k] = task_sweep_final(&t->sweep, method, k);
    json_t *o = ending_json(baseline_get((baseline_id)method)->name, &t->sweep.curves[method], r);
    int failed = o == NULL;
    failed |= json_object_set_new(o, "best_learning_rate", json_number(eval_rate(t->best_rate[method])));
    failed |= json_object_set_new(o, "final_loss_by_rate", json_numbers(finals, EVAL_RATE_COUNT));
    return whole(o, failed);
}

static json_t *wins_json(const double wins[RIVAL_COUNT]) {
    return json_pack("{s:o, s:o, s:o}", "adam_tuned", json_number(wins[RIVAL_TUNED_ADAM]), "adam_one_rate",
                     json_number(wins[RIVAL_ONE_RATE_ADAM]), "adam_1e-3", json_number(wins[RIVAL_DEFAULT_ADAM]));
}

static json_t *steps_json(size_t steps) { return steps ? json_integer((json_int_t)steps) : json_null(); }

static json_t *learned_json(const eval_results *r, const eval_task *t, size_t which) {
    const learned_result *l = &t->learned[which];
    json_t *o = ending_json(r->labels[which], &l->curve, r);
    int failed = o == NULL;
    failed |= json_object_set_new(o, "speed_up", json_number(l->speed_up[TARGET_BEST_BASELINE]));
    failed |= json_object_set_new(o, "steps_to_target", steps_json(l->steps_to_target[TARGET_BEST_BASELINE]));
    failed |= json_object_set_new(o, "speed_up_over_adam", json_number(l->speed_up[TARGET_TUNED_ADAM]));
    failed |= json_object_set_new(o, "steps_to_adam", steps_json(l->steps_to_target[TARGET_TUNED_ADAM]));
    failed |= json_object_set_new(o, "win_rate", wins_json(l->wins));
    return whole(o, failed);
}

static json_t *task_json(const eval_results *r, const eval_task *t) {
    json_t *o = json_object(), *baselines = json_array(), *learned = json_array();
    int failed = o == NULL || baselines == NULL || learned == NULL;
    for (size_t m = 0; m < BASELINE_COUNT; m++) failed |= json_array_append_new(baselines, baseline_json(r, t, m));
    for (size_t k = 0; k < r->num_learned; k++) failed |= json_array_append_new(learned, learned_json(r, t, k));
    failed |= json_object_set_new(o, "task", json_string(t->spec));
    failed |= json_object_set_new(o, "parameters", json_integer((json_int_t)t->parameters));
    failed |= json_object_set_new(o, "tensors", json_integer((json_int_t)t->tensors));
    failed |= json_object_set_new(o, "start_loss", json_number(t->start_loss));
    failed |= json_object_set_new(o, "best_baseline", json_string(baseline_get((baseline_id)t->best_method)->name));
    failed |= json_object_set_new(o, "target_loss", json_number(eval_task_baseline_loss(t, t->best_method)));
    failed |= json_object_set_new(o, "learned", learned);
    failed |= json_object_set_new(o, "baselines", baselines);
    failed |= json_object_set_new(o, "adam_1e-3", ending_json("Adam at 1e-3", &t->sweep.curves[SWEEP_DEFAULT_ADAM], r));
    return whole(o, failed);
}

static json_t *speed_json(const speed_total *s) {
    const double interval[2] = {s->low, s->high};
    return json_pack("{s:o, s:o, s:I}", "iqm", json_number(s->mean), "interval_95", json_numbers(interval, 2), "tasks_reached",
                     (json_int_t)s->reached);
}

static json_t *total_json(const eval_results *r, size_t which) {
    const learned_total *t = &r->totals[which];
    return json_pack("{s:s, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:o}", "optimizer", r->labels[which], "speed_up",
                     speed_json(&t->speed_up[TARGET_BEST_BASELINE]), "speed_up_over_adam",
                     speed_json(&t->speed_up[TARGET_TUNED_ADAM]), "win_rate", wins_json(t->wins), "diverged_runs",
                     (json_int_t)t->diverged, "runs_above_start", (json_int_t)t->worsened, "runs_above_tenth", (json_int_t)t->risen,
                     "runs", (json_int_t)t->runs, "seconds_per_step", json_number(t->seconds_per_step));
}

static json_t *results_json(const eval_results *r) {
    double rates[EVAL_RATE_COUNT];
    json_t *o = json_object(), *totals = json_array(), *tasks = json_array();
    int failed = o == NULL || totals == NULL || tasks == NULL;
    for (size_t k = 0; k < EVAL_RATE_COUNT; k++) rates[k] = eval_rate(k);
    for (size_t k = 0; k < r->num_learned; k++) failed |= json_array_append_new(totals, total_json(r, k));
    for (size_t i = 0; i < r->num_tasks; i++) failed |= json_array_append_new(tasks, task_json(r, &r->tasks[i]));
    failed |= json_object_set_new(o, "format", json_string("lopt.eval.v2"));
    failed |= json_object_set_new(o, "lopt_version", json_string(lopt_version()));
    failed |= json_object_set_new(o, "protocol", json_integer(EVAL_PROTOCOL));
    failed |= json_object_set_new(o, "suite", json_string(r->suite));
    failed |= json_object_set_new(o, "steps", json_integer((json_int_t)r->grid.steps));
    failed |= json_object_set_new(o, "seeds", json_integer((json_int_t)r->seeds));
    failed |= json_object_set_new(o, "seed", json_sprintf("%llu", (unsigned long long)r->seed));
    failed |= json_object_set_new(o, "learning_rates", json_numbers(rates, EVAL_RATE_COUNT));
    failed |= json_object_set_new(o, "adam_one_rate", json_number(eval_rate(r->one_rate)));
    failed |= json_object_set_new(o, "totals", totals);
    failed |= json_object_set_new(o, "recorded_steps", grid_json(r->grid));
    failed |= json_object_set_new(o, "tasks", tasks);
    return whole(o, failed);
}

lopt_status output_json(const eval_results *r, char **out) {
    json_t *root = results_json(r);
    char *text = root ? json_text(root, DUMP_FLAGS) : NULL;
    json_decref(root);
    LOPT_CHECK(text != NULL, LOPT_ERR_MEMORY, "no memory for results.json; free memory and start again (baselines are kept)");
    *out = text;
    return LOPT_OK;
}
