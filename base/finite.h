/* Whether numbers are numbers. The kernels' all_finite is another question: whether gradients may be stepped by, which has a bound. */
#ifndef LOPT_BASE_FINITE_H
#define LOPT_BASE_FINITE_H

#include <stddef.h>

static inline int floats_finite(const float *values, size_t count) {
    float zero = 0.0f;
    for (size_t i = 0; i < count; i++) zero += values[i] * 0.0f; /* NaN if any is not finite */
    return zero == 0.0f;
}

#endif
