/* Adjoint of phase 1 and 2 of a step over the parameters of one tensor. Compiled per ISA. */
#include "kernels/cell/gru.h"
#include "kernels/cell/readout.h"
#include "kernels/cell/team.h"
#include "kernels/cpu/gradient_sums.h"
#include "kernels/cpu/isa_tables.h"

/* One block on its way back. */
typedef struct block_adjoint {
    vf h[PARAM_SIZE_MAX], gbar[SCALES_MAX], lam[SCALES_MAX], log_lr, x[FEATURES_MAX];
} block_adjoint;

CELL_FN void load_state(lopt_dims d, const float *from, vf *h, vf *gbar, vf *lam, vf *log_lr) {
    const int P = d.param, S = d.scales;
    for (int j = 0; j < P; j++) h[j] = vf_load(from + j * VF_LANES);
    for (int s = 0; s < S; s++) gbar[s] = vf_load(from + (P + s) * VF_LANES);
    for (int s = 0; s < S; s++) lam[s] = vf_load(from + (P + S + s) * VF_LANES);
    *log_lr = vf_load(from + (P + 2 * S) * VF_LANES);
}

/* Lanes that do not exist take part in nothing: their adjoints are zero. */
CELL_FN void store_adjoint(lopt_dims d, const block_adjoint *j, float *to) {
    const int P = d.param, S = d.scales;
    for (int k = 0; k < P; k++) vf_store(to + k * VF_LANES, j->h[k]);
    for (int s = 0; s < S; s++) vf_store(to + (P + s) * VF_LANES, j->gbar[s]);
    for (int s = 0; s < S; s++) vf_store(to + (P + S + s) * VF_LANES, j->lam[s]);
    vf_store(to + (P + 2 * S) * VF_LANES, j->log_lr);
}

/* Adjoint of a gradient that is exactly zero is bounded (features.h). Returns how many were. */
CELL_FN vf bound_zero_gradients(vf g, vf adj, size_t *bounded) {
    const vf limit = vf_set1(ZERO_GRADIENT_ADJOINT_MAX);
    vf held = vf_max(vf_min(adj, limit), -limit);
    vf zero = vf_select(vf_abs(g) > vf_set1(0.0f), vf_set1(0.0f), vf_set1(1.0f));
    vf beyond = vf_select(vf_abs(adj) > limit, zero, vf_set1(0.0f));
    float count = vf_sum(beyond);
    if (count > 0.0f) *bounded += (size_t)count;
    return vf_select(vf_abs(g) > vf_set1(0.0f), adj, held);
}

CELL_FN readout_pull block_pull(lopt_dims d, const step_backward_args *a, size_t first) {
    readout_pull p;
    p.theta_adj = block_load(a->theta_adj, first, a->n);
    p.phi_adj = d.attention ? block_load(a->phi_adj, first, a->n) : vf_set1(0.0f);
    p.inverse_rms_move = a->inverse_rms_move;
    p.inverse_rms_attend = a->inverse_rms_attend;
    p.rms_move_pull = a->rms_move_pull;
    p.rms_attend_pull = a->rms_attend_pull;
    return p;
}

/* pre_sum [3P]: the block's adjoints of the pre-activations are added. Returns the adjoint of rho. */
CELL_FN vf backward_block(lopt_dims d, const cell_weights *w, const step_backward_args *a, size_t block, vf mask,
                          cell_gradient *grad, vf *pre_sum) {
    const int P = d.param, X = dims_features(d), C = dims_state(d);
    const size_t first = block * VF_LANES, at = block * (size_t)(C * VF_LANES);
    vf h[PARAM_SIZE_MAX], gbar[SCALES_MAX], lam[SCALES_MAX], log_lr, h_new[PARAM_SIZE_MAX], gbar_new[SCALES_MAX];
    vf lam_new[SCALES_MAX], log_lr_new, x[FEATURES_MAX], gates[3 * PARAM_SIZE_MAX], pre[3 * PARAM_SIZE_MAX];
    block_adjoint j;
    load_state(d, a->state_in + at, h, gbar, lam, &log_lr);
    load_state(d, a->state_out + at, h_new, gbar_new, lam_new, &log_lr_new);
    load_state(d, a->state_adj + at, j.h, j.gbar, j.lam, &j.log_lr);
    for (int k = 0; k < 3 * P; k++) gates[k] = vf_load(a->gates + (block * (size_t)(3 * P) + (size_t)k) * VF_LANES);
    const vf g = block_load(a->grad, first, a->n);
    for (int k = 0; k < P; k++) j.h[k] += a->features_adj[k] * mask;
    for (int k = 0; k < X; k++) j.x[k] = a->features_adj[P + k] * mask;
    j.log_lr += a->mean_log_lr_adj * mask;
    features_forward(d, gbar_new, lam_new, log_lr - a->mean_log_lr, x);
    cell_readout o = readout_forward(d, w, h_new, x, log_lr);
    o.direction *= mask, o.attention *= mask; /* through the RMS they would feel the lanes that exist */
    readout_pull p = block_pull(d, a, first);
    readout_adjoint(d, w, &o, &p, h_new, x, log_lr, &j.log_lr, j.h, j.x, grad);
    gru_adjoint(d, w, x, h, gates, j.h, j.x, pre, grad);
    for (int k = 0; k < 3 * P; k++) pre_sum[k] += pre[k];
    vf rho_adj = features_adjoint(d, gbar_new, lam_new, x, j.x, j.gbar, j.lam);
    j.log_lr += rho_adj;
    cell_decays decays;
    decays_forward(d, w, h, a->first_step, &decays);
    vf g_adj = averages_adjoint(d, w, &decays, h, g, a->first_step, gbar, lam, gbar_new, j.gbar, j.lam, j.h, grad);
    block_store(a->grad_adj, first, a->n, bound_zero_gradients(g, g_adj, a->bounded));
    store_adjoint(d, &j, a->state_adj + at);
    return rho_adj;
}

CELL_FN void backward_run(lopt_dims d, const cell_weights *w, const step_backward_args *a) {
    const int P = d.param;
    cell_gradient grad = gradient_sums_cell(a->sums);
    vf pre_sum[3 * PARAM_SIZE_MAX], rho_adj = vf_set1(0.0f);
    for (int k = 0; k < 3 * P; k++) pre_sum[k] = vf_set1(0.0f);
    const size_t full = a->n / VF_LANES;
    for (size_t block = 0; block < full; block++) rho_adj += backward_block(d, w, a, block, vf_set1(1.0f), &grad, pre_sum);
    if (a->n % VF_LANES) rho_adj += backward_block(d, w, a, full, vf_first_lanes((int)(a->n % VF_LANES)), &grad, pre_sum);
    for (int k = 0; k < 3 * P; k++) a->bias_adj[k] = vf_sum(pre_sum[k]);
    *a->rho_adj += (double)vf_sum(rho_adj);
}

void ISA_SYMBOL(kernel_step_backward)(const prepared_weights *w, const step_backward_args *a) {
    WITH_CELL_DIMS(w->layout.dims, backward_run, &w->cell, a);
}
