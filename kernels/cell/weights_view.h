/* The parameter RNN's weights as the cell reads them: pointers into the flat vector, and the scalars.
 * cell_gradient receives their gradients. */
#ifndef LOPT_CELL_WEIGHTS_VIEW_H
#define LOPT_CELL_WEIGHTS_VIEW_H

#include "kernels/cell/dims.h"

typedef struct cell_weights {
    const float *gate;                           /* W_gate [X+P, 2P]: rows x then h, columns r then z */
    const float *candidate;                      /* W_cand [X+P, P] */
    const float *update, *update_gradient;       /* w_d [P], a_d [S] (NULL without gradient_shortcut) */
    const float *attention, *attention_gradient; /* w_e [P], a_e [S]; NULL without attention */
    const float *scale_decay, *input_decay;      /* w_l [P], w_g [P] */
    const float *rate;                           /* w_a [P] */
    float scale_decay_bias, input_decay_bias;    /* c_l, c_g */
    float rate_bias, momentum, step_offset;      /* c_a, mu = sigma(k_mu), k_off */
} cell_weights;

/* Where the gradient of each part is summed, one vf (a sum per lane) for each weight. */
typedef struct cell_gradient {
    vf *gate, *candidate;
    vf *update, *update_gradient, *attention, *attention_gradient;
    vf *scale_decay, *input_decay, *rate; /* [P + 1]: kernel, then bias */
    vf *momentum_logit, *step_offset;     /* [1] */
} cell_gradient;

#endif
