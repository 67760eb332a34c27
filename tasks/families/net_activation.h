/* Hidden units of the networks: the function, and derivatives as functions of the activation itself. */
#ifndef LOPT_TASKS_FAMILIES_NET_ACTIVATION_H
#define LOPT_TASKS_FAMILIES_NET_ACTIVATION_H

#include "kernels/cell/team.h"

enum { NET_SIGMOID, NET_RELU, NET_TANH };

CELL_FN vf activation_value(int kind, vf z) {
    return kind == NET_RELU ? vf_max(z, vf_set1(0.0f)) : kind == NET_TANH ? vf_tanh(z) : vf_sigmoid(z);
}
/* da/dz */
CELL_FN vf activation_slope(int kind, vf a) {
    if (kind == NET_RELU) return vf_select(a > vf_set1(0.0f), vf_set1(1.0f), vf_set1(0.0f));
    return kind == NET_TANH ? 1.0f - a * a : a * (1.0f - a);
}
/* d slope/da */
CELL_FN vf activation_bend(int kind, vf a) {
    if (kind == NET_RELU) return vf_set1(0.0f);
    return kind == NET_TANH ? -2.0f * a : 1.0f - 2.0f * a;
}

/* The loops over `n` values, whole vectors; `kind` is a constant in each of the three copies that NET_ACTIVATION_CASES makes. */
CELL_FN void activation_forward(int kind, size_t n, float *z) {
    TEAM_FOR_BLOCKS(i, n) vf_store(z + i, activation_value(kind, vf_load(z + i)));
}
/* x *= slope(a): a delta on its way down, or R z on its way to R a */
CELL_FN void activation_scale(int kind, size_t n, const float *a, float *x) {
    TEAM_FOR_BLOCKS(i, n) vf_store(x + i, vf_load(x + i) * activation_slope(kind, vf_load(a + i)));
}
/* delta and its derivative along v on their way down: R(delta slope) = R(delta) slope + delta bend R(a). */
CELL_FN void activation_scale_along(int kind, size_t n, const float *a, const float *ra, float *delta, float *rdelta) {
    TEAM_FOR_BLOCKS(i, n) {
        const vf at = vf_load(a + i), pulled = vf_load(delta + i), slope = activation_slope(kind, at);
        vf_store(rdelta + i, vf_load(rdelta + i) * slope + pulled * (activation_bend(kind, at) * vf_load(ra + i)));
        vf_store(delta + i, pulled * slope);
    }
}

#define NET_ACTIVATION_CASES(kind, function, ...)                     \
    do {                                                              \
        if ((kind) == NET_RELU) function(NET_RELU, __VA_ARGS__);      \
        else if ((kind) == NET_TANH) function(NET_TANH, __VA_ARGS__); \
        else function(NET_SIGMOID, __VA_ARGS__);                      \
        team_sync();                                                  \
    } while (0)

#endif
