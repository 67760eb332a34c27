/* What stands behind prepared_weights, for the kernels. */
#ifndef LOPT_KERNELS_CPU_PREPARED_VIEW_H
#define LOPT_KERNELS_CPU_PREPARED_VIEW_H

#include "kernels/cell/dense.h"
#include "kernels/cell/weights_view.h"
#include "kernels/cpu/prepared.h"

/* The dense layers; a GRU's kernels are split at the border between input and state rows. */
typedef enum dense_id {
    DENSE_TENSOR_GATE,
    DENSE_TENSOR_CANDIDATE,
    DENSE_GLOBAL_GATE,
    DENSE_GLOBAL_CANDIDATE,
    DENSE_TENSOR_TO_PARAM,
    DENSE_GLOBAL_TO_PARAM,
    DENSE_GLOBAL_TO_TENSOR,
    DENSE_COUNT
} dense_id;

struct prepared_weights {
    weight_layout layout;
    float *flat;       /* [layout.count], a copy */
    cell_weights cell; /* points into flat */
    dense_matrix dense[DENSE_COUNT];
    size_t dense_offset[DENSE_COUNT]; /* of each [rows][ld] in a gradient buffer of dense_floats */
    size_t dense_floats;
    float *param_bias;  /* [padded 3P]: c_tp + c_gp + gate and candidate biases */
    float *tensor_bias; /* [padded 3T]: c_gt + the tensor RNN's own */
    float *global_bias; /* [padded 3G]: the global RNN's own */
    float *storage;     /* one block for all padded matrices and the biases */
};

/* Floats of w->storage: matrices and biases. */
size_t prepared_storage(const prepared_weights *w);

/* The weight tensor behind a dense layer. */
weight_id prepared_dense_weight(dense_id id);

#endif
