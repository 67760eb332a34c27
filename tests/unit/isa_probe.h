/* The number type's functions on arrays, for each instruction set that the library is built for. */
#ifndef LOPT_TESTS_ISA_PROBE_H
#define LOPT_TESTS_ISA_PROBE_H

#include <stddef.h>

typedef enum probe {
    PROBE_EXP2,
    PROBE_LOG2,
    PROBE_LOG1P,
    PROBE_SIGMOID,
    PROBE_TANH,
    PROBE_ASINH,
    PROBE_RSQRT,
    PROBE_RCP,
    PROBES
} probe;

/* out[i] = the function of in[i]; n a multiple of 16. */
typedef void (*probe_function)(probe which, const float *in, float *out, size_t n);

void isa_probe_baseline(probe which, const float *in, float *out, size_t n);
void isa_probe_avx2(probe which, const float *in, float *out, size_t n);
void isa_probe_avx512(probe which, const float *in, float *out, size_t n);

#endif
