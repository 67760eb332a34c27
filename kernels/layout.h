/* The flat weight vector: which tensors there are, in which order, of which shape, and how they start (the table of the weights
 * format lopt.hrnn.v1). Files, meta-gradients, meta-optimizers and kernels all read the weights through this one table. */
#ifndef LOPT_KERNELS_LAYOUT_H
#define LOPT_KERNELS_LAYOUT_H

#include <stddef.h>

#include "kernels/cell/dims.h"
#include "lopt/lopt.h"

typedef enum weight_id {
    W_PARAM_GATE_KERNEL,
    W_PARAM_GATE_BIAS,
    W_PARAM_CANDIDATE_KERNEL,
    W_PARAM_CANDIDATE_BIAS,
    W_PARAM_INITIAL_STATE,
    W_TENSOR_GATE_KERNEL,
    W_TENSOR_GATE_BIAS,
    W_TENSOR_CANDIDATE_KERNEL,
    W_TENSOR_CANDIDATE_BIAS,
    W_TENSOR_INITIAL_STATE,
    W_GLOBAL_GATE_KERNEL,
    W_GLOBAL_GATE_BIAS,
    W_GLOBAL_CANDIDATE_KERNEL,
    W_GLOBAL_CANDIDATE_BIAS,
    W_GLOBAL_INITIAL_STATE,
    W_TENSOR_TO_PARAM_KERNEL,
    W_TENSOR_TO_PARAM_BIAS,
    W_GLOBAL_TO_PARAM_KERNEL,
    W_GLOBAL_TO_PARAM_BIAS,
    W_GLOBAL_TO_TENSOR_KERNEL,
    W_GLOBAL_TO_TENSOR_BIAS,
    W_UPDATE_KERNEL,
    W_UPDATE_GRADIENT_KERNEL,
    W_ATTENTION_KERNEL,
    W_ATTENTION_GRADIENT_KERNEL,
    W_SCALE_DECAY_KERNEL,
    W_SCALE_DECAY_BIAS,
    W_INPUT_DECAY_KERNEL,
    W_INPUT_DECAY_BIAS,
    W_LEARNING_RATE_KERNEL,
    W_LEARNING_RATE_BIAS,
    W_LEARNING_RATE_MOMENTUM_LOGIT,
    W_LEARNING_RATE_STEP_OFFSET,
    WEIGHT_TENSORS
} weight_id;

typedef enum weight_init {
    INIT_NORMAL_ROWS,   /* normal, std 0.5 / sqrt(rows) */
    INIT_CONSTANT,      /* `constant` */
    INIT_UNIFORM,       /* uniform(-1, 1) */
    INIT_GRADIENT_READ, /* normal, mean 1/S, std 0.1/sqrt(S) */
    INIT_COPY_OF_UPDATE /* copy of update.kernel */
} weight_init;

typedef struct weight_tensor {
    const char *name;
    int present;    /* 0: this optimizer does not have it (count 0) */
    int rank;       /* 1 or 2 */
    size_t rows;    /* first dimension */
    size_t columns; /* second dimension; 1 for rank 1 */
    size_t offset;  /* in the flat vector */
    size_t count;   /* rows * columns, or 0 */
    weight_init init;
    float constant;
} weight_tensor;

typedef struct weight_layout {
    lopt_dims dims;
    size_t count; /* numbers in the flat vector */
    weight_tensor tensor[WEIGHT_TENSORS];
} weight_layout;

/* dims must be within its bounds (see dims.h). */
void weight_layout_make(lopt_dims dims, weight_layout *out);

#endif
