/* lopt_evaluate: from options to results, and their files. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "base/struct_size.h"
#include "csrc/bench/clock.h"
#include "csrc/eval/outputs.h"
#include "csrc/eval/suite.h"
#include "csrc/eval/sweep_cache.h"
#include "csrc/eval/text_buffer.h"
#include "csrc/io/files.h"
#include "csrc/weights/weights.h"

/* ---- Options ---- */

static int is_utf8(const char *text) {
    json_t *value = json_string(text);
    json_decref(value);
    return value != NULL;
}

static lopt_status check_learned(const lopt_eval_options *o) {
    LOPT_CHECK(o->num_weights == 0 || (o->weights && o->labels), LOPT_ERR_ARGUMENT,
               "evaluation: %zu learned optimizers, but weights or labels is NULL; pass both arrays", o->num_weights);
    for (size_t i = 0; i < o->num_weights; i++) {
        LOPT_CHECK(o->weights[i] != NULL, LOPT_ERR_ARGUMENT, "evaluation: weights[%zu] is NULL; load or make it first", i);
        LOPT_CHECK(o->labels[i] && o->labels[i][0] && is_utf8(o->labels[i]), LOPT_ERR_ARGUMENT,
                   "evaluation: labels[%zu] must be a name in UTF-8, not NULL or empty", i);
        if (weights_check_finite(o->weights[i], LOPT_ERR_ARGUMENT) != LOPT_OK)
            return lopt_fail_prefix(LOPT_ERR_ARGUMENT, "evaluation: weights[%zu]", i);
        for (size_t k = 0; k < i; k++)
            LOPT_CHECK(strcmp(o->labels[i], o->labels[k]) != 0, LOPT_ERR_ARGUMENT,
                       "evaluation: two learned optimizers are called '%.60s'; give them different labels", o->labels[i]);
    }
    return LOPT_OK;
}

/* The caller's options over the defaults, which `out` holds, checked. */
static lopt_status read_options(const lopt_eval_options *given, lopt_eval_options *out) {
    lopt_eval_options o = *out;
    LOPT_CHECK(given != NULL && STRUCT_SIZE_FITS(lopt_eval_options, given->struct_size), LOPT_ERR_ARGUMENT,
               "evaluation: the options are NULL or their struct_size is not set; start from LOPT_EVAL_OPTIONS_INIT");
    memcpy(&o, given, given->struct_size < sizeof o ? given->struct_size : sizeof o);
    LOPT_TRY(check_learned(&o));
    LOPT_CHECK(o.steps >= 1 && o.steps <= EVAL_STEPS_MAX, LOPT_ERR_ARGUMENT, "evaluation: steps is %zu; it must be from 1 to %d",
               o.steps, EVAL_STEPS_MAX);
    LOPT_CHECK(o.seeds >= 1 && o.seeds <= EVAL_SEEDS_MAX, LOPT_ERR_ARGUMENT, "evaluation: seeds is %zu; it must be from 1 to %d",
               o.seeds, EVAL_SEEDS_MAX);
    LOPT_CHECK(o.out_dir != NULL && o.out_dir[0], LOPT_ERR_ARGUMENT, "evaluation: out_dir is %s; name a folder for the report",
               o.out_dir ? "empty" : "NULL");
    *out = o;
    return LOPT_OK;
}

/* ---- Tasks ---- */

/* Makes an instance of the task to learn its own form of its name, and its size. */
static lopt_status prepare_task(const lopt_eval_options *o, const char *spec, size_t points, eval_task *out) {
    lopt_status status = LOPT_OK;
    lopt_task *probe = NULL;
    void *learned = NULL;
    LOPT_TRY(lopt_task_create(spec, o->seed, &probe));
    out->parameters = task_total(probe);
    out->tensors = task_num_tensors(probe);
    LOPT_TRY_CLEANUP(memory_text(task_name(probe), &out->spec));
    LOPT_TRY_CLEANUP(memory_alloc(o->num_weights, sizeof(learned_result), "results", &learned));
    out->learned = learned;
    for (size_t k = 0; k < o->num_weights; k++) LOPT_TRY_CLEANUP(eval_curve_create(o->seeds, points, &out->learned[k].curve));
cleanup:
    lopt_task_free(probe);
    return status;
}

