/* Where the weights' gradients of a window are summed: cell weights per lane, dense weights padded as they are prepared. */
#ifndef LOPT_KERNELS_CPU_GRADIENT_SUMS_H
#define LOPT_KERNELS_CPU_GRADIENT_SUMS_H

#include "kernels/cpu/adjoint.h"
#include "kernels/cpu/prepared_view.h"

enum { LANES_MAX = 16 };

struct gradient_sums {
    lopt_dims dims;
    float *cell; /* [cell weights][lanes], in the order of gradient_sums_cell */
    size_t cell_weights;
    float *dense; /* [dense_floats] */
    size_t dense_floats;
    float *param_bias, *tensor_bias, *global_bias; /* [3P], [3T], [3G] */
    float *initial_h, *initial_u, *initial_v;      /* [P], [T], [G] */
    float *storage;                                /* all of the above in one block */
    size_t storage_floats;
};

/* Numbers of cell weights before each part of cell_gradient. */
static inline size_t gradient_cell_weights(lopt_dims d) {
    size_t P = (size_t)d.param, X = (size_t)dims_features(d), S = (size_t)d.scales;
    return (X + P) * 3 * P + 2 * (P + S) + 3 * (P + 1) + 3;
}

/* The parts of the cell's sums, as vectors of this instruction set's width. */
CELL_FN cell_gradient gradient_sums_cell(const gradient_sums *g) {
    const int P = g->dims.param, X = dims_features(g->dims), S = g->dims.scales;
    cell_gradient c;
    vf *at = (vf *)(void *)g->cell;
    c.gate = at, at += (X + P) * 2 * P;
    c.candidate = at, at += (X + P) * P;
    c.update = at, at += P;
    c.update_gradient = at, at += S;
    c.attention = at, at += P;
    c.attention_gradient = at, at += S;
    c.scale_decay = at, at += P + 1;
    c.input_decay = at, at += P + 1;
    c.rate = at, at += P + 1;
    c.momentum_logit = at, at += 1;
    c.step_offset = at;
    return c;
}

#endif
