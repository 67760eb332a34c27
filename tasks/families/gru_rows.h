/* A layer of gated recurrent units (Cho et al. 2014) over a sequence, in the form of kernels/cell/gru.h: with [x, h] the input beside the
 * state, r = sigma([x, h] W_gate + b_gate), z likewise, c = tanh([x, r*h] W_cand + b_cand), h' = z*h + (1 - z)*c; h is 0 at first.
 * Forward and adjoint; gru_rows_v.h has both along a direction.
 *
 * All inputs' products are taken at once, before the loop over steps; so are the gradients of the weights after it. */
#ifndef LOPT_TASKS_FAMILIES_GRU_ROWS_H
#define LOPT_TASKS_FAMILIES_GRU_ROWS_H

#include <string.h>

#include "tasks/families/row_products.h"

/* Sizes, and where the tensors begin: gate kernel [in + hidden, 2 hidden], its bias, candidate kernel [in + hidden, hidden], its bias. */
typedef struct gru_shape {
    size_t steps, in, hidden;
} gru_shape;
typedef struct gru_weights {
    const float *gate, *gate_bias, *cand, *cand_bias;
} gru_weights;
typedef struct gru_gradient {
    float *gate, *gate_bias, *cand, *cand_bias;
} gru_gradient;

CELL_FN gru_weights gru_weights_at(gru_shape g, const float *params) {
    const size_t gate = (g.in + g.hidden) * 2 * g.hidden, cand = gate + 2 * g.hidden;
    return (gru_weights){params, params + gate, params + cand, params + cand + (g.in + g.hidden) * g.hidden};
}
CELL_FN gru_gradient gru_gradient_at(gru_shape g, float *grad) {
    const size_t gate = (g.in + g.hidden) * 2 * g.hidden, cand = gate + 2 * g.hidden;
    return (gru_gradient){grad, grad + gate, grad + cand, grad + cand + (g.in + g.hidden) * g.hidden};
}

/* Over the steps; or what they are along v. */
typedef struct gru_rows {
    row_block x, h;  /* h: steps + 1, the state before each step and the last */
    row_block gates; /* 3 hidden: r, z, c */
    row_block rh;    /* r * h */
} gru_rows;
/* Adjoints. */
typedef struct gru_pull {
    row_block pre;   /* 3 hidden: of what goes into sigma, sigma, tanh */
    row_block state; /* 1 step: of h, while the loop goes back */
    row_block rh;    /* 1 step */
} gru_pull;

CELL_FN size_t gru_rows_floats(gru_shape g) {
    return rows_floats(g.steps, g.in) + rows_floats(2 * g.steps + 1, g.hidden) + rows_floats(g.steps, 3 * g.hidden);
}
CELL_FN gru_rows gru_rows_take(gru_shape g, float **workspace) {
    gru_rows r;
    r.x = rows_take(workspace, g.steps, g.in);
    r.h = rows_take(workspace, g.steps + 1, g.hidden);
    r.gates = rows_take(workspace, g.steps, 3 * g.hidden);
    r.rh = rows_take(workspace, g.steps, g.hidden);
    return r;
}
CELL_FN size_t gru_pull_floats(gru_shape g) { return rows_floats(g.steps, 3 * g.hidden) + 2 * rows_floats(1, g.hidden); }
CELL_FN gru_pull gru_pull_take(gru_shape g, float **workspace) {
    gru_pull p;
    p.pre = rows_take(workspace, g.steps, 3 * g.hidden);
    p.state = rows_take(workspace, 1, g.hidden);
    p.rh = rows_take(workspace, 1, g.hidden);
    return p;
}

CELL_FN void gru_clear(row_block r, size_t units) {
    TEAM_FOR_BLOCKS(i, units * ROW_LANES) vf_store(r.at + i, vf_set1(0.0f));
    team_sync();
}

/* The four blocks of the two kernels: what x and what the state (or r * h) goes through. */
CELL_FN row_matrix gru_gate_x(gru_shape g, gru_weights w) { return row_weights(g.in, 2 * g.hidden, 2 * g.hidden, w.gate); }
CELL_FN row_matrix gru_gate_h(gru_shape g, gru_weights w) {
    return row_weights(g.hidden, 2 * g.hidden, 2 * g.hidden, w.gate + g.in * 2 * g.hidden);
}
CELL_FN row_matrix gru_cand_x(gru_shape g, gru_weights w) { return row_weights(g.in, g.hidden, g.hidden, w.cand); }
CELL_FN row_matrix gru_cand_h(gru_shape g, gru_weights w) {
    return row_weights(g.hidden, g.hidden, g.hidden, w.cand + g.in * g.hidden);
}
CELL_FN row_matrix gru_turned(row_matrix m) { return (row_matrix){m.out, m.in, m.out_stride, m.in_stride, m.w}; }