static lopt_status prepare(const lopt_eval_options *o, eval_results *r) {
    lopt_status status = LOPT_OK;
    eval_suite suite = {NULL, 0};
    void *p = NULL;
    r->suite = o->suite ? o->suite : "quick";
    r->labels = o->labels;
    r->num_learned = o->num_weights;
    r->seeds = o->seeds;
    r->alone = o->alone != 0;
    r->seed = o->seed;
    r->grid = eval_grid_make(o->steps);
    LOPT_TRY_CLEANUP(eval_suite_make(o->suite, &suite));
    LOPT_TRY_CLEANUP(memory_alloc(suite.count, sizeof(eval_task), "results", &p));
    r->tasks = p;
    r->num_tasks = suite.count;
    LOPT_TRY_CLEANUP(memory_alloc(o->num_weights, sizeof(learned_total), "results", &p));
    r->totals = p;
    for (size_t i = 0; i < suite.count; i++) LOPT_TRY_CLEANUP(prepare_task(o, suite.specs[i], r->grid.count, &r->tasks[i]));
cleanup:
    eval_suite_release(&suite);
    return status;
}

/* ---- Runs ---- */

/* The baselines on one task: kept ones, or run and kept. What cannot be kept is no reason to lose it: c says so at the end. */
static lopt_status sweep_task(const eval_results *r, const char *cache_dir, eval_control *c, eval_task *t) {
    sweep_request q = {t->spec, r->seeds, r->seed, r->grid, 0};
    LOPT_TRY(sweep_fingerprint(q.spec, q.seed, &q.fingerprint));
    LOPT_TRY(task_sweep_create(&q, &t->sweep));
    if (sweep_cache_load(cache_dir, &q, &t->sweep)) {
        schedule_skip(c, task_sweep_runs(r->seeds), t->spec);
        return LOPT_OK;
    }
    task_sweep_release(&t->sweep); /* what a damaged file may have left */
    LOPT_TRY(task_sweep_create(&q, &t->sweep));
    LOPT_TRY(task_sweep_run(&q, c, &t->sweep));
    if (!eval_stop_asked(&c->stop) && sweep_cache_store(cache_dir, &q, &t->sweep) != LOPT_OK)
        snprintf(c->not_kept, sizeof c->not_kept, "%s", lopt_last_error());
    return LOPT_OK;
}

static eval_job learned_job(const eval_results *r, const lopt_weights *weights, const char *label, const eval_task *t,
                            size_t seed) {
    eval_job job;
    memset(&job, 0, sizeof job);
    job.spec = t->spec;
    job.optimizer = label;
    job.request.seeds = eval_seeds_make(r->seed, t->spec, seed);
    job.request.grid = r->grid;
    job.request.curve = 1;
    job.request.weights = weights;
    return job;
}

/* All learned optimizers on all tasks, as one list, so that all threads have work until the end. */
static lopt_status run_learned(const lopt_eval_options *o, eval_results *r, eval_control *c) {
    lopt_status status = LOPT_OK;
    const size_t total = r->num_tasks * r->num_learned * r->seeds;
    void *p = NULL;
    LOPT_TRY(memory_alloc(total, sizeof(eval_job), "a list of runs", &p));
    eval_job *jobs = p;
    size_t n = 0;
    for (size_t i = 0; i < r->num_tasks; i++)
        for (size_t k = 0; k < r->num_learned; k++)
            for (size_t s = 0; s < r->seeds; s++, n++) {
                jobs[n] = learned_job(r, o->weights[k], r->labels[k], &r->tasks[i], s);
                jobs[n].outcome.losses = &r->tasks[i].learned[k].curve.losses[s * r->grid.count];
            }
    LOPT_TRY_CLEANUP(schedule_run(jobs, total, c));
    for (n = 0; n < total; n++) {
        eval_curve *curve = &r->tasks[n / (r->num_learned * r->seeds)].learned[n / r->seeds % r->num_learned].curve;
        curve->accuracy[n % r->seeds] = jobs[n].outcome.accuracy;
        curve->seconds_per_step += jobs[n].outcome.seconds_per_step / (double)r->seeds;
    }
cleanup:
    free(jobs);
    return status;
}

static lopt_status run_all(const lopt_eval_options *o, const char *cache_dir, eval_results *r, eval_control *c) {
    for (size_t i = 0; i < r->num_tasks && !r->alone && !eval_stop_asked(&c->stop); i++)
        LOPT_TRY(sweep_task(r, cache_dir, c, &r->tasks[i]));
    return eval_stop_asked(&c->stop) ? LOPT_OK : run_learned(o, r, c);
}

/* ---- The whole ---- */

static lopt_status stopped_summary(const eval_control *c, const eval_results *r, const char *cache_dir, char **out) {
    text_buffer b = TEXT_BUFFER_INIT;
    text_add(&b, "Stopped after %zu of %zu runs of %zu steps", c->runs_done, c->runs_total, r->grid.steps);
    if (r->alone) text_add(&b, "; without baselines none of them is kept.\n");
    else text_add(&b, ". Finished baseline sweeps are kept in %s; the same call goes on from there.\n", cache_dir);
    return text_take(&b, out);
}

