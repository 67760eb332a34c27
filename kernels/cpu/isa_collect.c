/* The flat meta-gradient from the sums of a window. Per ISA, because the cell's sums are one vector per weight. */
#include "kernels/cpu/gradient_sums.h"
#include "kernels/cpu/isa_tables.h"

/* Adds up the lanes of `t->count` weights. */
static void collect_lanes(const weight_layout *l, weight_id id, const vf *from, float *gradient) {
    const weight_tensor *t = &l->tensor[id];
    for (size_t i = 0; i < t->count; i++) gradient[t->offset + i] = vf_sum(from[i]);
}

static void collect_floats(const weight_layout *l, weight_id id, const float *from, float *gradient) {
    const weight_tensor *t = &l->tensor[id];
    for (size_t i = 0; i < t->count; i++) gradient[t->offset + i] = from[i];
}

static void collect_cell(const weight_layout *l, const cell_gradient *c, float *gradient) {
    const int P = l->dims.param;
    collect_lanes(l, W_PARAM_GATE_KERNEL, c->gate, gradient);
    collect_lanes(l, W_PARAM_CANDIDATE_KERNEL, c->candidate, gradient);
    collect_lanes(l, W_UPDATE_KERNEL, c->update, gradient);
    collect_lanes(l, W_UPDATE_GRADIENT_KERNEL, c->update_gradient, gradient);
    collect_lanes(l, W_ATTENTION_KERNEL, c->attention, gradient);
    collect_lanes(l, W_ATTENTION_GRADIENT_KERNEL, c->attention_gradient, gradient);
    collect_lanes(l, W_SCALE_DECAY_KERNEL, c->scale_decay, gradient);
    collect_lanes(l, W_SCALE_DECAY_BIAS, c->scale_decay + P, gradient);
    collect_lanes(l, W_INPUT_DECAY_KERNEL, c->input_decay, gradient);
    collect_lanes(l, W_INPUT_DECAY_BIAS, c->input_decay + P, gradient);
    collect_lanes(l, W_LEARNING_RATE_KERNEL, c->rate, gradient);
    collect_lanes(l, W_LEARNING_RATE_BIAS, c->rate + P, gradient);
    collect_lanes(l, W_LEARNING_RATE_MOMENTUM_LOGIT, c->momentum_logit, gradient);
    collect_lanes(l, W_LEARNING_RATE_STEP_OFFSET, c->step_offset, gradient);
}

/* A GRU's own biases and the biases of the links into it are only ever added together: they share one adjoint. */
static void collect_biases(const weight_layout *l, const gradient_sums *g, float *gradient) {
    const lopt_dims d = l->dims;
    collect_floats(l, W_PARAM_GATE_BIAS, g->param_bias, gradient);
    collect_floats(l, W_PARAM_CANDIDATE_BIAS, g->param_bias + 2 * d.param, gradient);
    collect_floats(l, W_TENSOR_TO_PARAM_BIAS, g->param_bias, gradient);
    collect_floats(l, W_GLOBAL_TO_PARAM_BIAS, g->param_bias, gradient);
    collect_floats(l, W_TENSOR_GATE_BIAS, g->tensor_bias, gradient);
    collect_floats(l, W_TENSOR_CANDIDATE_BIAS, g->tensor_bias + 2 * d.tensor, gradient);
    collect_floats(l, W_GLOBAL_TO_TENSOR_BIAS, g->tensor_bias, gradient);
    collect_floats(l, W_GLOBAL_GATE_BIAS, g->global_bias, gradient);
    collect_floats(l, W_GLOBAL_CANDIDATE_BIAS, g->global_bias + 2 * d.global, gradient);
}

void ISA_SYMBOL(kernel_collect)(const prepared_weights *w, const gradient_sums *g, float *gradient) {
    const weight_layout *l = &w->layout;
    cell_gradient c = gradient_sums_cell(g);
    collect_cell(l, &c, gradient);
    for (int id = 0; id < DENSE_COUNT; id++) {
        const weight_tensor *t = &l->tensor[prepared_dense_weight((dense_id)id)];
        const float *from = g->dense + w->dense_offset[id];
        for (size_t k = 0; k < t->rows; k++)
            for (size_t j = 0; j < t->columns; j++)
                gradient[t->offset + k * t->columns + j] = from[k * (size_t)w->dense[id].ld + j];
    }
    collect_biases(l, g, gradient);
    collect_floats(l, W_PARAM_INITIAL_STATE, g->initial_h, gradient);
    collect_floats(l, W_TENSOR_INITIAL_STATE, g->initial_u, gradient);
    collect_floats(l, W_GLOBAL_INITIAL_STATE, g->initial_v, gradient);
}
