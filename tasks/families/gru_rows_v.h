/* gru_rows.h along a direction v of the weights: Pearlmutter's R operator, forward and through the adjoint. What is along v ends in _v. */
#ifndef LOPT_TASKS_FAMILIES_GRU_ROWS_V_H
#define LOPT_TASKS_FAMILIES_GRU_ROWS_V_H

#include "tasks/families/gru_rows.h"

/* r.x .. r.rh as forward left them, a.x along v; all else of a out. */
CELL_FN void gru_rows_forward_v(gru_shape g, gru_weights w, gru_weights v, gru_rows r, gru_rows a) {
    const size_t n = g.hidden * ROW_LANES;
    const row_block cand_v = rows_from(a.gates, 0, 2 * g.hidden);
    gru_clear(a.h, g.hidden);
    row_product(g.steps, gru_gate_x(g, v), r.x, ROW_SET, v.gate_bias, a.gates);
    row_product(g.steps, gru_gate_x(g, w), a.x, ROW_ADD, NULL, a.gates);
    row_product(g.steps, gru_gate_h(g, v), r.h, ROW_ADD, NULL, a.gates);
    row_product(g.steps, gru_cand_x(g, v), r.x, ROW_SET, v.cand_bias, cand_v);
    row_product(g.steps, gru_cand_x(g, w), a.x, ROW_ADD, NULL, cand_v);
    row_product(g.steps, gru_cand_h(g, v), r.rh, ROW_ADD, NULL, cand_v);
    for (size_t t = 0; t < g.steps; t++) {
        const float *gates = rows_from(r.gates, t, 0).at, *h = rows_from(r.h, t, 0).at, *h_v = rows_from(a.h, t, 0).at;
        float *gates_v = rows_from(a.gates, t, 0).at, *rh_v = rows_from(a.rh, t, 0).at, *next_v = rows_from(a.h, t + 1, 0).at;
        row_product(1, gru_gate_h(g, w), rows_from(a.h, t, 0), ROW_ADD, NULL, rows_from(a.gates, t, 0));
        TEAM_FOR_BLOCKS(i, n) {
            const vf reset = vf_load(gates + i), z = vf_load(gates + n + i);
            const vf reset_v = reset * (1.0f - reset) * vf_load(gates_v + i);
            vf_store(gates_v + i, reset_v);
            vf_store(gates_v + n + i, z * (1.0f - z) * vf_load(gates_v + n + i));
            vf_store(rh_v + i, reset_v * vf_load(h + i) + reset * vf_load(h_v + i));
        }
        team_sync();
        row_product(1, gru_cand_h(g, w), rows_from(a.rh, t, 0), ROW_ADD, NULL, rows_from(cand_v, t, 0));
        TEAM_FOR_BLOCKS(i, n) {
            const vf z = vf_load(gates + n + i), c = vf_load(gates + 2 * n + i);
            const vf c_v = (1.0f - c * c) * vf_load(gates_v + 2 * n + i);
            vf_store(gates_v + 2 * n + i, c_v);
            vf_store(next_v + i, c_v + vf_load(gates_v + n + i) * (vf_load(h + i) - c) + z * (vf_load(h_v + i) - c_v));
        }
        team_sync();
    }
}

/* The first half of gru_step_backward and what it is along v: adjoints of z, c and, in part, of h. */
CELL_FN void gru_state_backward_v(gru_shape g, gru_rows r, gru_rows a, size_t t, row_block top, row_block top_v, gru_pull p,
                                  gru_pull q) {
    const size_t n = g.hidden * ROW_LANES;
    const float *gates = rows_from(r.gates, t, 0).at, *gates_v = rows_from(a.gates, t, 0).at;
    const float *h = rows_from(r.h, t, 0).at, *h_v = rows_from(a.h, t, 0).at;
    const float *above = rows_from(top, t, 0).at, *above_v = rows_from(top_v, t, 0).at;
    float *pre = rows_from(p.pre, t, 0).at, *pre_v = rows_from(q.pre, t, 0).at;
    TEAM_FOR_BLOCKS(i, n) {
        const vf z = vf_load(gates + n + i), c = vf_load(gates + 2 * n + i), gap = vf_load(h + i) - c;
        const vf z_v = vf_load(gates_v + n + i), c_v = vf_load(gates_v + 2 * n + i), gap_v = vf_load(h_v + i) - c_v;
        const vf adj = vf_load(p.state.at + i) + vf_load(above + i), adj_v = vf_load(q.state.at + i) + vf_load(above_v + i);
        const vf slope_z = z * (1.0f - z), slope_c = 1.0f - c * c;
        vf_store(pre + n + i, adj * gap * slope_z);
        vf_store(pre_v + n + i, (adj_v * gap + adj * gap_v) * slope_z + adj * gap * (1.0f - 2.0f * z) * z_v);
        vf_store(pre + 2 * n + i, adj * (1.0f - z) * slope_c);
        vf_store(pre_v + 2 * n + i, (adj_v * (1.0f - z) - adj * z_v) * slope_c - 2.0f * adj * (1.0f - z) * c * c_v);
        vf_store(p.state.at + i, adj * z);
        vf_store(q.state.at + i, adj_v * z + adj * z_v);
    }
    team_sync();
}

