/* The parts of an optimizer's state as the state file names them, whatever the layout in memory. */
#ifndef LOPT_KERNELS_STATE_PART_H
#define LOPT_KERNELS_STATE_PART_H

#include "kernels/cell/dims.h"

/* Of each parameter tensor in this order; then the one of the whole model. */
typedef enum state_part {
    PART_HIDDEN,   /* [n, P] */
    PART_AVERAGE,  /* [S, n] */
    PART_SQUARE,   /* [S, n] */
    PART_LOG_LR,   /* [n] */
    PART_TENSOR,   /* [T] */
    PART_THETA,    /* [n] true parameters */
    PART_ATTENDED, /* [n] while swapped */
    PARTS,
    PART_GLOBAL = PARTS, /* [G] */
    PART_GUARD           /* [tensors, GUARD_STATE], where the guard is on */
} state_part;

/* Elements [first, first + count) of a part. */
typedef struct state_piece {
    state_part part;
    uint64_t tensor, first, count;
} state_piece;

/* Element `at` of the first four parts of a tensor of n parameters: which parameter's, and which component of its private state. */
typedef struct state_place {
    uint64_t parameter;
    int component;
} state_place;

CELL_FN state_place state_part_place(lopt_dims d, state_part part, uint64_t n, uint64_t at) {
    const uint64_t P = (uint64_t)d.param;
    state_place p;
    p.parameter = part == PART_HIDDEN ? at / P : at % n;
    p.component = part == PART_HIDDEN    ? (int)(at % P)
                  : part == PART_AVERAGE ? d.param + (int)(at / n)
                  : part == PART_SQUARE  ? d.param + d.scales + (int)(at / n)
                                         : d.param + 2 * d.scales;
    return p;
}

#endif
