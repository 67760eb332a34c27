#include "csrc/eval/runner.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/finite.h"
#include "base/memory.h"
#include "base/status.h"
#include "csrc/bench/clock.h"

/* Everything a run writes to, and its optimizer: one of `state` and `learned`. */
typedef struct run {
    const run_request *request;
    baseline_state *state;
    lopt_optimizer *learned;
    float *params, *grad, *shown, *workspace; /* [total] thrice: params are where gradients are taken, shown are the true ones */
    float **param_list, **grad_list, **shown_list;
    int dead; /* a baseline met a gradient that is not finite: from there on its parameters never are */
} run;

static lopt_status pointers(const lopt_task *task, float *flat, float ***out) {
    void *p = NULL;
    LOPT_TRY(memory_alloc(task_num_tensors(task), sizeof(float *), "an evaluation run", &p));
    float **list = p;
    for (size_t i = 0; i < task_num_tensors(task); i++) {
        list[i] = flat;
        flat += task_counts(task)[i];
    }
    *out = list;
    return LOPT_OK;
}

static lopt_status create_learned(run *r) {
    const run_request *q = r->request;
    lopt_optimizer_options options = LOPT_OPTIMIZER_OPTIONS_INIT;
    options.seed = q->seeds.optimizer;
    LOPT_TRY(pointers(q->task, r->params, &r->param_list));
    LOPT_TRY(pointers(q->task, r->grad, &r->grad_list));
    LOPT_TRY(pointers(q->task, r->shown, &r->shown_list));
    return lopt_optimizer_create(q->weights, &options, task_num_tensors(q->task), task_counts(q->task), r->param_list, NULL,
                                 &r->learned);
}

static lopt_status run_create(run *r) {
    const lopt_task *task = r->request->task;
    const size_t total = task_total(task);
    LOPT_TRY(memory_floats(total, "an evaluation run", &r->params));
    LOPT_TRY(memory_floats(total, "an evaluation run", &r->grad));
    LOPT_TRY(memory_floats(total, "an evaluation run", &r->shown));
    LOPT_TRY(memory_floats(task_workspace(task), "an evaluation run", &r->workspace));
    LOPT_TRY(task_init(task, r->request->seeds.start, r->params));
    return r->request->baseline ? baseline_state_create(total, &r->state) : create_learned(r);
}

static void run_release(run *r) {
    baseline_state_free(r->state);
    lopt_optimizer_free(r->learned);
    free(r->params);
    free(r->grad);
    free(r->shown);
    free(r->workspace);
    free(r->param_list);
    free(r->grad_list);
    free(r->shown_list);
}

static lopt_status step(run *r, uint64_t index) {
    const run_request *q = r->request;
    LOPT_TRY(task_loss_grad(q->task, q->seeds.batch, index, r->params, NULL, r->grad, r->workspace));
    if (r->learned) return lopt_optimizer_step(r->learned, r->param_list, (const float *const *)r->grad_list, NULL);
    r->dead = !floats_finite(r->grad, r->state->n);
    if (!r->dead) baseline_step(q->baseline, r->state, q->rate, q->grid.steps, r->grad, r->params);
    return LOPT_OK;
}

/* The parameters to judge: with attention those of the optimizer, not those in the user's buffers. */
static lopt_status shown_params(run *r, const float **out) {
    if (r->learned) LOPT_TRY(lopt_optimizer_true_params(r->learned, r->shown_list, NULL));
    *out = r->learned ? r->shown : r->params;
    return LOPT_OK;
}

static lopt_status record(run *r, double *loss) {
    const float *params = NULL;
    double value = 0.0;
    LOPT_TRY(shown_params(r, &params));
    LOPT_TRY(task_full_loss_grad(r->request->task, params, &value, NULL, r->workspace));
    /* float32 has no name for what is larger; and some losses do not see a parameter that is no number */
    *loss = fabs(value) <= FLT_MAX && floats_finite(params, task_total(r->request->task)) ? value : NAN;
    return LOPT_OK;
}

/* Steps from grid point `point` - 1 to `point`. */
static lopt_status advance(run *r, size_t point, size_t *done) {
    const size_t end = eval_grid_step(r->request->grid, point);
    for (size_t t = eval_grid_step(r->request->grid, point - 1); t < end && !r->dead; t++, (*done)++) LOPT_TRY(step(r, t));
    return LOPT_OK;
}

static lopt_status follow(run *r, run_outcome *out) {
    const run_request *q = r->request;
    size_t done = 0;
    double seconds = 0.0;
    if (q->curve) LOPT_TRY(record(r, &out->losses[0]));
    for (size_t point = 1; point < q->grid.count && !(q->stop && eval_stop_asked(q->stop)); point++) {
        double *loss = q->curve ? &out->losses[point] : &out->losses[0], start = clock_seconds();
        LOPT_TRY(advance(r, point, &done));
        seconds += clock_seconds() - start;
        if (r->dead) *loss = NAN;
        else if (q->curve || point == q->grid.count - 1) LOPT_TRY(record(r, loss));
    }
    out->seconds_per_step = done > 0 ? seconds / (double)done : 0.0;
    return LOPT_OK;
}

lopt_status run_execute(const run_request *q, run_outcome *out) {
    lopt_status status = LOPT_OK;
    const float *params = NULL;
    run r;
    memset(&r, 0, sizeof r);
    r.request = q;
    LOPT_TRY_CLEANUP(run_create(&r));
    LOPT_TRY_CLEANUP(follow(&r, out));
    LOPT_TRY_CLEANUP(shown_params(&r, &params));
    const double last = out->losses[q->curve ? q->grid.count - 1 : 0];
    out->accuracy = isfinite(last) ? task_test_accuracy(q->task, params, r.workspace) : NAN; /* of numbers that are none */
cleanup:
    run_release(&r);
    return status;
}
