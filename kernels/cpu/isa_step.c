/* Phase 1 and 2 of a step over the parameters of one tensor: loops over blocks of VF_LANES parameters. Compiled per ISA. */
#include "kernels/cell/gru.h"
#include "kernels/cell/handover.h"
#include "kernels/cell/team.h"
#include "kernels/cpu/isa_tables.h"

/* Sums over a chunk, one per lane, added up over the lanes at the end. */
typedef struct lane_sums {
    vf features[PARAM_SIZE_MAX + FEATURES_MAX];
    vf move_square, attend_square, log_lr;
} lane_sums;

CELL_FN void add_block(lopt_dims d, const vf *h, const vf *x, const cell_readout *o, vf mask, lane_sums *sums) {
    for (int j = 0; j < d.param; j++) sums->features[j] += h[j] * mask;
    for (int j = 0; j < dims_features(d); j++) sums->features[d.param + j] += x[j] * mask;
    sums->move_square += (o->direction * o->direction) * mask;
    if (d.attention) sums->attend_square += (o->attention * o->attention) * mask;
    sums->log_lr += o->log_lr * mask;
}

/* One block; in, out [C][lane]. lanes: parameters that exist; mask: 1 for those. */
CELL_FN void forward_block(lopt_dims d, const cell_weights *w, const step_forward_args *a, size_t block, int lanes, vf mask,
                           lane_sums *sums) {
    const int P = d.param, S = d.scales, C = dims_state(d);
    const size_t first = block * VF_LANES;
    const float *in = a->state_in + block * (size_t)(C * VF_LANES);
    float *out = a->state_out + block * (size_t)(C * VF_LANES);
    vf h[PARAM_SIZE_MAX], gates[3 * PARAM_SIZE_MAX], x[FEATURES_MAX], gbar[SCALES_MAX], lam[SCALES_MAX];
    for (int j = 0; j < P; j++) h[j] = vf_load(in + j * VF_LANES);
    for (int s = 0; s < S; s++) gbar[s] = vf_load(in + (P + s) * VF_LANES);
    for (int s = 0; s < S; s++) lam[s] = vf_load(in + (P + S + s) * VF_LANES);
    vf log_lr = vf_min(vf_load(in + (C - 1) * VF_LANES) + vf_set1(a->log_lr_add), vf_set1(a->log_lr_max));
    vf g = lanes == VF_LANES ? vf_load(a->grad + first) : vf_load_first(a->grad + first, lanes);
    cell_decays decays;
    decays_forward(d, w, h, a->first_step, &decays);
    const vf lam_before = vf_load(in + (P + S) * VF_LANES);
    averages_forward(d, &decays, g, gbar, lam);
    for (int s = 0; s < S; s++) vf_store(out + (P + s) * VF_LANES, gbar[s]);
    for (int s = 0; s < S; s++) vf_store(out + (P + S + s) * VF_LANES, lam[s]);
    features_forward(d, gbar, lam, log_lr - a->mean_log_lr, x);
    gru_forward(d, w, a->bias, x, h, gates);
    if (a->gates)
        for (int j = 0; j < 3 * P; j++) vf_store(a->gates + (block * (size_t)(3 * P) + (size_t)j) * VF_LANES, gates[j]);
    cell_readout o = readout_forward(d, w, h, x, log_lr);
    if (a->handed_over > 0.0f)
        handover_blend(w, a->handed_over, handover_direction(gbar[handover_scale(d)], lam_before), log_lr, &o);
    for (int j = 0; j < P; j++) vf_store(out + j * VF_LANES, h[j]);
    vf_store(out + (C - 1) * VF_LANES, o.log_lr);
    add_block(d, h, x, &o, mask, sums);
    if (lanes == VF_LANES) {
        vf_store(a->move + first, o.move);
        if (d.attention) vf_store(a->attend + first, o.attend);
    } else {
        vf_store_first(a->move + first, o.move, lanes);
        if (d.attention) vf_store_first(a->attend + first, o.attend, lanes);
    }
}

