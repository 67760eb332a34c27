#include <string.h>

#include "kernels/cuda/kernels.h"

/* The order is that of cell_of in advance.cu. */
gpu_cell gpu_cell_of(const cell_weights *w, int attention) {
    enum { INPUTS = 22, P = 10, S = 4 };
    const struct {
        const float *from;
        size_t n;
    } parts[] = {{w->gate, INPUTS * 2 * P},
                 {w->candidate, INPUTS * P},
                 {w->update, P},
                 {attention ? w->attention : NULL, P},
                 {w->scale_decay, P},
                 {w->input_decay, P},
                 {w->rate, P},
                 {w->update_gradient, S},
                 {attention ? w->attention_gradient : NULL, S}};
    gpu_cell c = {.scale_decay_bias = w->scale_decay_bias,
                  .input_decay_bias = w->input_decay_bias,
                  .rate_bias = w->rate_bias,
                  .momentum = w->momentum,
                  .step_offset = w->step_offset};
    for (size_t i = 0, at = 0; i < sizeof parts / sizeof parts[0]; at += parts[i++].n)
        if (parts[i].from) memcpy(c.weights + at, parts[i].from, parts[i].n * sizeof(float));
    return c;
}
