/* A window backward: the adjoint of forward.c, step by step from the last to the first. Names: x_adj is d J / d x. */
#include <string.h>

#include "base/status.h"
#include "kernels/cpu/gradient_sums.h"
#include "tasks/engine/run.h"

/* Adjoints that live from step to step, and scratch. F = P + X. */
typedef struct adjoints {
    float *theta, *phi;    /* [total]; phi only with attention */
    float *grad, *product; /* [total]: of the task's gradient; its Hessian-vector product */
    float *state;          /* [state_total] */
    float *u, *v;          /* [num_tensors][padded T], [padded G] */
    float *mean_u, *mean;  /* [padded T]; [padded F] */
    float *bias_param, *bias_tensor, *bias_global;
    float *task;       /* the task's workspace */
    double rho;        /* sum of the adjoints of alpha - mean(alpha) in this step */
    float mean_log_lr; /* adjoint of each alpha' through the next step's mean */
    size_t bounded;
    gradient_sums *sums;
} adjoints;

static size_t round16(size_t n) { return (n + 15) / 16 * 16; }

/* Places all buffers from base on (NULL: counts only); returns the floats needed. */
static size_t place(const unroll_run *r, float *base, adjoints *a) {
    const lopt_dims d = r->layout.dims;
    const size_t sizes[] = {round16(r->total),   round16(r->total),       round16(r->total),
                            round16(r->total),   round16(r->state_total), r->num_tensors * padded(d.tensor),
                            padded(d.global),    padded(d.tensor),        padded(d.param + dims_features(d)),
                            padded(3 * d.param), padded(3 * d.tensor),    padded(3 * d.global)};
    float **const buffers[] = {&a->theta, &a->phi,    &a->grad, &a->product,    &a->state,       &a->u,
                               &a->v,     &a->mean_u, &a->mean, &a->bias_param, &a->bias_tensor, &a->bias_global};
    size_t at = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        *buffers[i] = base ? base + at : NULL;
        at += sizes[i];
    }
    a->task = base ? base + at : NULL;
    return at;
}

size_t backward_scratch_floats(const unroll_run *r) {
    adjoints a;
    return place(r, NULL, &a) + task_workspace(r->task);
}

/* inverse_rms^3 / n * sum theta_adj move: how each direction feels the tensor's RMS (rule 10). */
static float rms_pull(const unroll_run *r, const float *adj, const float *move, size_t n, float inverse) {
    const double inverse3 = (double)inverse * (double)inverse * (double)inverse;
    double sum = 0.0;
    for (size_t first = 0; first < n; first += STEP_CHUNK)
        sum += r->kernels->dot(adj + first, move + first, chunk_length(n, first));
    return (float)(inverse3 / (double)n * sum);
}

/* Rules 13 back to 1 for tensor i. */
static void tensor_backward(const unroll_run *r, const prepared_weights *w, size_t i, int first_step, const tape_layout *t,
                            float *tape, const float *state_after, float mean_log_lr, adjoints *a) {
    const lopt_dims d = r->layout.dims;
    const int F = d.param + dims_features(d);
    const size_t n = r->param_at[i + 1] - r->param_at[i], at = r->param_at[i], state_at = r->state_at[i];
    float *u_adj = a->u + i * padded(d.tensor);
    tensor_record record;
    memcpy(&record, tape + t->record + 2 * i, sizeof record);
    for (int j = 0; j < d.tensor; j++) u_adj[j] += a->mean_u[j] / (float)r->num_tensors;
    gru_backward_args gru = {
        {tape + t->tensor_input + i * padded(F + d.tensor), tape + t->tensor_gates + i * gru_gates_floats(d.tensor)},
        u_adj,
        a->mean,
        a->bias_tensor,
        a->sums};
    r->kernels->tensor_rnn_backward(w, &gru);
    for (int j = 0; j < F; j++) a->mean[j] /= (float)n;
    step_backward_args step = {0};
    step.n = n;
    step.state_in = tape + t->state + state_at;
    step.state_out = state_after + state_at;
    step.gates = tape + t->gates + state_at / (size_t)dims_state(d) * (size_t)(3 * d.param);
    step.grad = tape + t->grad + at;
    step.first_step = first_step;
    step.mean_log_lr = mean_log_lr;
    step.theta_adj = a->theta + at;
    step.phi_adj = a->phi + at;
    step.inverse_rms_move = record.inverse_rms_move;
    step.inverse_rms_attend = record.inverse_rms_attend;
    step.rms_move_pull = rms_pull(r, a->theta + at, tape + t->move + at, n, record.inverse_rms_move);
    if (d.attention) step.rms_attend_pull = rms_pull(r, a->phi + at, tape + t->attend + at, n, record.inverse_rms_attend);
    step.features_adj = a->mean;
    step.mean_log_lr_adj = a->mean_log_lr;
    step.state_adj = a->state + state_at;
    step.grad_adj = a->grad + at;
    step.bias_adj = a->bias_param;
    step.rho_adj = &a->rho;
    step.bounded = &a->bounded;
    step.sums = a->sums;
    r->kernels->step_backward(w, &step);
    biases_backward_args biases = {
        tape + t->u + i * padded(d.tensor), tape + t->v, a->bias_param, a->bias_tensor, u_adj, a->v, a->sums};
    r->kernels->biases_backward(w, &biases);
}