/* gru_step_backward along v; p as there, q along v. */
CELL_FN void gru_step_backward_v(gru_shape g, gru_weights w, gru_weights v, gru_rows r, gru_rows a, size_t t, row_block top,
                                 row_block top_v, gru_pull p, gru_pull q) {
    const size_t n = g.hidden * ROW_LANES;
    const float *gates = rows_from(r.gates, t, 0).at, *gates_v = rows_from(a.gates, t, 0).at;
    const float *h = rows_from(r.h, t, 0).at, *h_v = rows_from(a.h, t, 0).at;
    const row_block pre = rows_from(p.pre, t, 0), pre_v = rows_from(q.pre, t, 0);
    const row_block pre_c = rows_from(p.pre, t, 2 * g.hidden), pre_c_v = rows_from(q.pre, t, 2 * g.hidden);
    gru_state_backward_v(g, r, a, t, top, top_v, p, q);
    row_product(1, gru_turned(gru_cand_h(g, w)), pre_c, ROW_SET, NULL, p.rh);
    row_product(1, gru_turned(gru_cand_h(g, v)), pre_c, ROW_SET, NULL, q.rh);
    row_product(1, gru_turned(gru_cand_h(g, w)), pre_c_v, ROW_ADD, NULL, q.rh);
    TEAM_FOR_BLOCKS(i, n) {
        const vf reset = vf_load(gates + i), rh = vf_load(p.rh.at + i), h_i = vf_load(h + i);
        const vf reset_v = vf_load(gates_v + i), rh_v = vf_load(q.rh.at + i), slope = reset * (1.0f - reset);
        vf_store(pre.at + i, rh * h_i * slope);
        vf_store(pre_v.at + i, (rh_v * h_i + rh * vf_load(h_v + i)) * slope + rh * h_i * (1.0f - 2.0f * reset) * reset_v);
        vf_store(p.state.at + i, vf_load(p.state.at + i) + rh * reset);
        vf_store(q.state.at + i, vf_load(q.state.at + i) + rh_v * reset + rh * reset_v);
    }
    team_sync();
    row_product(1, gru_turned(gru_gate_h(g, w)), pre, ROW_ADD, NULL, p.state);
    row_product(1, gru_turned(gru_gate_h(g, v)), pre, ROW_ADD, NULL, q.state);
    row_product(1, gru_turned(gru_gate_h(g, w)), pre_v, ROW_ADD, NULL, q.state);
}

/* grad_v is added to; x_adj_v out. */
CELL_FN void gru_rows_backward_v(gru_shape g, gru_weights w, gru_weights v, gru_rows r, gru_rows a, row_block top, row_block top_v,
                                 gru_pull p, gru_pull q, gru_gradient grad_v, row_block x_adj_v) {
    gru_clear(p.state, g.hidden);
    gru_clear(q.state, g.hidden);
    for (size_t t = g.steps; t-- > 0;) gru_step_backward_v(g, w, v, r, a, t, top, top_v, p, q);
    gru_weight_gradient(g, r, q.pre, 1, grad_v);
    gru_weight_gradient(g, a, p.pre, 0, grad_v);
    gru_input_pull(g, w, q.pre, ROW_SET, x_adj_v);
    gru_input_pull(g, v, p.pre, ROW_ADD, x_adj_v);
}

#endif
