#include "kernels/layout.h"

static void add(weight_layout *l, weight_id id, const char *name, int rank, int rows, int columns, weight_init init,
                float constant) {
    weight_tensor *t = &l->tensor[id];
    t->name = name;
    t->present = rows > 0 && columns > 0;
    t->rank = rank;
    t->rows = (size_t)rows;
    t->columns = (size_t)columns;
    t->offset = l->count;
    t->count = t->rows * t->columns;
    t->init = init;
    t->constant = constant;
    l->count += t->count;
}

static void add_matrix(weight_layout *l, weight_id id, const char *name, int rows, int columns) {
    add(l, id, name, 2, rows, columns, INIT_NORMAL_ROWS, 0.0f);
}

static void add_constant(weight_layout *l, weight_id id, const char *name, int rows, float value) {
    add(l, id, name, 1, rows, 1, INIT_CONSTANT, value);
}

static void add_vector(weight_layout *l, weight_id id, const char *name, int rows, weight_init init) {
    add(l, id, name, 1, rows, 1, init, 0.0f);
}

/* One gated recurrent unit: five tensors from `first` on. 2.2 opens both gates: states start out slow (section 3.3.1). */
static void add_gru(weight_layout *l, int first, const char *const names[5], int input, int size) {
    add_matrix(l, (weight_id)first, names[0], input + size, 2 * size);
    add_constant(l, (weight_id)(first + 1), names[1], 2 * size, 2.2f);
    add_matrix(l, (weight_id)(first + 2), names[2], input + size, size);
    add_constant(l, (weight_id)(first + 3), names[3], size, 0.0f);
    add_vector(l, (weight_id)(first + 4), names[4], size, INIT_UNIFORM);
}

#define GRU_NAMES(level) \
    { level ".gate_kernel", level ".gate_bias", level ".candidate_kernel", level ".candidate_bias", level ".initial_state" }

void weight_layout_make(lopt_dims dims, weight_layout *out) {
    static const char *const param_names[5] = GRU_NAMES("param_rnn");
    static const char *const tensor_names[5] = GRU_NAMES("tensor_rnn");
    static const char *const global_names[5] = GRU_NAMES("global_rnn");
    const int P = dims.param, T = dims.tensor, G = dims.global, S = dims.scales, X = dims_features(dims);
    const int shortcut = dims.gradient_shortcut ? S : 0;
    weight_layout *l = out;
    l->dims = dims;
    l->count = 0;
    add_gru(l, W_PARAM_GATE_KERNEL, param_names, X, P);
    add_gru(l, W_TENSOR_GATE_KERNEL, tensor_names, P + X, T);
    add_gru(l, W_GLOBAL_GATE_KERNEL, global_names, T, G);
    add_matrix(l, W_TENSOR_TO_PARAM_KERNEL, "tensor_to_param.kernel", T, 3 * P);
    add_constant(l, W_TENSOR_TO_PARAM_BIAS, "tensor_to_param.bias", 3 * P, 0.0f);
    add_matrix(l, W_GLOBAL_TO_PARAM_KERNEL, "global_to_param.kernel", G, 3 * P);
    add_constant(l, W_GLOBAL_TO_PARAM_BIAS, "global_to_param.bias", 3 * P, 0.0f);
    add_matrix(l, W_GLOBAL_TO_TENSOR_KERNEL, "global_to_tensor.kernel", G, 3 * T);
    add_constant(l, W_GLOBAL_TO_TENSOR_BIAS, "global_to_tensor.bias", 3 * T, 0.0f);
    add_vector(l, W_UPDATE_KERNEL, "update.kernel", P, INIT_NORMAL_ROWS);
    add_vector(l, W_UPDATE_GRADIENT_KERNEL, "update.gradient_kernel", shortcut, INIT_GRADIENT_READ);
    add_vector(l, W_ATTENTION_KERNEL, "attention.kernel", dims.attention ? P : 0, INIT_COPY_OF_UPDATE);
    add_vector(l, W_ATTENTION_GRADIENT_KERNEL, "attention.gradient_kernel", dims.attention ? shortcut : 0, INIT_GRADIENT_READ);
    add_vector(l, W_SCALE_DECAY_KERNEL, "scale_decay.kernel", P, INIT_NORMAL_ROWS);
    add_constant(l, W_SCALE_DECAY_BIAS, "scale_decay.bias", 1, 3.2f);
    add_vector(l, W_INPUT_DECAY_KERNEL, "input_decay.kernel", P, INIT_NORMAL_ROWS);
    add_constant(l, W_INPUT_DECAY_BIAS, "input_decay.bias", 1, 2.2f);
    add_constant(l, W_LEARNING_RATE_KERNEL, "learning_rate.kernel", P, 0.0f);
    add_constant(l, W_LEARNING_RATE_BIAS, "learning_rate.bias", 1, 0.0f);
    add_constant(l, W_LEARNING_RATE_MOMENTUM_LOGIT, "learning_rate.momentum_logit", 1, 3.2f);
    add_constant(l, W_LEARNING_RATE_STEP_OFFSET, "learning_rate.step_offset", 1, -1.0f);
}
