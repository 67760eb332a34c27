/* Rule 8 of a step: the parameter RNN, a gated recurrent unit (Cho et al. 2014) whose biases come from the levels above; forward
 * and adjoint, one parameter per lane. */
#ifndef LOPT_CELL_GRU_H
#define LOPT_CELL_GRU_H

#include "kernels/cell/weights_view.h"

enum { GRU_TILE = 10 }; /* outputs at a time: the default P, and enough independent sums to hide the latency */

/* out[o] += sum_k in[k] w[k * columns + o] for `count` (constant) outputs, whose sums stay in registers. */
CELL_FN void gru_tile(int count, int n, int columns, const float *w, const vf *in, vf *out) {
    vf sum[GRU_TILE];
    CELL_UNROLL
    for (int o = 0; o < count; o++) sum[o] = out[o];
    CELL_UNROLL_DEVICE
    for (int k = 0; k < n; k++) {
        const vf x = in[k];
        CELL_UNROLL
        for (int o = 0; o < count; o++) sum[o] += w[k * columns + o] * x;
    }
    CELL_UNROLL
    for (int o = 0; o < count; o++) out[o] = sum[o];
}

/* A whole tile, on CPUs a function of its own: inlined, GCC keeps other values in registers through the loop and sends sums to memory
 * and back in every round (21 M parameters/s with AVX2 instead of 27, 40 with AVX-512 instead of 52). */
#if VF_LANES > 1
static __attribute__((noinline, unused)) void gru_whole_tile(int n, int columns, const float *w, const vf *in, vf *out) {
    gru_tile(GRU_TILE, n, columns, w, in, out);
}
#else
CELL_FN void gru_whole_tile(int n, int columns, const float *w, const vf *in, vf *out) {
    gru_tile(GRU_TILE, n, columns, w, in, out);
}
#endif

/* out[o] += sum_k in[k] w[k * columns + o], o < P. */
CELL_FN void gru_accumulate(int n, int P, int columns, const float *w, const vf *in, vf *out) {
    int o = 0;
    for (; o + GRU_TILE <= P; o += GRU_TILE) gru_whole_tile(n, columns, w + o, in, out + o);
    for (; o < P; o++) gru_tile(1, n, columns, w + o, in, out + o);
}

/* The new state from candidate, update gate and old state. */
CELL_FN vf gru_blend(vf c, vf z, vf h) { return c + z * (h - c); }

/* gates [3P] out: r, z, c. h [P] in and out. bias [3P]: r, z, c parts. */
CELL_FN void gru_forward(lopt_dims d, const cell_weights *w, const float *bias, const vf *x, vf *h, vf *gates) {
    const int P = d.param, X = dims_features(d);
    vf *r = gates, *z = gates + P, *c = gates + 2 * P;
    vf rh[PARAM_SIZE_MAX];
    for (int o = 0; o < P; o++) r[o] = vf_set1(bias[o]);
    gru_accumulate(X, P, 2 * P, w->gate, x, r);
    gru_accumulate(P, P, 2 * P, w->gate + X * 2 * P, h, r);
    CELL_UNROLL
    for (int o = 0; o < P; o++) {
        r[o] = vf_sigmoid(r[o]);
        rh[o] = r[o] * h[o];
    }
    for (int o = 0; o < P; o++) c[o] = vf_set1(bias[2 * P + o]);
    gru_accumulate(X, P, P, w->candidate, x, c);
    gru_accumulate(P, P, P, w->candidate + X * P, rh, c);
    for (int o = 0; o < P; o++) z[o] = vf_set1(bias[P + o]);
    gru_accumulate(X, P, 2 * P, w->gate + P, x, z);
    gru_accumulate(P, P, 2 * P, w->gate + X * 2 * P + P, h, z);
    CELL_UNROLL
    for (int o = 0; o < P; o++) {
        c[o] = vf_tanh(c[o]);
        z[o] = vf_sigmoid(z[o]);
        h[o] = gru_blend(c[o], z[o], h[o]);
    }
}

/* sum_o w[o] pre[o]: how one input feels the pre-activations of one gate. */
CELL_FN vf gru_pull(int P, const float *w, const vf *pre) {
    vf sum = vf_set1(0.0f);
    for (int o = 0; o < P; o++) sum += w[o] * pre[o];
    return sum;
}

/* Gradient of a block of kernel rows: grad[k * columns + o] += in[k] pre[o]. */
CELL_FN void gru_outer(int n, int P, int columns, const vf *in, const vf *pre, vf *grad) {
    for (int k = 0; k < n; k++)
        for (int o = 0; o < P; o++) grad[k * columns + o] += in[k] * pre[o];
}

/* Adjoint. h: state before the step; gates as forward left them; h_adj [P]: in the adjoint of h', out that of h; x_adj [X] is added to;
 * pre [3P] out: adjoints of the pre-activations, which are those of the biases. */
CELL_FN void gru_adjoint(lopt_dims d, const cell_weights *w, const vf *x, const vf *h, const vf *gates, vf *h_adj, vf *x_adj,
                         vf *pre, cell_gradient *grad) {
    const int P = d.param, X = dims_features(d);
    const vf *r = gates, *z = gates + P, *c = gates + 2 * P;
    vf *pre_r = pre, *pre_z = pre + P, *pre_c = pre + 2 * P;
    vf rh[PARAM_SIZE_MAX];
    for (int o = 0; o < P; o++) {
        pre_z[o] = h_adj[o] * (h[o] - c[o]) * z[o] * (1.0f - z[o]);
        pre_c[o] = h_adj[o] * (1.0f - z[o]) * (1.0f - c[o] * c[o]);
        h_adj[o] *= z[o];
        rh[o] = r[o] * h[o];
    }
    for (int k = 0; k < P; k++) {
        vf rh_adj = gru_pull(P, w->candidate + (X + k) * P, pre_c);
        pre_r[k] = rh_adj * h[k] * r[k] * (1.0f - r[k]);
        h_adj[k] += rh_adj * r[k];
    }
    for (int k = 0; k < P; k++) h_adj[k] += gru_pull(2 * P, w->gate + (X + k) * 2 * P, pre);
    for (int k = 0; k < X; k++) x_adj[k] += gru_pull(2 * P, w->gate + k * 2 * P, pre) + gru_pull(P, w->candidate + k * P, pre_c);
    gru_outer(X, 2 * P, 2 * P, x, pre, grad->gate);
    gru_outer(P, 2 * P, 2 * P, h, pre, grad->gate + X * 2 * P);
    gru_outer(X, P, P, x, pre_c, grad->candidate);
    gru_outer(P, P, P, rh, pre_c, grad->candidate + X * P);
}

#endif
