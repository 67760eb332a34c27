/* Rules 1-8 of a step (docs/cell.md): gradient averages at S timescales, and the parameter RNN's input features; forward and adjoint.
 * Wichrowska et al. 2017, sections 3.2 (momentum on several timescales), 3.2.3 (features). */
#ifndef LOPT_CELL_FEATURES_H
#define LOPT_CELL_FEATURES_H

#include "kernels/cell/weights_view.h"

#define MEAN_SQUARE_FLOOR 1e-12f
#define SCALE_FLOOR 1e-16f
#define GRADIENT_MAX 1e18f /* largest gradient entry that a step takes: its square is still a float */
/* Largest adjoint of a gradient entry that is exactly 0. There dm/dgbar reaches 1e6 (only the floors are left in the square
 * root), which is an artefact of the floors and no information about the task. */
#define ZERO_GRADIENT_ADJOINT_MAX 1e3f

/* Where the features stand in x: m_s from 0, then p_s, gam_s, rho. */
CELL_FN int features_products(lopt_dims d) { return d.scales; }
CELL_FN int features_magnitudes(lopt_dims d) { return d.scales + (d.grad_products ? d.scales - 1 : 0); }
CELL_FN int features_rate(lopt_dims d) { return dims_features(d) - 1; }

/* beta and 1 - beta of each timescale (rule 1) and of the mean squares. 1 - beta is never formed by subtraction: it would lose
 * all digits for slow timescales. 1 - sqrt(b) = (1 - b) / (1 + sqrt(b)). */
typedef struct cell_decays {
    vf input[SCALES_MAX], input_rest[SCALES_MAX]; /* beta_{g,s}, 1 - beta_{g,s} */
    vf scale, scale_rest;                         /* beta_l, 1 - beta_l */
} cell_decays;

/* w.h + c, the readout of one number from a hidden state. */
CELL_FN vf hidden_dot(lopt_dims d, const float *w, const vf *h, vf start) {
    for (int j = 0; j < d.param; j++) start += w[j] * h[j];
    return start;
}

/* Those of a tensor's first step. */
CELL_FN void decays_first(lopt_dims d, cell_decays *out) {
    for (int s = 0; s < d.scales; s++) out->input[s] = vf_set1(0.0f), out->input_rest[s] = vf_set1(1.0f);
    out->scale = vf_set1(0.0f), out->scale_rest = vf_set1(1.0f);
}

/* From the logits times -log2 e. first_step: from DECAYS_FIRST and more, and slower timescales' are not a little off 0, as their roots would be. The
 * reciprocal may be rounded up: a share of more than 1 would make mean squares negative. */
#define DECAYS_FIRST 64.0f
CELL_FN void decays_of_exponents(lopt_dims d, vf scale_exponent, vf input_exponent, int first_step, cell_decays *out) {
    const vf most = vf_set1(125.0f); /* the reciprocal is a normal number even if it is rounded down */
    vf scale_exp = vf_exp2_fast(vf_min(scale_exponent, most));
    out->scale = vf_rcp(1.0f + scale_exp);
    out->scale_rest = vf_min(scale_exp * out->scale, vf_set1(1.0f));
    vf input_exp = vf_exp2_fast(vf_min(input_exponent, most));
    out->input[0] = vf_rcp(1.0f + input_exp);
    out->input_rest[0] = input_exp * out->input[0];
    if (first_step) out->input[0] = vf_set1(0.0f);
    vf product = vf_set1(1.0f); /* of 1 + beta_s, s > 0: one reciprocal serves all */
    for (int s = 1; s < d.scales; s++) {
        out->input[s] = vf_root(out->input[s - 1]);
        product = product * (1.0f + out->input[s]);
    }
    vf rest = out->input_rest[0] * vf_rcp(product);
    for (int s = d.scales - 1; s > 0; s--) {
        out->input_rest[s] = rest;
        rest = rest * (1.0f + out->input[s]);
    }
}

CELL_FN void decays_forward(lopt_dims d, const cell_weights *w, const vf *h, int first_step, cell_decays *out) {
    if (first_step) decays_first(d, out);
    else
        decays_of_exponents(d, hidden_dot(d, w->scale_decay, h, vf_set1(w->scale_decay_bias)) * -VF_LOG2_E,
                            hidden_dot(d, w->input_decay, h, vf_set1(w->input_decay_bias)) * -VF_LOG2_E, 0, out);
}

/* Rules 2 and 3; gbar and lam [S] in and out. (v - rest v) + rest g is one rounding better than beta v + rest g. */
CELL_FN void averages_forward(lopt_dims d, const cell_decays *k, vf g, vf *gbar, vf *lam) {
    for (int s = 0; s < d.scales; s++) {
        vf rest = d.scales == 1 ? vf_set1(1.0f) : k->input_rest[s];
        gbar[s] = vf_fnma(rest, gbar[s], gbar[s]) + rest * g;
        lam[s] = vf_fnma(k->scale_rest, lam[s], lam[s]) + k->scale_rest * (gbar[s] * gbar[s] + MEAN_SQUARE_FLOOR);
    }
}

