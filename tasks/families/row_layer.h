/* A dense layer on rows: z = a W + b, its adjoint, and both along a direction v of all parameters (Pearlmutter's R operator, Neural
 * Computation 1994; what is "along" ends in _v). A layer's parameters are W [in, out] then b [out]; so are its gradient and its part of v. */
#ifndef LOPT_TASKS_FAMILIES_ROW_LAYER_H
#define LOPT_TASKS_FAMILIES_ROW_LAYER_H

#include "tasks/families/row_products.h"

typedef struct row_layer {
    size_t steps, in, out;
} row_layer;

CELL_FN void layer_forward(row_layer l, const float *params, row_block a, row_block z) {
    row_product(l.steps, row_weights(l.in, l.out, l.out, params), a, ROW_SET, params + l.in * l.out, z);
}
/* d: adjoint of z. a_adj out: adjoint of a. */
CELL_FN void layer_backward(row_layer l, const float *params, row_block a, row_block d, float *grad, row_block a_adj) {
    row_outer(l.steps, l.in, l.out, a, d, l.out, grad);
    row_sums(l.steps, l.out, d, grad + l.in * l.out);
    row_product(l.steps, row_transposed(l.in, l.out, l.out, params), d, ROW_SET, NULL, a_adj);
}
CELL_FN void layer_forward_v(row_layer l, const float *params, const float *v, row_block a, row_block a_v, row_block z_v) {
    row_product(l.steps, row_weights(l.in, l.out, l.out, v), a, ROW_SET, v + l.in * l.out, z_v);
    row_product(l.steps, row_weights(l.in, l.out, l.out, params), a_v, ROW_ADD, NULL, z_v);
}
/* grad_v: the gradient along v, added to; a_adj and its a_adj_v out. */
CELL_FN void layer_backward_v(row_layer l, const float *params, const float *v, row_block a, row_block a_v, row_block d,
                              row_block d_v, float *grad_v, row_block a_adj, row_block a_adj_v) {
    row_outer(l.steps, l.in, l.out, a, d_v, l.out, grad_v);
    row_outer(l.steps, l.in, l.out, a_v, d, l.out, grad_v);
    row_sums(l.steps, l.out, d_v, grad_v + l.in * l.out);
    row_product(l.steps, row_transposed(l.in, l.out, l.out, params), d, ROW_SET, NULL, a_adj);
    row_product(l.steps, row_transposed(l.in, l.out, l.out, params), d_v, ROW_SET, NULL, a_adj_v);
    row_product(l.steps, row_transposed(l.in, l.out, l.out, v), d, ROW_ADD, NULL, a_adj_v);
}

#endif