/* theta and phi after the step pull on theta before it; the gradient that was taken pulls on phi before it, through the task's Hessian. */
static lopt_status params_backward(const unroll_run *r, const unroll_window_args *w, uint64_t step, const float *phi, adjoints *a) {
    const int attention = r->layout.dims.attention;
    if (w->second_derivatives) LOPT_TRY(task_hvp(r->task, r->at.seed, step, phi, a->grad, a->product, a->task));
    else memset(a->product, 0, r->total * sizeof(float));
    for (size_t j = 0; j < r->total; j++) {
        if (attention) {
            a->theta[j] += a->phi[j];
            a->phi[j] = a->product[j];
        } else {
            a->theta[j] += a->product[j];
        }
    }
    return LOPT_OK;
}

static lopt_status step_backward(const unroll_run *r, const prepared_weights *w, const unroll_window_args *args, uint64_t step,
                                 const tape_layout *t, float *tape, adjoints *a) {
    const float *after = tape + t->floats + t->state;
    for (size_t j = 0; j < r->total; j++) a->theta[j] += tape[t->loss_pull + j];
    gru_backward_args global = {{tape + t->global_input, tape + t->global_gates}, a->v, a->mean_u, a->bias_global, a->sums};
    r->kernels->global_rnn_backward(w, &global);
    const float mean = run_mean_log_lr(r, tape + t->state);
    a->rho = 0.0;
    for (size_t i = 0; i < r->num_tensors; i++) tensor_backward(r, w, i, step == 0, t, tape, after, mean, a);
    a->mean_log_lr = (float)(-a->rho / (double)r->total);
    return params_backward(r, args, step, tape + t->phi, a);
}

/* The states that a run starts from are weights too. alpha is drawn, so what still pulls on mean(alpha) ends here. */
static void start_backward(const unroll_run *r, const adjoints *a) {
    const lopt_dims d = r->layout.dims;
    const size_t lanes = (size_t)r->kernels->lanes, block = lanes * (size_t)dims_state(d);
    for (size_t at = 0; at < r->state_total; at += block)
        for (int j = 0; j < d.param; j++)
            for (size_t lane = 0; lane < lanes; lane++) a->sums->initial_h[j] += a->state[at + (size_t)j * lanes + lane];
    for (size_t i = 0; i < r->num_tensors; i++)
        for (int j = 0; j < d.tensor; j++) a->sums->initial_u[j] += a->u[i * padded(d.tensor) + (size_t)j];
    for (int j = 0; j < d.global; j++) a->sums->initial_v[j] += a->v[j];
}

lopt_status window_backward(unroll_run *r, const prepared_weights *w, const unroll_window_args *args, uint64_t first_step,
                            unroll_workspace *ws, const tape_layout *t, size_t *bounded) {
    adjoints a = {0};
    size_t used = place(r, ws->scratch, &a);
    memset(ws->scratch, 0, used * sizeof(float));
    LOPT_TRY(workspace_sums(ws, w, &a.sums));
    for (size_t k = args->steps; k-- > 0;)
        LOPT_TRY(step_backward(r, w, args, first_step + k, t, (float *)ws->tape + k * t->floats, &a));
    if (first_step == 0) start_backward(r, &a);
    r->kernels->collect(w, a.sums, args->gradient);
    *bounded = a.bounded;
    return LOPT_OK;
}
