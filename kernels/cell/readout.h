/* Rules 10-12 of a step (docs/cell.md), as far as one parameter can go: directions, learning rate and unnormalised moves; forward and adjoint.
 * Wichrowska et al. 2017, section 3.2.1 (attention), 3.2.4 (relative learning rates). */
#ifndef LOPT_CELL_READOUT_H
#define LOPT_CELL_READOUT_H

#include "kernels/cell/features.h"

#define LOG_LR_MAX 33.0f   /* bound of rule 11 */
#define EXPONENT_MAX 80.0f /* bound of rule 12 */
#define RMS_FLOOR 1e-16f

typedef struct cell_readout {
    vf move, attend;             /* exp(a' + k_off) d, exp(a') e */
    vf direction, attention;     /* d, e */
    vf log_lr;                   /* alpha' */
    vf rate;                     /* a' */
    vf move_scale, attend_scale; /* exp(a' + k_off), exp(a') */
} cell_readout;

/* d = h'.w + m.a (rule 10) */
CELL_FN vf readout_direction(lopt_dims d, const float *w, const float *a, const vf *h, const vf *m) {
    vf sum = hidden_dot(d, w, h, vf_set1(0.0f));
    if (d.gradient_shortcut)
        for (int s = 0; s < d.scales; s++) sum += a[s] * m[s];
    return sum;
}

/* Rules 11 and 12 once the products are there: direction d, attention e (any number without attention), change of the log learning rate
 * w.h' + c. log_lr: alpha before the step. */
CELL_FN cell_readout readout_of(lopt_dims d, const cell_weights *w, vf direction, vf attention, vf change, vf log_lr) {
    cell_readout o;
    o.rate = vf_max(vf_min(log_lr + change, vf_set1(LOG_LR_MAX)), vf_set1(-LOG_LR_MAX));
    o.log_lr = o.rate + w->momentum * (log_lr - o.rate);
    o.direction = direction;
    o.move_scale = vf_exp_fast(vf_min(o.rate + w->step_offset, vf_set1(EXPONENT_MAX)));
    o.move = o.move_scale * o.direction;
    o.attention = o.attend = o.attend_scale = vf_set1(0.0f);
    if (d.attention) {
        o.attention = attention;
        o.attend_scale = vf_exp_fast(o.rate);
        o.attend = o.attend_scale * o.attention;
    }
    return o;
}

/* h: new hidden state; m: the first S features. */
CELL_FN cell_readout readout_forward(lopt_dims d, const cell_weights *w, const vf *h, const vf *m, vf log_lr) {
    const vf change = hidden_dot(d, w->rate, h, vf_set1(w->rate_bias));
    const vf direction = readout_direction(d, w->update, w->update_gradient, h, m);
    const vf attention = d.attention ? readout_direction(d, w->attention, w->attention_gradient, h, m) : vf_set1(0.0f);
    return readout_of(d, w, direction, attention, change, log_lr);
}

/* 1 / RMS of a tensor's directions (rule 10), from their mean square. */
CELL_FN float readout_inverse_rms(double mean_square) { return (float)(1.0 / sqrt(mean_square + (double)RMS_FLOOR)); }

/* Rule 12: what a tensor's unnormalised moves are multiplied by. */
typedef struct readout_rates {
    float keep, move, attend;
} readout_rates;

CELL_FN readout_rates readout_rates_of(float lr_scale, float weight_decay, float inverse_rms_move, float inverse_rms_attend) {
    readout_rates r;
    r.keep = 1.0f - lr_scale * weight_decay;
    r.move = lr_scale * inverse_rms_move;
    r.attend = lr_scale * inverse_rms_attend;
    return r;
}
CELL_FN vf readout_theta(readout_rates r, vf theta, vf move) { return vf_fnma(vf_set1(r.move), move, r.keep * theta); }
CELL_FN vf readout_phi(readout_rates r, vf theta, vf attend) { return vf_fnma(vf_set1(r.attend), attend, theta); }

/* Adjoint of a direction: adds to h_adj, m_adj and the gradients of its two kernels. */
CELL_FN void direction_adjoint(lopt_dims d, const float *w, const float *a, const vf *h, const vf *m, vf adj, vf *h_adj, vf *m_adj,
                               vf *grad_w, vf *grad_a) {
    for (int j = 0; j < d.param; j++) {
        h_adj[j] += adj * w[j];
        grad_w[j] += adj * h[j];
    }
    if (d.gradient_shortcut)
        for (int s = 0; s < d.scales; s++) {
            m_adj[s] += adj * a[s];
            grad_a[s] += adj * m[s];
        }
}

/* What rule 12 pulls on: adjoints of the new true and attended parameters, and the tensor's part in the normalisation. */
typedef struct readout_pull {
    vf theta_adj, phi_adj;
    float inverse_rms_move, inverse_rms_attend;
    float rms_move_pull, rms_attend_pull; /* inverse_rms^3 / n * sum over the tensor of adj * move (attend) */
} readout_pull;

/* Adjoint of readout_forward and rule 12. log_lr_adj: in that of alpha', out that of alpha. h_adj, m_adj are added to.
 * theta' = theta - move_scale d / rms: d feels it directly and through rms = sqrt(mean d^2 + 1e-16). */
CELL_FN void readout_adjoint(lopt_dims d, const cell_weights *w, const cell_readout *o, const readout_pull *p, const vf *h,
                             const vf *m, vf log_lr, vf *log_lr_adj, vf *h_adj, vf *m_adj, cell_gradient *grad) {
    vf move_adj = -p->theta_adj * p->inverse_rms_move;
    vf move_log_adj = vf_select(o->rate + w->step_offset < vf_set1(EXPONENT_MAX), move_adj * o->move, vf_set1(0.0f));
    vf rate_adj = move_log_adj + (1.0f - w->momentum) * *log_lr_adj;
    grad->step_offset[0] += move_log_adj;
    grad->momentum_logit[0] += *log_lr_adj * (log_lr - o->rate) * (w->momentum * (1.0f - w->momentum));
    direction_adjoint(d, w->update, w->update_gradient, h, m, move_adj * o->move_scale + o->direction * p->rms_move_pull, h_adj,
                      m_adj, grad->update, grad->update_gradient);
    if (d.attention) {
        vf attend_adj = -p->phi_adj * p->inverse_rms_attend;
        rate_adj += attend_adj * o->attend;
        direction_adjoint(d, w->attention, w->attention_gradient, h, m,
                          attend_adj * o->attend_scale + o->attention * p->rms_attend_pull, h_adj, m_adj, grad->attention,
                          grad->attention_gradient);
    }
    /* the clip of rule 11 is straight-through */
    for (int j = 0; j < d.param; j++) {
        h_adj[j] += rate_adj * w->rate[j];
        grad->rate[j] += rate_adj * h[j];
    }
    grad->rate[d.param] += rate_adj;
    *log_lr_adj = *log_lr_adj * w->momentum + rate_adj;
}

#endif
