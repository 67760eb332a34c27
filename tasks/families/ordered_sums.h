/* Matrix times data rows where a task is made. Rows go side by side, so that each of them has its sums in the order of k, whatever the vectors'
 * length. Products of whole groups of eight are rounded before they are added, those left over are fused with their sum: the bits that compilers
 * make of the plain loop over k for AVX-512, with which the shipped weights were trained. Data are part of what a task is. */
#ifndef LOPT_TASKS_FAMILIES_ORDERED_SUMS_H
#define LOPT_TASKS_FAMILIES_ORDERED_SUMS_H

#include "kernels/cell/vf.h"

enum { ORDERED_ROWS = 16, ORDERED_VECTORS = ORDERED_ROWS / VF_LANES, ORDERED_OUTS = 4, ORDERED_GROUP = 8 };

/* Keeps the compiler from fusing a product with the sum that it goes into. */
CELL_FN vf ordered_rounded(vf product) {
#if defined(__x86_64__)
    __asm__("" : "+x"(product));
#else
    __asm__("" : "+m"(product));
#endif
    return product;
}

/* w [outs, ks] by strides, x [ks][ORDERED_ROWS]; out [outs][ORDERED_ROWS], a constant number of outs, starts from what is there. */
CELL_FN void ordered_outs(size_t outs, size_t ks, const float *w, size_t w_o, size_t w_k, const float *x, float *out) {
    vf sum[ORDERED_OUTS][ORDERED_VECTORS];
    const size_t whole = ks / ORDERED_GROUP * ORDERED_GROUP;
    for (size_t o = 0; o < outs; o++)
        for (size_t v = 0; v < ORDERED_VECTORS; v++) sum[o][v] = vf_load(out + o * ORDERED_ROWS + v * VF_LANES);
    for (size_t k = 0; k < whole; k++)
        for (size_t o = 0; o < outs; o++)
            for (size_t v = 0; v < ORDERED_VECTORS; v++)
                sum[o][v] += ordered_rounded(w[o * w_o + k * w_k] * vf_load(x + k * ORDERED_ROWS + v * VF_LANES));
    for (size_t k = whole; k < ks; k++)
        for (size_t o = 0; o < outs; o++)
            for (size_t v = 0; v < ORDERED_VECTORS; v++)
                sum[o][v] += w[o * w_o + k * w_k] * vf_load(x + k * ORDERED_ROWS + v * VF_LANES);
    for (size_t o = 0; o < outs; o++)
        for (size_t v = 0; v < ORDERED_VECTORS; v++) vf_store(out + o * ORDERED_ROWS + v * VF_LANES, sum[o][v]);
}

/* The same for any number of outs. */
CELL_FN void ordered_sums(size_t outs, size_t ks, const float *w, size_t w_o, size_t w_k, const float *x, float *out) {
    size_t o = 0;
    for (; o + ORDERED_OUTS <= outs; o += ORDERED_OUTS)
        ordered_outs(ORDERED_OUTS, ks, w + o * w_o, w_o, w_k, x, out + o * ORDERED_ROWS);
    for (; o < outs; o++) ordered_outs(1, ks, w + o * w_o, w_o, w_k, x, out + o * ORDERED_ROWS);
}

#endif
