/* Adjoints of the kernels in kernels.h, for meta-gradients. Names: x_adj is the derivative of the meta-loss with respect to x. */
#ifndef LOPT_KERNELS_CPU_ADJOINT_H
#define LOPT_KERNELS_CPU_ADJOINT_H

#include "kernels/cell/dense_gru.h"
#include "kernels/cpu/kernels.h"

static inline size_t gru_gates_floats(int size) { return padded(2 * size) + padded(size); }

/* Sums of the weights' gradients over a window. */
typedef struct gradient_sums gradient_sums;
lopt_status gradient_sums_create(const prepared_weights *w, gradient_sums **out);
void gradient_sums_reset(gradient_sums *g);
void gradient_sums_free(gradient_sums *g);

/* Adjoint of one of the two RNNs. Everything is added to `sums` that belongs to its weights. */
typedef struct gru_backward_args {
    gru_tape tape;
    float *state_adj; /* [size] in: of the new state; out: of the old */
    float *input_adj; /* [inputs] out */
    float *bias_adj;  /* [3 size] out; of the bias from above and of the RNN's own */
    gradient_sums *sums;
} gru_backward_args;

/* Adjoint of `biases`. */
typedef struct biases_backward_args {
    const float *u, *v;                            /* [T], [G] of before the step */
    const float *bias_param_adj, *bias_tensor_adj; /* [3P], [3T] */
    float *u_adj, *v_adj;                          /* added to */
    gradient_sums *sums;
} biases_backward_args;

/* Adjoint of step_forward and step_apply for a run of parameters of one tensor. */
typedef struct step_backward_args {
    size_t n;
    const float *state_in, *state_out; /* of this step, as forward had them */
    const float *gates;                /* [blocks][3P][lane] */
    const float *grad;                 /* [n] */
    int first_step;
    float mean_log_lr;
    const float *theta_adj, *phi_adj; /* [n]: of theta' and phi' after the step; phi_adj is not read without attention */
    float inverse_rms_move, inverse_rms_attend;
    float rms_move_pull, rms_attend_pull; /* inverse_rms^3 / n * dot(theta_adj, move) over the whole tensor; likewise attend */
    const float *features_adj;            /* [P + X]: of each single h' and x through the tensor's mean */
    float mean_log_lr_adj;                /* of each single alpha' through the next step's mean(alpha) */
    float *state_adj;                     /* [blocks][C][lane]: in of state_out, out of state_in */
    float *grad_adj;                      /* [n] out: of the task's gradient */
    float *bias_adj;                      /* [3P padded] out: of bias, summed over the run */
    double *rho_adj;                      /* added to: sum of the adjoints of alpha - mean(alpha) */
    size_t *bounded;                      /* added to: entries of grad_adj that were bounded */
    gradient_sums *sums;                  /* added to */
} step_backward_args;

#endif