CELL_FN void forward_run(lopt_dims d, const cell_weights *w, const step_forward_args *a) {
    const int F = d.param + dims_features(d);
    const size_t full = a->n / VF_LANES;
    lane_sums sums;
    for (int j = 0; j < F; j++) sums.features[j] = vf_set1(0.0f);
    sums.move_square = sums.attend_square = sums.log_lr = vf_set1(0.0f);
    for (size_t block = 0; block < full; block++) forward_block(d, w, a, block, VF_LANES, vf_set1(1.0f), &sums);
    if (a->n % VF_LANES) {
        int rest = (int)(a->n % VF_LANES);
        forward_block(d, w, a, full, rest, vf_first_lanes(rest), &sums);
    }
    for (int j = 0; j < F; j++) a->sums->features[j] = (double)vf_sum(sums.features[j]);
    a->sums->move_square = (double)vf_sum(sums.move_square);
    a->sums->attend_square = (double)vf_sum(sums.attend_square);
    a->sums->log_lr = (double)vf_sum(sums.log_lr);
}

void ISA_SYMBOL(kernel_step_forward)(const prepared_weights *w, const step_forward_args *a) {
    WITH_CELL_DIMS(w->layout.dims, forward_run, &w->cell, a);
}

void ISA_SYMBOL(kernel_step_apply)(const step_apply_args *a) {
    const readout_rates r = readout_rates_of(a->lr_scale, a->weight_decay, a->inverse_rms_move, a->inverse_rms_attend);
    for (size_t i = 0; i < a->n; i += VF_LANES) {
        vf theta = block_load(a->theta, i, a->n);
        if (a->attend) block_store(a->phi, i, a->n, readout_phi(r, theta, block_load(a->attend, i, a->n)));
        block_store(a->theta, i, a->n, readout_theta(r, theta, block_load(a->move, i, a->n)));
    }
}

double ISA_SYMBOL(kernel_sum_log_lr)(lopt_dims dims, const float *state, size_t n) {
    const size_t C = (size_t)dims_state(dims);
    vf sum = vf_set1(0.0f);
    for (size_t i = 0; i < n; i += VF_LANES)
        sum += vf_load(state + (i / VF_LANES * C + C - 1) * VF_LANES) * vf_first_lanes(block_lanes(i, n));
    return (double)vf_sum(sum);
}

int ISA_SYMBOL(kernel_all_finite)(const float *grad, size_t n) {
    vf worst = vf_set1(0.0f);
    for (size_t i = 0; i < n; i += VF_LANES) {
        vf size = vf_abs(block_load(grad, i, n));
        worst = vf_select(size <= vf_set1(GRADIENT_MAX), worst, vf_set1(1.0f)); /* false for NaN too */
    }
    return vf_sum(worst) == 0.0f;
}

double ISA_SYMBOL(kernel_dot)(const float *a, const float *b, size_t n) {
    vf sum = vf_set1(0.0f);
    for (size_t i = 0; i < n; i += VF_LANES) sum += block_load(a, i, n) * block_load(b, i, n);
    return (double)vf_sum(sum);
}

/* Twelve independent chains: more than latency (4-5 cycles) times units (2). */
double ISA_SYMBOL(kernel_fma_probe)(long rounds) {
    vf chain[12];
    const vf factor = vf_set1(0.999f), term = vf_set1(0.001f);
    for (int i = 0; i < 12; i++) chain[i] = vf_set1((float)i);
    for (long r = 0; r < rounds; r++)
        for (int i = 0; i < 12; i++) chain[i] = chain[i] * factor + term;
    vf sum = chain[0];
    for (int i = 1; i < 12; i++) sum += chain[i];
    volatile float keep = vf_sum(sum); /* so that the loop is not removed */
    (void)keep;
    return 12.0 * VF_LANES * (double)rounds;
}
