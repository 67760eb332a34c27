/* A window forward: task gradient, one step of the learned optimizer, loss; step after step. */
#include <math.h>
#include <string.h>

#include "base/status.h"
#include "kernels/cell/readout.h"
#include "tasks/engine/run.h"

#define RATIO_FLOOR 1e-6

/* A step's part of the meta-loss, and its derivative in f. */
static double log_ratio(double f, double start_loss) { return log(f / (start_loss + RATIO_FLOOR) + RATIO_FLOOR); }
static double log_ratio_slope(double f, double start_loss) {
    const double scale = start_loss + RATIO_FLOOR;
    return 1.0 / ((f / scale + RATIO_FLOOR) * scale);
}

static size_t take(size_t *at, size_t n) {
    size_t place = *at;
    *at += (n + 15) / 16 * 16;
    return place;
}

tape_layout tape_layout_make(const unroll_run *r, int with_gradient) {
    const lopt_dims d = r->layout.dims;
    const size_t inputs = (size_t)(d.param + dims_features(d) + d.tensor);
    tape_layout t = {0};
    size_t at = 0;
    if (!with_gradient) return t;
    t.loss_pull = take(&at, r->total);
    t.phi = take(&at, r->total);
    t.grad = take(&at, r->total);
    t.move = take(&at, r->total);
    t.attend = take(&at, r->total);
    t.state = take(&at, r->state_total);
    t.gates = take(&at, r->state_total / (size_t)dims_state(d) * (size_t)(3 * d.param));
    t.u = take(&at, r->num_tensors * padded(d.tensor));
    t.v = take(&at, padded(d.global));
    t.tensor_input = take(&at, r->num_tensors * padded((int)inputs));
    t.tensor_gates = take(&at, r->num_tensors * gru_gates_floats(d.tensor));
    t.global_input = take(&at, (size_t)(d.tensor + d.global));
    t.global_gates = take(&at, gru_gates_floats(d.global));
    t.record = take(&at, r->num_tensors * sizeof(tensor_record) / sizeof(float));
    t.floats = at;
    return t;
}

/* move, attend [total] each; bias_param, bias_tensor; mean features; mean u. */
size_t forward_scratch_floats(const unroll_run *r) {
    const lopt_dims d = r->layout.dims;
    return 3 * ((r->total + 15) / 16 * 16) + padded(3 * d.param) + padded(3 * d.tensor) + padded(d.param + dims_features(d)) +
           padded(d.tensor) + task_workspace(r->task) + 64;
}

typedef struct step_scratch {
    float *move, *attend, *grad, *bias_param, *bias_tensor, *mean, *mean_u, *task;
} step_scratch;

static step_scratch scratch_of(const unroll_run *r, float *at) {
    const lopt_dims d = r->layout.dims;
    const size_t params = (r->total + 15) / 16 * 16;
    step_scratch s;
    s.move = at, at += params;
    s.attend = at, at += params;
    s.grad = at, at += params;
    s.bias_param = at, at += padded(3 * d.param);
    s.bias_tensor = at, at += padded(3 * d.tensor);
    s.mean = at, at += padded(d.param + dims_features(d));
    s.mean_u = at, at += padded(d.tensor);
    s.task = at;
    return s;
}

float run_mean_log_lr(const unroll_run *r, const float *state) {
    const size_t C = (size_t)dims_state(r->layout.dims);
    double sum = 0.0;
    for (size_t i = 0; i < r->num_tensors; i++) {
        const size_t n = r->param_at[i + 1] - r->param_at[i];
        for (size_t first = 0; first < n; first += STEP_CHUNK)
            sum += r->kernels->sum_log_lr(r->layout.dims, state + r->state_at[i] + first * C, chunk_length(n, first));
    }
    return (float)(sum / (double)r->total);
}

/* Sums over a tensor in chunks of STEP_CHUNK, as the optimizer forms them; rules 1-11. */
static void tensor_cells(unroll_run *r, const prepared_weights *w, size_t i, const float *grad, float mean, const step_scratch *s,
                         float *gates, step_sums *total) {
    const lopt_dims d = r->layout.dims;
    const int C = dims_state(d), F = d.param + dims_features(d);
    const size_t n = r->param_at[i + 1] - r->param_at[i];
    memset(total, 0, sizeof *total);
    for (size_t first = 0; first < n; first += STEP_CHUNK) {
        step_sums sums;
        const size_t at = r->param_at[i] + first;
        float *state = r->state + r->state_at[i] + first * (size_t)C;
        step_forward_args a = {chunk_length(n, first),
                               state,
                               state,
                               grad + at,
                               s->bias_param,
                               mean,
                               0.0f,
                               INFINITY,
                               0.0f,
                               r->at.step == 0,
                               s->move + at,
                               d.attention ? s->attend + at : NULL,
                               gates ? gates + (r->state_at[i] / (size_t)C + first) * (size_t)(3 * d.param) : NULL,
                               &sums};
        r->kernels->step_forward(w, &a);
        for (int j = 0; j < F; j++) total->features[j] += sums.features[j];
        total->move_square += sums.move_square;
        total->attend_square += sums.attend_square;
    }
}