/* From r.x to everything else. */
CELL_FN void gru_rows_forward(gru_shape g, gru_weights w, gru_rows r) {
    const size_t n = g.hidden * ROW_LANES;
    gru_clear(r.h, g.hidden);
    row_product(g.steps, gru_gate_x(g, w), r.x, ROW_SET, w.gate_bias, r.gates);
    row_product(g.steps, gru_cand_x(g, w), r.x, ROW_SET, w.cand_bias, rows_from(r.gates, 0, 2 * g.hidden));
    for (size_t t = 0; t < g.steps; t++) {
        const row_block gates = rows_from(r.gates, t, 0), cand = rows_from(r.gates, t, 2 * g.hidden), rh = rows_from(r.rh, t, 0);
        const float *h = rows_from(r.h, t, 0).at;
        float *next = rows_from(r.h, t + 1, 0).at;
        row_product(1, gru_gate_h(g, w), rows_from(r.h, t, 0), ROW_ADD, NULL, gates);
        TEAM_FOR_BLOCKS(i, n) {
            const vf reset = vf_sigmoid(vf_load(gates.at + i));
            vf_store(gates.at + i, reset);
            vf_store(gates.at + n + i, vf_sigmoid(vf_load(gates.at + n + i)));
            vf_store(rh.at + i, reset * vf_load(h + i));
        }
        team_sync();
        row_product(1, gru_cand_h(g, w), rh, ROW_ADD, NULL, cand);
        TEAM_FOR_BLOCKS(i, n) {
            const vf c = vf_tanh(vf_load(cand.at + i));
            vf_store(cand.at + i, c);
            vf_store(next + i, c + vf_load(gates.at + n + i) * (vf_load(h + i) - c));
        }
        team_sync();
    }
}

/* Adjoints of step t: p.state in that of h', out that of h; top: what reaches h' from above. */
CELL_FN void gru_step_backward(gru_shape g, gru_weights w, gru_rows r, size_t t, row_block top, gru_pull p) {
    const size_t n = g.hidden * ROW_LANES;
    const float *gates = rows_from(r.gates, t, 0).at, *h = rows_from(r.h, t, 0).at, *from_above = rows_from(top, t, 0).at;
    const row_block pre = rows_from(p.pre, t, 0), pre_c = rows_from(p.pre, t, 2 * g.hidden);
    TEAM_FOR_BLOCKS(i, n) {
        const vf z = vf_load(gates + n + i), c = vf_load(gates + 2 * n + i);
        const vf adj = vf_load(p.state.at + i) + vf_load(from_above + i);
        vf_store(pre.at + n + i, adj * (vf_load(h + i) - c) * z * (1.0f - z));
        vf_store(pre_c.at + i, adj * (1.0f - z) * (1.0f - c * c));
        vf_store(p.state.at + i, adj * z);
    }
    team_sync();
    row_product(1, gru_turned(gru_cand_h(g, w)), pre_c, ROW_SET, NULL, p.rh);
    TEAM_FOR_BLOCKS(i, n) {
        const vf reset = vf_load(gates + i), rh = vf_load(p.rh.at + i);
        vf_store(pre.at + i, rh * vf_load(h + i) * reset * (1.0f - reset));
        vf_store(p.state.at + i, vf_load(p.state.at + i) + rh * reset);
    }
    team_sync();
    row_product(1, gru_turned(gru_gate_h(g, w)), pre, ROW_ADD, NULL, p.state);
}

/* The gradient of the weights from activations and adjoints of all steps: one factor may be along v. Biases unless NULL. */
CELL_FN void gru_weight_gradient(gru_shape g, gru_rows r, row_block pre, int with_bias, gru_gradient grad) {
    const size_t H = g.hidden;
    const row_block pre_c = rows_from(pre, 0, 2 * H);
    row_outer(g.steps, g.in, 2 * H, r.x, pre, 2 * H, grad.gate);
    row_outer(g.steps, H, 2 * H, r.h, pre, 2 * H, grad.gate + g.in * 2 * H);
    row_outer(g.steps, g.in, H, r.x, pre_c, H, grad.cand);
    row_outer(g.steps, H, H, r.rh, pre_c, H, grad.cand + g.in * H);
    if (!with_bias) return;
    row_sums(g.steps, 2 * H, pre, grad.gate_bias);
    row_sums(g.steps, H, pre_c, grad.cand_bias);
}
/* x_adj begins as the row_begin says. */
CELL_FN void gru_input_pull(gru_shape g, gru_weights w, row_block pre, row_begin begin, row_block x_adj) {
    row_product(g.steps, gru_turned(gru_gate_x(g, w)), pre, begin, NULL, x_adj);
    row_product(g.steps, gru_turned(gru_cand_x(g, w)), rows_from(pre, 0, 2 * g.hidden), ROW_ADD, NULL, x_adj);
}

/* top: adjoints of h' from above; grad is added to; x_adj out. */
CELL_FN void gru_rows_backward(gru_shape g, gru_weights w, gru_rows r, row_block top, gru_pull p, gru_gradient grad,
                               row_block x_adj) {
    gru_clear(p.state, g.hidden);
    for (size_t t = g.steps; t-- > 0;) gru_step_backward(g, w, r, t, top, p);
    gru_weight_gradient(g, r, p.pre, 1, grad);
    gru_input_pull(g, w, p.pre, ROW_SET, x_adj);
}

#endif