/* Rules 4-8: x [X] from the new averages. rho: alpha - mean(alpha). */
CELL_FN void features_forward(lopt_dims d, const vf *gbar, const vf *lam, vf rho, vf *x) {
    vf *gam = x + features_magnitudes(d);
    vf sum = vf_set1(0.0f);
    for (int s = 0; s < d.scales; s++) {
        vf square = lam[s] + SCALE_FLOOR;
        x[s] = vf_asinh(gbar[s] * vf_rsqrt(square));
        gam[s] = vf_log(square);
        sum = s > 0 ? sum + gam[s] : gam[s];
    }
    for (int s = 0; s < d.scales; s++) gam[s] = vf_fnma(vf_set1(1.0f / (float)d.scales), sum, gam[s]);
    if (d.grad_products)
        for (int s = 0; s + 1 < d.scales; s++) x[features_products(d) + s] = x[s] * x[s + 1];
    if (d.relative_lr) x[features_rate(d)] = rho;
}

/* Adjoint of features_forward. x_adj [X] is consumed; gbar_adj, lam_adj [S] are added to; returns the adjoint of rho. */
CELL_FN vf features_adjoint(lopt_dims d, const vf *gbar, const vf *lam, const vf *x, vf *x_adj, vf *gbar_adj, vf *lam_adj) {
    vf *gam_adj = x_adj + features_magnitudes(d);
    vf mean = vf_set1(0.0f);
    if (d.grad_products)
        for (int s = 0; s + 1 < d.scales; s++) {
            vf p_adj = x_adj[features_products(d) + s];
            x_adj[s] += p_adj * x[s + 1];
            x_adj[s + 1] += p_adj * x[s];
        }
    for (int s = 0; s < d.scales; s++) mean += gam_adj[s];
    mean *= 1.0f / (float)d.scales;
    for (int s = 0; s < d.scales; s++) {
        vf inverse = vf_rsqrt(lam[s] + SCALE_FLOOR);
        vf q = gbar[s] * inverse;
        vf c = vf_min(vf_abs(q), vf_set1(1e15f)); /* its square must not overflow */
        vf q_adj = x_adj[s] * vf_rsqrt(c * c + 1.0f);
        gbar_adj[s] += q_adj * inverse;
        lam_adj[s] += ((gam_adj[s] - mean) - 0.5f * q_adj * q) * inverse * inverse;
    }
    return d.relative_lr ? x_adj[features_rate(d)] : vf_set1(0.0f);
}

/* Adjoint of averages_forward and decays_forward. In: gbar, lam of before the step, gbar_new after it. gbar_adj, lam_adj [S]: in the adjoints
 * after the step, out those before it. h_adj [P] is added to. Returns the adjoint of g. */
CELL_FN vf averages_adjoint(lopt_dims d, const cell_weights *w, const cell_decays *k, const vf *h, vf g, int first_step,
                            const vf *gbar, const vf *lam, const vf *gbar_new, vf *gbar_adj, vf *lam_adj, vf *h_adj,
                            cell_gradient *grad) {
    vf g_adj = vf_set1(0.0f), scale_rest_adj = vf_set1(0.0f), input_logit_adj = vf_set1(0.0f);
    float power = 1.0f; /* 1 / 2^s */
    for (int s = 0; s < d.scales; s++, power *= 0.5f) {
        scale_rest_adj += lam_adj[s] * (gbar_new[s] * gbar_new[s] + MEAN_SQUARE_FLOOR - lam[s]);
        gbar_adj[s] += lam_adj[s] * k->scale_rest * 2.0f * gbar_new[s];
        lam_adj[s] *= k->scale;
        if (d.scales == 1) { /* gbar_0 is g itself */
            g_adj = gbar_adj[0];
            gbar_adj[0] = vf_set1(0.0f);
            break;
        }
        g_adj += gbar_adj[s] * k->input_rest[s];
        /* d beta^(1/2^s) / d logit = beta^(1/2^s) (1 - beta) / 2^s: finite also where d/d beta is not */
        input_logit_adj -= gbar_adj[s] * (g - gbar[s]) * k->input[s] * power;
        gbar_adj[s] *= k->input[s];
    }
    if (first_step) return g_adj;
    input_logit_adj *= k->input_rest[0];
    vf scale_logit_adj = -scale_rest_adj * k->scale_rest * k->scale;
    for (int j = 0; j < d.param; j++) {
        h_adj[j] += scale_logit_adj * w->scale_decay[j] + input_logit_adj * w->input_decay[j];
        grad->scale_decay[j] += scale_logit_adj * h[j];
        grad->input_decay[j] += input_logit_adj * h[j];
    }
    grad->scale_decay[d.param] += scale_logit_adj;
    grad->input_decay[d.param] += input_logit_adj;
    return g_adj;
}

#endif
