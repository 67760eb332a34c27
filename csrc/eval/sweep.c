#include "csrc/eval/sweep.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/eval/statistics.h"

static lopt_status doubles(size_t count, double **out) {
    void *p = NULL;
    LOPT_TRY(memory_alloc(count, sizeof(double), "losses of an evaluation", &p));
    *out = p;
    return LOPT_OK;
}

lopt_status eval_curve_create(size_t seeds, size_t points, eval_curve *out) {
    eval_curve c = {NULL, NULL, 0.0};
    lopt_status status = LOPT_OK;
    LOPT_TRY_CLEANUP(doubles(seeds * points, &c.losses));
    LOPT_TRY_CLEANUP(doubles(seeds, &c.accuracy));
    *out = c;
    return LOPT_OK;
cleanup:
    eval_curve_release(&c);
    return status;
}

void eval_curve_release(eval_curve *c) {
    free(c->losses);
    free(c->accuracy);
    memset(c, 0, sizeof *c);
}

lopt_status task_sweep_create(const sweep_request *q, task_sweep *out) {
    lopt_status status = LOPT_OK;
    task_sweep s;
    memset(&s, 0, sizeof s);
    s.seeds = q->seeds;
    LOPT_TRY_CLEANUP(doubles((size_t)BASELINE_COUNT * EVAL_RATE_COUNT * q->seeds, &s.finals));
    for (size_t i = 0; i < SWEEP_CURVES; i++) LOPT_TRY_CLEANUP(eval_curve_create(q->seeds, q->grid.count, &s.curves[i]));
    *out = s;
    return LOPT_OK;
cleanup:
    task_sweep_release(&s);
    return status;
}

void task_sweep_release(task_sweep *s) {
    free(s->finals);
    for (size_t i = 0; i < SWEEP_CURVES; i++) eval_curve_release(&s->curves[i]);
    memset(s, 0, sizeof *s);
}

size_t task_sweep_runs(size_t seeds) { return ((size_t)BASELINE_COUNT * EVAL_RATE_COUNT + SWEEP_CURVES) * seeds; }

static eval_job baseline_job(const sweep_request *q, lopt_task *const *instances, size_t method, size_t rate, size_t seed) {
    eval_job job;
    memset(&job, 0, sizeof job);
    job.spec = q->spec;
    job.request.task = instances[seed];
    job.request.seeds = eval_seeds_make(q->seed, q->spec, seed);
    job.request.grid = q->grid;
    job.request.baseline = baseline_get((baseline_id)method);
    job.request.rate = eval_rate(rate);
    job.optimizer = job.request.baseline->name;
    return job;
}

/* Last losses of all methods at all rates. jobs [BASELINE_COUNT * EVAL_RATE_COUNT * seeds] */
static lopt_status run_rates(const sweep_request *q, lopt_task *const *instances, eval_job *jobs, eval_control *c,
                             task_sweep *out) {
    size_t count = 0;
    for (size_t m = 0; m < BASELINE_COUNT; m++)
        for (size_t r = 0; r < EVAL_RATE_COUNT; r++)
            for (size_t s = 0; s < q->seeds; s++, count++) {
                jobs[count] = baseline_job(q, instances, m, r, s);
                jobs[count].outcome.losses = &out->finals[count];
            }
    return schedule_run(jobs, count, c);
}

/* Curves of each method at its best rate, and of Adam at 1e-3. jobs [SWEEP_CURVES * seeds] at least */
static lopt_status run_curves(const sweep_request *q, lopt_task *const *instances, eval_job *jobs, eval_control *c,
                              task_sweep *out) {
    size_t count = 0;
    for (size_t i = 0; i < SWEEP_CURVES; i++)
        for (size_t s = 0; s < q->seeds; s++, count++) {
            size_t method = i == SWEEP_DEFAULT_ADAM ? BASELINE_ADAM : i;
            size_t rate = i == SWEEP_DEFAULT_ADAM ? EVAL_RATE_DEFAULT : task_sweep_best_rate(out, method);
            jobs[count] = baseline_job(q, instances, method, rate, s);
            jobs[count].request.curve = 1;
            jobs[count].outcome.losses = &out->curves[i].losses[s * q->grid.count];
        }
    LOPT_TRY(schedule_run(jobs, count, c));
    for (size_t k = 0; k < count; k++) {
        eval_curve *curve = &out->curves[k / q->seeds];
        curve->accuracy[k % q->seeds] = jobs[k].outcome.accuracy;
        curve->seconds_per_step += jobs[k].outcome.seconds_per_step / (double)q->seeds;
    }
    return LOPT_OK;
}

lopt_status task_sweep_run(const sweep_request *q, eval_control *c, task_sweep *out) {
    lopt_status status = LOPT_OK;
    void *list = NULL, *jobs = NULL;
    LOPT_TRY(memory_alloc(q->seeds, sizeof(lopt_task *), "task instances", &list));
    lopt_task **instances = list;
    LOPT_TRY_CLEANUP(memory_alloc(task_sweep_runs(q->seeds), sizeof(eval_job), "a list of runs", &jobs));
    for (size_t s = 0; s < q->seeds; s++)
        LOPT_TRY_CLEANUP(lopt_task_create(q->spec, eval_seeds_make(q->seed, q->spec, s).instance, &instances[s]));
    LOPT_TRY_CLEANUP(run_rates(q, instances, jobs, c, out));
    if (!eval_stop_asked(&c->stop)) LOPT_TRY_CLEANUP(run_curves(q, instances, jobs, c, out));
cleanup:
    for (size_t s = 0; s < q->seeds; s++) lopt_task_free(instances[s]);
    free(list);
    free(jobs);
    return status;
}

static const double *finals_of(const task_sweep *s, size_t method, size_t rate) {
    return &s->finals[(method * EVAL_RATE_COUNT + rate) * s->seeds];
}

double task_sweep_final(const task_sweep *s, size_t method, size_t rate) { return stat_mean(finals_of(s, method, rate), s->seeds); }

static size_t diverged(const task_sweep *s, size_t method, size_t rate) {
    size_t count = 0;
    for (size_t i = 0; i < s->seeds; i++) count += !isfinite(finals_of(s, method, rate)[i]);
    return count;
}

size_t task_sweep_best_rate(const task_sweep *s, size_t method) {
    size_t best = 0;
    for (size_t r = 1; r < EVAL_RATE_COUNT; r++) {
        size_t ours = diverged(s, method, r), theirs = diverged(s, method, best);
        if (ours < theirs || (ours == theirs && task_sweep_final(s, method, r) < task_sweep_final(s, method, best))) best = r;
    }
    return best;
}

size_t task_sweep_best_method(const task_sweep *s) {
    size_t best = 0;
    double lowest = task_sweep_final(s, 0, task_sweep_best_rate(s, 0));
    for (size_t m = 1; m < BASELINE_COUNT; m++) {
        const size_t rate = task_sweep_best_rate(s, m), rate_of_best = task_sweep_best_rate(s, best);
        const double loss = task_sweep_final(s, m, rate);
        const size_t ours = diverged(s, m, rate), theirs = diverged(s, best, rate_of_best);
        if (ours < theirs || (ours == theirs && loss < lowest)) best = m, lowest = loss;
    }
    return best;
}
