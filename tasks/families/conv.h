/* Convolutions 3 x 3 with zeros around the image, one on each side, on activations [channel][y][x][row of the data]. The nine
 * neighbours of every output place are laid out as columns [tap][channel][place][row] (Chellapilla et al. 2006); the convolution is
 * then a dense layer whose rows are all places of all rows, with weights [3, 3, channel in, channel out]. Copying costs little: each
 * column serves all channels out. */
#ifndef LOPT_TASKS_FAMILIES_CONV_H
#define LOPT_TASKS_FAMILIES_CONV_H

#include "kernels/cell/team.h"

enum { CONV_TAPS = 9 };

typedef struct conv_shape {
    uint32_t channels, side, stride; /* of the input; channels 0: no convolution */
} conv_shape;

CELL_FN size_t conv_out_side(conv_shape s) { return (s.side + s.stride - 1) / s.stride; }
CELL_FN size_t conv_places(conv_shape s) { return conv_out_side(s) * conv_out_side(s); }
CELL_FN size_t conv_inputs(conv_shape s) { return (size_t)s.channels * s.side * s.side; }

/* Where tap `tap` of output place `place` looks in a channel; -1: outside of the image. */
CELL_FN int64_t conv_look(conv_shape s, size_t tap, size_t place) {
    const int64_t side = s.side, across = (int64_t)conv_out_side(s);
    const int64_t y = (int64_t)place / across * s.stride + (int64_t)tap / 3 - 1,
                  x = (int64_t)place % across * s.stride + (int64_t)tap % 3 - 1;
    return y < 0 || x < 0 || y >= side || x >= side ? -1 : y * side + x;
}

/* a [inputs][span] to columns [CONV_TAPS * channels][places][span] */
static inline void conv_gather(conv_shape s, const float *a, size_t span, float *columns) {
    const size_t places = conv_places(s), area = (size_t)s.side * s.side;
    for (size_t tap = 0; tap < CONV_TAPS; tap++)
        for (size_t place = 0; place < places; place++) {
            const int64_t look = conv_look(s, tap, place);
            for (size_t c = 0; c < s.channels; c++) {
                float *to = columns + ((tap * s.channels + c) * places + place) * span;
                const float *from = a + (c * area + (size_t)(look < 0 ? 0 : look)) * span;
                TEAM_FOR_BLOCKS(r, span) vf_store(to + r, look < 0 ? vf_set1(0.0f) : vf_load(from + r));
            }
        }
    team_sync();
}

/* The transpose of conv_gather: adds every column to the place it was taken from. A worker keeps to its own rows of the data. */
static inline void conv_scatter(conv_shape s, const float *columns, size_t span, int add, float *a) {
    const size_t places = conv_places(s), area = (size_t)s.side * s.side;
    for (size_t u = 0; !add && u < conv_inputs(s); u++) TEAM_FOR_BLOCKS(r, span) vf_store(a + u * span + r, vf_set1(0.0f));
    for (size_t tap = 0; tap < CONV_TAPS; tap++)
        for (size_t place = 0; place < places; place++) {
            const int64_t look = conv_look(s, tap, place);
            for (size_t c = 0; look >= 0 && c < s.channels; c++) {
                const float *from = columns + ((tap * s.channels + c) * places + place) * span;
                float *to = a + (c * area + (size_t)look) * span;
                TEAM_FOR_BLOCKS(r, span) vf_store(to + r, vf_load(to + r) + vf_load(from + r));
            }
        }
    team_sync();
}

#endif
