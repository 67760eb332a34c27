#include "csrc/eval/results.h"

#include <math.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/eval/statistics.h"

const char *eval_rival_name(eval_rival r) {
    static const char *const names[RIVAL_COUNT] = {"Adam, tuned per task", "Adam, one rate for all tasks", "Adam at 1e-3"};
    return names[r];
}

double eval_task_baseline_loss(const eval_task *t, size_t method) {
    return task_sweep_final(&t->sweep, method, t->best_rate[method]);
}

static double point_mean(const eval_curve *c, size_t seeds, size_t points, size_t point) {
    double sum = 0.0;
    for (size_t s = 0; s < seeds; s++) sum += c->losses[s * points + point];
    return sum / (double)seeds;
}

eval_ending eval_ending_of(const eval_curve *c, size_t seeds, eval_grid grid) {
    eval_ending e = {point_mean(c, seeds, grid.count, grid.count - 1), stat_mean(c->accuracy, seeds), 0, 0, 0};
    const size_t tenth = eval_grid_tenth(grid);
    for (size_t s = 0; s < seeds; s++) {
        double first = c->losses[s * grid.count], last = c->losses[(s + 1) * grid.count - 1];
        e.diverged += !isfinite(last);
        e.worsened += !(last <= first);
        e.risen += stat_win(c->losses[s * grid.count + tenth], last) > 0.5 || !isfinite(last);
    }
    return e;
}

static void judge_baselines(eval_task *t, size_t seeds, size_t points) {
    for (size_t m = 0; m < BASELINE_COUNT; m++) t->best_rate[m] = task_sweep_best_rate(&t->sweep, m);
    t->best_method = task_sweep_best_method(&t->sweep);
    t->start_loss = point_mean(&t->sweep.curves[SWEEP_DEFAULT_ADAM], seeds, points, 0);
}

/* Adam's rate as each rival has it. */
static size_t rival_rate(const eval_results *r, const eval_task *t, size_t rival) {
    if (rival == RIVAL_TUNED_ADAM) return t->best_rate[BASELINE_ADAM];
    return rival == RIVAL_ONE_RATE_ADAM ? r->one_rate : EVAL_RATE_DEFAULT;
}

/* mean_losses: scratch [grid.count] */
static void judge_learned(const eval_results *r, const eval_task *t, learned_result *l, double *mean_losses) {
    const size_t points = r->grid.count;
    for (size_t i = 0; i < points; i++) mean_losses[i] = point_mean(&l->curve, r->seeds, points, i);
    const size_t target[TARGET_COUNT] = {[TARGET_BEST_BASELINE] = t->best_method, [TARGET_TUNED_ADAM] = BASELINE_ADAM};
    for (size_t k = 0; k < TARGET_COUNT; k++) {
        const double loss = eval_task_baseline_loss(t, target[k]);
        l->steps_to_target[k] = stat_steps_to_reach(r->grid, mean_losses, loss);
        l->speed_up[k] = stat_speed_up(r->grid, mean_losses, loss);
    }
    for (size_t k = 0; k < RIVAL_COUNT; k++) {
        const double *rival = &t->sweep.finals[(BASELINE_ADAM * EVAL_RATE_COUNT + rival_rate(r, t, k)) * r->seeds];
        double wins = 0.0;
        for (size_t s = 0; s < r->seeds; s++) wins += stat_win(l->curve.losses[(s + 1) * points - 1], rival[s]);
        l->wins[k] = wins / (double)r->seeds;
    }
}

/* scratch [2 num_tasks] */
static lopt_status judge_speed(const eval_results *r, size_t which, size_t target, double *scratch, speed_total *out) {
    out->reached = 0;
    for (size_t i = 0; i < r->num_tasks; i++) {
        scratch[i] = r->tasks[i].learned[which].speed_up[target];
        out->reached += scratch[i] > 0.0;
    }
    out->mean = stat_iqm(scratch, r->num_tasks, scratch + r->num_tasks);
    return stat_iqm_interval(scratch, r->num_tasks, r->seed, &out->low, &out->high);
}

/* scratch [2 num_tasks] */
static lopt_status judge_total(const eval_results *r, size_t which, double *scratch, learned_total *out) {
    for (size_t i = 0; i < r->num_tasks; i++)
        for (size_t k = 0; k < RIVAL_COUNT; k++) out->wins[k] += r->tasks[i].learned[which].wins[k] / (double)r->num_tasks;
    for (size_t k = 0; k < TARGET_COUNT; k++) LOPT_TRY(judge_speed(r, which, k, scratch, &out->speed_up[k]));
    return LOPT_OK;
}

/* losses: scratch [num_tasks * EVAL_RATE_COUNT] */
static size_t adam_one_rate(const eval_results *r, double *losses) {
    for (size_t i = 0; i < r->num_tasks; i++)
        for (size_t k = 0; k < EVAL_RATE_COUNT; k++)
            losses[i * EVAL_RATE_COUNT + k] = task_sweep_final(&r->tasks[i].sweep, BASELINE_ADAM, k);
    return stat_best_mean_rank(losses, r->num_tasks, EVAL_RATE_COUNT);
}

static void count_runs(eval_results *r, size_t which) {
    learned_total *total = &r->totals[which];
    double logs = 0.0;
    for (size_t i = 0; i < r->num_tasks; i++) {
        learned_result *l = &r->tasks[i].learned[which];
        l->ending = eval_ending_of(&l->curve, r->seeds, r->grid);
        r->tasks[i].start_loss = point_mean(&l->curve, r->seeds, r->grid.count, 0);
        total->diverged += l->ending.diverged;
        total->worsened += l->ending.worsened;
        total->risen += l->ending.risen;
        total->runs += r->seeds;
        logs += log(l->curve.seconds_per_step);
    }
    total->seconds_per_step = exp(logs / (double)r->num_tasks); /* 0 where one is too short to be timed */
}

void eval_results_count(eval_results *r) {
    for (size_t k = 0; k < r->num_learned; k++) count_runs(r, k);
}

lopt_status eval_results_judge(eval_results *r) {
    lopt_status status = LOPT_OK;
    void *p = NULL;
    LOPT_TRY(memory_alloc(r->num_tasks * EVAL_RATE_COUNT + r->grid.count, sizeof(double), "the verdicts", &p));
    double *scratch = p;
    eval_results_count(r);
    for (size_t i = 0; i < r->num_tasks; i++) judge_baselines(&r->tasks[i], r->seeds, r->grid.count);
    r->one_rate = adam_one_rate(r, scratch);
    for (size_t i = 0; i < r->num_tasks; i++)
        for (size_t k = 0; k < r->num_learned; k++) judge_learned(r, &r->tasks[i], &r->tasks[i].learned[k], scratch);
    for (size_t k = 0; k < r->num_learned; k++) LOPT_TRY_CLEANUP(judge_total(r, k, scratch, &r->totals[k]));
cleanup:
    free(scratch);
    return status;
}

void eval_results_release(eval_results *r) {
    for (size_t i = 0; r->tasks && i < r->num_tasks; i++) {
        eval_task *t = &r->tasks[i];
        free(t->spec);
        task_sweep_release(&t->sweep);
        for (size_t k = 0; t->learned && k < r->num_learned; k++) eval_curve_release(&t->learned[k].curve);
        free(t->learned);
    }
    free(r->tasks);
    free(r->totals);
}
