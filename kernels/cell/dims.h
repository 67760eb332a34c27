/* The shape of a learned optimizer: sizes and feature flags (Wichrowska et al. 2017, section 3). Letters used everywhere:
 * P parameter-RNN size, T tensor-RNN size, G global-RNN size, S gradient timescales, X input features. */
#ifndef LOPT_CELL_DIMS_H
#define LOPT_CELL_DIMS_H

#include <stddef.h>

#include "kernels/cell/vf.h"

enum {
    PARAM_SIZE_MAX = 64,
    TENSOR_SIZE_MAX = 256,
    GLOBAL_SIZE_MAX = 256,
    SCALES_MAX = 8,
    FEATURES_MAX = 2 * SCALES_MAX + (SCALES_MAX - 1) + 1
};

typedef struct lopt_dims {
    int param;                                                    /* P, 1..64 */
    int tensor;                                                   /* T, 1..256 */
    int global;                                                   /* G, 1..256 */
    int scales;                                                   /* S, 1..8 */
    int attention, grad_products, relative_lr, gradient_shortcut; /* 0 or 1 */
} lopt_dims;

/* X: S scaled gradients, S-1 products, S log magnitudes, 1 relative learning rate. */
CELL_FN int dims_features(lopt_dims d) { return 2 * d.scales + (d.grad_products ? d.scales - 1 : 0) + (d.relative_lr ? 1 : 0); }

/* One parameter's private state, in this order: hidden [P], gradient averages [S], mean squares [S], log learning rate. */
CELL_FN int dims_state(lopt_dims d) { return d.param + 2 * d.scales + 1; }

/* 1: the cell's sizes and flags, but for attention, are those that are compiled as constants. */
CELL_FN int dims_default_cell(lopt_dims d) {
    return d.param == 10 && d.scales == 4 && d.grad_products && d.relative_lr && d.gradient_shortcut;
}

/* Floats in a padded bias_param / bias_tensor, u or v buffer: 3P, 3T, T, G rounded up to 16. */
CELL_FN size_t padded(int n) { return ((size_t)n + 15) / 16 * 16; }

#endif