/* One horizon: o->steps. */
static lopt_status evaluate(const lopt_eval_options *o, const char *cache_dir, eval_control *c, eval_results *r, char **summary) {
    LOPT_TRY(prepare(o, r));
    c->runs_total = r->num_tasks * ((r->alone ? 0 : task_sweep_runs(r->seeds)) + r->num_learned * r->seeds);
    c->started = clock_seconds();
    LOPT_TRY(run_all(o, cache_dir, r, c));
    if (eval_stop_asked(&c->stop)) return stopped_summary(c, r, cache_dir, summary);
    if (r->alone) eval_results_count(r);
    else LOPT_TRY(eval_results_judge(r));
    return outputs_write(o->out_dir, r, summary);
}

/* The folder of a horizon: malloc'ed. */
static lopt_status horizon_folder(const char *out_dir, size_t factor, char **out) {
    text_buffer b = TEXT_BUFFER_INIT;
    if (factor == 1) text_add(&b, "%s", out_dir);
    else text_add(&b, "%s/%zux", out_dir, factor);
    return text_take(&b, out);
}

static lopt_status check_suite(const char *name) {
    lopt_status status = LOPT_OK;
    eval_suite suite = {NULL, 0};
    size_t tensors = 0;
    LOPT_TRY(eval_suite_make(name, &suite));
    for (size_t i = 0; i < suite.count; i++) LOPT_TRY_CLEANUP(lopt_task_shape(suite.specs[i], &tensors, NULL, 0));
cleanup:
    eval_suite_release(&suite);
    return status;
}

/* Before the work: a folder that cannot be written to, or that holds another evaluation's files, is told at once. */
static lopt_status prepare_folder(const lopt_eval_options *o, size_t factor) {
    lopt_status status = LOPT_OK;
    char *dir = NULL;
    LOPT_TRY(horizon_folder(o->out_dir, factor, &dir));
    LOPT_TRY_CLEANUP(outputs_check(dir, o->alone));
cleanup:
    free(dir);
    return status;
}

/* steps * factor into its own folder, and its table after those before. stopped out: 1 if it ended early. */
static lopt_status evaluate_horizon(const lopt_eval_options *all, size_t factor, const char *cache_dir, text_buffer *summaries,
                                    int *stopped) {
    lopt_status status = LOPT_OK;
    lopt_eval_options o = *all;
    char *dir = NULL, *text = NULL;
    eval_results r;
    eval_control c;
    memset(&r, 0, sizeof r);
    memset(&c, 0, sizeof c);
    c.progress = o.progress;
    c.self = o.self;
    c.stop.flag = o.stop;
    o.steps *= factor;
    LOPT_TRY_CLEANUP(horizon_folder(all->out_dir, factor, &dir));
    o.out_dir = dir;
    LOPT_TRY_CLEANUP(evaluate(&o, cache_dir, &c, &r, &text));
    *stopped = eval_stop_asked(&c.stop);
    text_add(summaries, "%s%s", summaries->length > 0 ? "\n" : "", text);
    if (c.not_kept[0]) text_add(summaries, "\nnote: baselines of this evaluation are not kept for the next one: %s\n", c.not_kept);
cleanup:
    free(text);
    free(dir);
    eval_results_release(&r);
    return status;
}

lopt_status lopt_evaluate(const lopt_eval_options *given, char **summary, int *stopped) {
    lopt_status status = LOPT_OK;
    lopt_eval_options o = LOPT_EVAL_OPTIONS_INIT;
    eval_horizons horizons;
    char *cache_dir = NULL, *text = NULL;
    int early = 0;
    text_buffer b = TEXT_BUFFER_INIT, summaries = TEXT_BUFFER_INIT;
    LOPT_TRY(read_options(given, &o));
    LOPT_TRY(eval_horizons_read(o.horizons, o.steps, &horizons));
    text_add(&b, o.cache_dir ? "%s" : "%s/cache", o.cache_dir ? o.cache_dir : o.out_dir);
    LOPT_TRY_CLEANUP(text_take(&b, &cache_dir));
    LOPT_TRY_CLEANUP(check_suite(o.suite));
    if (!o.alone) LOPT_TRY_CLEANUP(files_make_directory(cache_dir));
    for (size_t i = 0; i < horizons.count; i++) LOPT_TRY_CLEANUP(prepare_folder(&o, horizons.factor[i]));
    for (size_t i = 0; i < horizons.count && !early; i++)
        LOPT_TRY_CLEANUP(evaluate_horizon(&o, horizons.factor[i], cache_dir, &summaries, &early));
    LOPT_TRY_CLEANUP(text_take(&summaries, &text));
    if (stopped) *stopped = early;
    if (summary) *summary = text, text = NULL;
cleanup:
    text_release(&summaries);
    free(text);
    free(cache_dir);
    return status;
}

void lopt_string_free(char *s) { free(s); }