void run_step(unroll_run *r, const prepared_weights *w, const float *grad, float *scratch, const tape_layout *t, float *tape) {
    const lopt_dims d = r->layout.dims;
    const int F = d.param + dims_features(d);
    const step_scratch s = scratch_of(r, scratch);
    const float mean = run_mean_log_lr(r, r->state);
    memset(s.mean_u, 0, (size_t)d.tensor * sizeof(float));
    for (size_t i = 0; i < r->num_tensors; i++) {
        const size_t n = r->param_at[i + 1] - r->param_at[i], at = r->param_at[i];
        float *u = r->u + i * padded(d.tensor);
        step_sums sums;
        gru_tape gru = {0};
        r->kernels->biases(w, u, r->v, s.bias_param, s.bias_tensor);
        tensor_cells(r, w, i, grad, mean, &s, tape ? tape + t->gates : NULL, &sums);
        for (int j = 0; j < F; j++) s.mean[j] = (float)(sums.features[j] / (double)n);
        tensor_record record = {readout_inverse_rms(sums.move_square / (double)n),
                                readout_inverse_rms(sums.attend_square / (double)n)};
        if (tape) {
            memcpy(tape + t->record + i * 2, &record, sizeof record);
            gru.input = tape + t->tensor_input + i * padded(F + d.tensor);
            gru.gates = tape + t->tensor_gates + i * gru_gates_floats(d.tensor);
        }
        r->kernels->tensor_rnn(w, s.mean, u, s.bias_tensor, u, tape ? &gru : NULL);
        for (int j = 0; j < d.tensor; j++) s.mean_u[j] += u[j] / (float)r->num_tensors;
        step_apply_args apply = {n,
                                 r->theta + at,
                                 r->phi + at,
                                 s.move + at,
                                 d.attention ? s.attend + at : NULL,
                                 record.inverse_rms_move,
                                 record.inverse_rms_attend,
                                 1.0f,
                                 0.0f};
        r->kernels->step_apply(&apply);
    }
    gru_tape global = {tape ? tape + t->global_input : NULL, tape ? tape + t->global_gates : NULL};
    r->kernels->global_rnn(w, s.mean_u, r->v, r->v, tape ? &global : NULL);
    if (tape) {
        memcpy(tape + t->move, s.move, r->total * sizeof(float));
        memcpy(tape + t->attend, s.attend, r->total * sizeof(float));
    }
    r->at.step++;
}

/* What the adjoint needs of before the step. */
static void keep_before(const unroll_run *r, const float *grad, const tape_layout *t, float *tape) {
    memcpy(tape + t->phi, r->phi, r->total * sizeof(float));
    memcpy(tape + t->grad, grad, r->total * sizeof(float));
    memcpy(tape + t->state, r->state, r->state_total * sizeof(float));
    memcpy(tape + t->u, r->u, r->num_tensors * padded(r->layout.dims.tensor) * sizeof(float));
    memcpy(tape + t->v, r->v, padded(r->layout.dims.global) * sizeof(float));
}

/* The whole loss where the step led, and on the tape what it pulls: loss and gradient together cost less than the loss now and the gradient
 * on the way back. */
static lopt_status loss_after(const unroll_run *r, const unroll_window_args *a, float *pull, float *workspace, double *loss) {
    LOPT_TRY(task_full_loss_grad(r->task, r->theta, loss, pull, workspace));
    const float slope = (float)(log_ratio_slope(*loss, r->at.start_loss) / (double)a->steps);
    for (size_t j = 0; pull && j < r->total; j++) pull[j] *= slope;
    return LOPT_OK;
}

/* diverged out: 1 if a loss or gradient was not finite. */
static lopt_status forward(unroll_run *r, const prepared_weights *w, const unroll_window_args *a, unroll_workspace *ws,
                           const tape_layout *t, unroll_result *out) {
    const step_scratch s = scratch_of(r, ws->scratch);
    double sum = 0.0;
    out->diverged = !isfinite(r->at.start_loss);
    for (size_t k = 0; k < a->steps && !out->diverged; k++) {
        float *tape = a->gradient ? (float *)ws->tape + k * t->floats : NULL;
        double loss = 0.0;
        LOPT_TRY(task_loss_grad(r->task, r->at.seed, r->at.step, r->phi, &loss, s.grad, s.task));
        out->diverged = !isfinite(loss) || !r->kernels->all_finite(s.grad, r->total);
        if (out->diverged) break;
        if (tape) keep_before(r, s.grad, t, tape);
        run_step(r, w, s.grad, ws->scratch, t, tape);
        LOPT_TRY(loss_after(r, a, tape ? tape + t->loss_pull : NULL, s.task, &loss));
        if (a->losses) a->losses[k] = loss;
        sum += log_ratio(loss, r->at.start_loss);
        out->final_loss = loss;
        out->diverged = !isfinite(sum);
    }
    out->meta_loss = out->diverged ? NAN : sum / (double)a->steps;
    return LOPT_OK;
}

lopt_status unroll_window(unroll_run *r, const prepared_weights *w, const unroll_window_args *a, unroll_workspace *ws,
                          unroll_result *out) {
    const tape_layout t = tape_layout_make(r, a->gradient != NULL);
    const uint64_t first_step = r->at.step;
    size_t tape = 0;
    unroll_result result = {0};
    LOPT_CHECK(a->steps < SIZE_MAX && !__builtin_mul_overflow(t.floats, a->steps + 1, &tape), LOPT_ERR_MEMORY,
               "a window of %zu steps needs more memory than there can be", a->steps);
    size_t scratch = forward_scratch_floats(r), backward = a->gradient ? backward_scratch_floats(r) : 0;
    LOPT_TRY(workspace_reserve(ws, tape, scratch > backward ? scratch : backward));
    LOPT_TRY(forward(r, w, a, ws, &t, &result));
    if (a->gradient) memset(a->gradient, 0, r->layout.count * sizeof(float));
    if (a->gradient && !result.diverged) {
        memcpy((float *)ws->tape + a->steps * t.floats + t.state, r->state, r->state_total * sizeof(float));
        LOPT_TRY(window_backward(r, w, a, first_step, ws, &t, &result.bounded));
    }
    *out = result;
    return LOPT_OK;
}
