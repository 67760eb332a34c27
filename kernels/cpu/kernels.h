/* The CPU kernels: everything that runs once per parameter or once per tensor in a step, forward and adjoint, as a table of functions
 * per instruction set. Letters as in kernels/cell/dims.h: P, T, G, S, X; C = P + 2S + 1 numbers of state per parameter; n parameters.
 *
 * State of n parameters is kept in blocks of exactly `lanes` parameters, [block][C][lane]: state_index finds an element. Lanes beyond n
 * are zero at the start, hold finite values later, and take part in no sum. All buffers are 64-byte aligned where said. */
#ifndef LOPT_KERNELS_CPU_KERNELS_H
#define LOPT_KERNELS_CPU_KERNELS_H

#include <stddef.h>

#include "kernels/cell/dims.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/prepared.h"

/* Parameters per chunk: sums are formed per chunk, then over chunks in order, so they do not depend on the number of threads. */
enum { STEP_CHUNK = 4096 };

/* Where component c (0..C-1, order of dims_state) of parameter i stands. */
static inline size_t state_index(int lanes, int components, size_t i, int c) {
    return (i / (size_t)lanes) * (size_t)(lanes * components) + (size_t)c * (size_t)lanes + i % (size_t)lanes;
}
/* Floats of state for n parameters. */
static inline size_t state_floats(int lanes, lopt_dims dims, size_t n) {
    return (n + (size_t)lanes - 1) / (size_t)lanes * (size_t)lanes * (size_t)dims_state(dims);
}

/* Sums over the parameters of a chunk or tensor, in double. */
typedef struct step_sums {
    double features[PARAM_SIZE_MAX + FEATURES_MAX]; /* [P + X]: h', then x: the input of the tensor RNN before division by n */
    double move_square, attend_square;              /* sum of d^2, of e^2 */
    double log_lr;                                  /* sum of alpha' */
} step_sums;

/* Rules 1-11 for a run of parameters of one tensor that starts at a block border. */
typedef struct step_forward_args {
    size_t n;              /* parameters in this run */
    const float *state_in; /* [blocks][C][lane], 64-byte aligned */
    float *state_out;      /* same shape; may be state_in itself */
    const float *grad;     /* [n] */
    const float *bias;     /* [3P] from above, 64-byte aligned: kernels->biases */
    float mean_log_lr;     /* mean of alpha over all taking part, before this step */
    float log_lr_add;      /* each alpha is raised by it first, */
    float log_lr_max;      /* and then lowered to it; INFINITY: none is */
    float handed_over;     /* share of the update that is the plain one's (kernels/cell/handover.h): 0..1 */
    int first_step;        /* 1: decays are 0 */
    float *move;           /* [n] out: exp(a' + k_off) d, the exponent held at 80 */
    float *attend;         /* [n] out: exp(a') e; NULL without attention */
    float *gates;          /* [blocks][3P][lane] out for the adjoint: r, z, c; NULL: not kept */
    step_sums *sums;       /* out, overwritten */
} step_forward_args;

/* Rule 12 for a run of parameters. With attention theta != phi; without, pass the same pointer twice and attend NULL.
 * theta' = theta - lr_scale (move / rms_move + weight_decay theta);  phi' = theta - lr_scale attend / rms_attend */
typedef struct step_apply_args {
    size_t n;
    float *theta, *phi;         /* [n] in and out; phi is only written */
    const float *move, *attend; /* [n]; attend may be phi itself */
    float inverse_rms_move, inverse_rms_attend, lr_scale, weight_decay;
} step_apply_args;

struct gru_tape; /* kernels/cpu/adjoint.h, as all that goes backward */
struct step_backward_args;
struct gru_backward_args;
struct biases_backward_args;
struct gradient_sums;

typedef struct cpu_kernels {
    int lanes;
    /* Biases that the next step's cells receive: bias_param [3P padded to 16] = u W_tp + c_tp + v W_gp + c_gp, plus the gates' own biases;
     * bias_tensor [3T padded] = v W_gt + c_gt plus the tensor RNN's own. u [T], v [G]. All 64-byte aligned, sizes of prepared.h. */
    void (*biases)(const prepared_weights *w, const float *u, const float *v, float *bias_param, float *bias_tensor);
    void (*step_forward)(const prepared_weights *w, const step_forward_args *a);
    void (*step_apply)(const step_apply_args *a);
    /* Sum of alpha over n parameters of a run, with the very additions of step_forward. */
    double (*sum_log_lr)(lopt_dims dims, const float *state, size_t n);
    /* Rule 13: u_out [T] from mean [P + X], u_in [T] and bias_tensor. u_out may be u_in. tape NULL: not kept. */
    void (*tensor_rnn)(const prepared_weights *w, const float *mean, const float *u_in, const float *bias_tensor, float *u_out,
                       const struct gru_tape *tape);
    /* Rule 14: v_out [G] from mean [T] and v_in [G]. */
    void (*global_rnn)(const prepared_weights *w, const float *mean, const float *v_in, float *v_out, const struct gru_tape *tape);
    /* 1 if all n gradients are finite and at most 1e18 in size. */
    int (*all_finite)(const float *grad, size_t n);
    double (*dot)(const float *a, const float *b, size_t n);
    void (*step_backward)(const prepared_weights *w, const struct step_backward_args *a);
    void (*tensor_rnn_backward)(const prepared_weights *w, const struct gru_backward_args *a);
    void (*global_rnn_backward)(const prepared_weights *w, const struct gru_backward_args *a);
    void (*biases_backward)(const prepared_weights *w, const struct biases_backward_args *a);
    /* The flat gradient [layout.count] from the sums of a window. */
    void (*collect)(const prepared_weights *w, const struct gradient_sums *g, float *gradient);
    /* Repeats fused multiply-adds in registers; returns how many (counted per float) it did. */
    double (*fma_probe)(long rounds);
} cpu_kernels;

/* The table for isa_current(), and that of a given one (baseline where the build lacks it). */
const cpu_kernels *cpu_kernels_current(void);
const cpu_kernels *cpu_kernels_of(cpu_isa isa);

/* alpha at the start of a run: log lo + (log hi - log lo)(U_tensor + U_parameter)/2. Fills the log learning
 * rate of n parameters of tensor `tensor`, and h from the initial state; averages are zeroed. state 64-byte aligned, block layout. */
void step_initial_state(const prepared_weights *w, int lanes, uint64_t seed, double lr_min, double lr_max, size_t tensor, size_t n,
                        float *state);

#endif
