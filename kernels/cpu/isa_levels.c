/* The tensor RNN and the global RNN (rules 13 and 14), and the biases that the levels send down; forward and adjoint. Per ISA. */
#include <string.h>

#include "kernels/cell/dense_gru.h"
#include "kernels/cpu/gradient_sums.h"
#include "kernels/cpu/isa_tables.h"

enum {
    INPUTS_MAX = DENSE_INPUTS_MAX,
    GATES_MAX = DENSE_GATES_MAX,
    BIAS_MAX = 3 * TENSOR_SIZE_MAX + 64
}; /* whole vectors and more than any level needs */

CELL_FN dense_gru gru_level(const prepared_weights *w, dense_id gate, int inputs, int size) {
    dense_gru g;
    g.gate = &w->dense[gate];
    g.candidate = &w->dense[gate + 1];
    g.inputs = inputs;
    g.size = size;
    return g;
}
CELL_FN dense_gru tensor_level(const prepared_weights *w) {
    const lopt_dims d = w->layout.dims;
    return gru_level(w, DENSE_TENSOR_GATE, d.param + dims_features(d), d.tensor);
}
CELL_FN dense_gru global_level(const prepared_weights *w) {
    return gru_level(w, DENSE_GLOBAL_GATE, w->layout.dims.tensor, w->layout.dims.global);
}

CELL_FN void dense_gru_backward(dense_gru g, const gru_backward_args *a, float *gate_grad, float *candidate_grad,
                                float *bias_grad) {
    const int n = g.inputs, size = g.size;
    const float *r = a->tape.gates, *z = r + size, *c = r + g.gate->ld, *u = a->tape.input + n;
    float pre[GATES_MAX], pre_c[GATES_MAX], input[INPUTS_MAX], gate_adj[INPUTS_MAX], candidate_adj[INPUTS_MAX];
    memset(pre, 0, (size_t)g.gate->ld * sizeof(float));
    memset(pre_c, 0, (size_t)g.candidate->ld * sizeof(float));
    memset(gate_adj, 0, (size_t)g.gate->ld_transposed * sizeof(float));
    memset(candidate_adj, 0, (size_t)g.candidate->ld_transposed * sizeof(float));
    memcpy(input, a->tape.input, (size_t)n * sizeof(float));
    for (int j = 0; j < size; j++) {
        float adj = a->state_adj[j];
        input[n + j] = r[j] * u[j];
        pre_c[j] = adj * (1.0f - z[j]) * (1.0f - c[j] * c[j]);
        pre[size + j] = adj * (u[j] - c[j]) * z[j] * (1.0f - z[j]);
        a->state_adj[j] = adj * z[j];
    }
    dense_pull(g.candidate, pre_c, candidate_adj);
    dense_outer(g.candidate, input, pre_c, candidate_grad);
    for (int j = 0; j < size; j++) {
        pre[j] = candidate_adj[n + j] * u[j] * r[j] * (1.0f - r[j]);
        a->state_adj[j] += candidate_adj[n + j] * r[j];
    }
    dense_pull(g.gate, pre, gate_adj);
    dense_outer(g.gate, a->tape.input, pre, gate_grad);
    for (int j = 0; j < n; j++) a->input_adj[j] = gate_adj[j] + candidate_adj[j];
    for (int j = 0; j < size; j++) a->state_adj[j] += gate_adj[n + j];
    for (int j = 0; j < 3 * size; j++) {
        a->bias_adj[j] = j < 2 * size ? pre[j] : pre_c[j - 2 * size];
        bias_grad[j] += a->bias_adj[j];
    }
}

void ISA_SYMBOL(kernel_tensor_rnn)(const prepared_weights *w, const float *mean, const float *u_in, const float *bias_tensor,
                                   float *u_out, const gru_tape *tape) {
    dense_gru_scratch scratch;
    dense_gru_forward(tensor_level(w), mean, u_in, bias_tensor, u_out, tape, &scratch);
}

void ISA_SYMBOL(kernel_global_rnn)(const prepared_weights *w, const float *mean, const float *v_in, float *v_out,
                                   const gru_tape *tape) {
    dense_gru_scratch scratch;
    dense_gru_forward(global_level(w), mean, v_in, w->global_bias, v_out, tape, &scratch);
}

void ISA_SYMBOL(kernel_tensor_rnn_backward)(const prepared_weights *w, const gru_backward_args *a) {
    gradient_sums *s = a->sums;
    dense_gru_backward(tensor_level(w), a, s->dense + w->dense_offset[DENSE_TENSOR_GATE],
                       s->dense + w->dense_offset[DENSE_TENSOR_CANDIDATE], s->tensor_bias);
}

void ISA_SYMBOL(kernel_global_rnn_backward)(const prepared_weights *w, const gru_backward_args *a) {
    gradient_sums *s = a->sums;
    dense_gru_backward(global_level(w), a, s->dense + w->dense_offset[DENSE_GLOBAL_GATE],
                       s->dense + w->dense_offset[DENSE_GLOBAL_CANDIDATE], s->global_bias);
}

void ISA_SYMBOL(kernel_biases)(const prepared_weights *w, const float *u, const float *v, float *bias_param, float *bias_tensor) {
    const lopt_dims d = w->layout.dims;
    float sum[BIAS_MAX];
    dense_bias(w->param_bias, &w->dense[DENSE_TENSOR_TO_PARAM], u, &w->dense[DENSE_GLOBAL_TO_PARAM], v, sum);
    memcpy(bias_param, sum, (size_t)(3 * d.param) * sizeof(float));
    dense_bias(w->tensor_bias, &w->dense[DENSE_GLOBAL_TO_TENSOR], v, NULL, NULL, sum);
    memcpy(bias_tensor, sum, (size_t)(3 * d.tensor) * sizeof(float));
}

/* in_adj [rows] += W adj; the weights' gradient is added to. */
CELL_FN void link_backward(const prepared_weights *w, dense_id id, const float *in, const float *adj, float *in_adj,
                           gradient_sums *s) {
    const dense_matrix *m = &w->dense[id];
    float pre[BIAS_MAX], pull[INPUTS_MAX];
    dense_copy_padded(pre, adj, m->columns, m->ld);
    memset(pull, 0, (size_t)m->ld_transposed * sizeof(float));
    dense_pull(m, pre, pull);
    for (int j = 0; j < m->rows; j++) in_adj[j] += pull[j];
    dense_outer(m, in, pre, s->dense + w->dense_offset[id]);
}

void ISA_SYMBOL(kernel_biases_backward)(const prepared_weights *w, const biases_backward_args *a) {
    const int n = 3 * w->layout.dims.param;
    link_backward(w, DENSE_TENSOR_TO_PARAM, a->u, a->bias_param_adj, a->u_adj, a->sums);
    link_backward(w, DENSE_GLOBAL_TO_PARAM, a->v, a->bias_param_adj, a->v_adj, a->sums);
    link_backward(w, DENSE_GLOBAL_TO_TENSOR, a->v, a->bias_tensor_adj, a->v_adj, a->sums);
    for (int j = 0; j < n; j++) a->sums->param_bias[j] += a->bias_param_adj[j];
}
