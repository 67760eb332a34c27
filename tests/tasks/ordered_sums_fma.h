#ifndef LOPT_TESTS_TASKS_ORDERED_SUMS_FMA_H
#define LOPT_TESTS_TASKS_ORDERED_SUMS_FMA_H

#include <stddef.h>

/* Needs AVX2 and FMA. */
void ordered_sums_fma(size_t outs, size_t ks, const float *w, size_t w_o, size_t w_k, const float *x, float *out);

#endif
