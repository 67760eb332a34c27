#include "kernels/cpu/prepared.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "kernels/cpu/prepared_view.h"

weight_id prepared_dense_weight(dense_id id) {
    static const weight_id ids[DENSE_COUNT] = {W_TENSOR_GATE_KERNEL,      W_TENSOR_CANDIDATE_KERNEL, W_GLOBAL_GATE_KERNEL,
                                               W_GLOBAL_CANDIDATE_KERNEL, W_TENSOR_TO_PARAM_KERNEL,  W_GLOBAL_TO_PARAM_KERNEL,
                                               W_GLOBAL_TO_TENSOR_KERNEL};
    return ids[id];
}

static const float *part(const prepared_weights *w, weight_id id) {
    const weight_tensor *t = &w->layout.tensor[id];
    return t->present ? w->flat + t->offset : NULL;
}

const float *prepared_initial(const prepared_weights *w, weight_id id) { return part(w, id); }
const weight_layout *prepared_layout(const prepared_weights *w) { return &w->layout; }
const float *prepared_flat(const prepared_weights *w) { return w->flat; }

static size_t bias_floats(lopt_dims d) { return padded(3 * d.param) + padded(3 * d.tensor) + padded(3 * d.global); }

static void set_cell(prepared_weights *w) {
    cell_weights *c = &w->cell;
    c->gate = part(w, W_PARAM_GATE_KERNEL);
    c->candidate = part(w, W_PARAM_CANDIDATE_KERNEL);
    c->update = part(w, W_UPDATE_KERNEL);
    c->update_gradient = part(w, W_UPDATE_GRADIENT_KERNEL);
    c->attention = part(w, W_ATTENTION_KERNEL);
    c->attention_gradient = part(w, W_ATTENTION_GRADIENT_KERNEL);
    c->scale_decay = part(w, W_SCALE_DECAY_KERNEL);
    c->input_decay = part(w, W_INPUT_DECAY_KERNEL);
    c->rate = part(w, W_LEARNING_RATE_KERNEL);
    c->scale_decay_bias = *part(w, W_SCALE_DECAY_BIAS);
    c->input_decay_bias = *part(w, W_INPUT_DECAY_BIAS);
    c->rate_bias = *part(w, W_LEARNING_RATE_BIAS);
    c->momentum = (float)(1.0 / (1.0 + exp(-(double)*part(w, W_LEARNING_RATE_MOMENTUM_LOGIT))));
    c->step_offset = *part(w, W_LEARNING_RATE_STEP_OFFSET);
}

static void set_dense(prepared_weights *w, dense_id id) {
    const dense_matrix *m = &w->dense[id];
    const float *from = part(w, prepared_dense_weight(id));
    float *to = (float *)m->w, *transposed = (float *)m->transposed;
    for (int k = 0; k < m->rows; k++)
        for (int j = 0; j < m->columns; j++) {
            float value = from[(size_t)k * (size_t)m->columns + (size_t)j];
            to[(size_t)k * (size_t)m->ld + (size_t)j] = value;
            transposed[(size_t)j * (size_t)m->ld_transposed + (size_t)k] = value;
        }
}

/* Biases that are always added together: out [3n] = from_above [3n] (several, or NULL) + gates' [2n] + candidate's [n]. */
static void set_bias(const prepared_weights *w, int n, weight_id gate, weight_id candidate, const float *above,
                     const float *above_too, float *out) {
    const float *g = part(w, gate), *c = part(w, candidate);
    for (int o = 0; o < 3 * n; o++) {
        out[o] = o < 2 * n ? g[o] : c[o - 2 * n];
        if (above) out[o] += above[o];
        if (above_too) out[o] += above_too[o];
    }
}

void prepared_set(prepared_weights *w, const float *flat) {
    const lopt_dims d = w->layout.dims;
    memcpy(w->flat, flat, w->layout.count * sizeof(float));
    set_cell(w);
    for (int id = 0; id < DENSE_COUNT; id++) set_dense(w, (dense_id)id);
    set_bias(w, d.param, W_PARAM_GATE_BIAS, W_PARAM_CANDIDATE_BIAS, part(w, W_TENSOR_TO_PARAM_BIAS),
             part(w, W_GLOBAL_TO_PARAM_BIAS), w->param_bias);
    set_bias(w, d.tensor, W_TENSOR_GATE_BIAS, W_TENSOR_CANDIDATE_BIAS, part(w, W_GLOBAL_TO_TENSOR_BIAS), NULL, w->tensor_bias);
    set_bias(w, d.global, W_GLOBAL_GATE_BIAS, W_GLOBAL_CANDIDATE_BIAS, NULL, NULL, w->global_bias);
}

/* Finds every matrix its place in one block; returns the floats needed, with places relative to base. */
static size_t place_dense(prepared_weights *w, float *base) {
    size_t used = 0;
    w->dense_floats = 0;
    for (int id = 0; id < DENSE_COUNT; id++) {
        const weight_tensor *t = &w->layout.tensor[prepared_dense_weight((dense_id)id)];
        dense_matrix *m = &w->dense[id];
        m->rows = (int)t->rows;
        m->columns = (int)t->columns;
        m->ld = (int)padded(m->columns);
        m->ld_transposed = (int)padded(m->rows);
        size_t direct = t->rows * (size_t)m->ld;
        if (base) m->w = base + used, m->transposed = base + used + direct;
        used += direct + t->columns * (size_t)m->ld_transposed;
        w->dense_offset[id] = w->dense_floats;
        w->dense_floats += direct;
    }
    return used;
}

lopt_status prepared_create(const weight_layout *layout, const float *flat, prepared_weights **out) {
    const lopt_dims d = layout->dims;
    lopt_status status = LOPT_OK;
    void *memory = NULL;
    LOPT_TRY(memory_alloc(1, sizeof(prepared_weights), "prepared weights", &memory));
    prepared_weights *w = memory;
    w->layout = *layout;
    size_t dense = place_dense(w, NULL);
    size_t biases = bias_floats(d);
    LOPT_TRY_CLEANUP(memory_floats(layout->count, "prepared weights", &w->flat));
    LOPT_TRY_CLEANUP(memory_floats(dense + biases, "prepared weights", &w->storage));
    place_dense(w, w->storage);
    w->param_bias = w->storage + dense;
    w->tensor_bias = w->param_bias + padded(3 * d.param);
    w->global_bias = w->tensor_bias + padded(3 * d.tensor);
    prepared_set(w, flat);
    *out = w;
    return LOPT_OK;
cleanup:
    prepared_free(w);
    return status;
}

size_t prepared_storage(const prepared_weights *w) {
    size_t floats = bias_floats(w->layout.dims);
    for (int id = 0; id < DENSE_COUNT; id++) {
        const dense_matrix *m = &w->dense[id];
        floats += (size_t)m->rows * (size_t)m->ld + (size_t)m->columns * (size_t)m->ld_transposed;
    }
    return floats;
}

size_t prepared_bytes(const prepared_weights *w) { return sizeof *w + (w->layout.count + prepared_storage(w)) * sizeof(float); }

void prepared_free(prepared_weights *w) {
    if (w == NULL) return;
    free(w->flat);
    free(w->storage);
    free(w);
}
