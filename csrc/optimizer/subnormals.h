/* Subnormal numbers read and written as 0. Where gradients stay 0, their averages shrink until they are subnormal, and most x86
 * processors then take some ten times as long for a step. Nothing is lost: the floors of rules 3 and 4 are far above. On other
 * processors these functions do nothing. */
#ifndef LOPT_OPTIMIZER_SUBNORMALS_H
#define LOPT_OPTIMIZER_SUBNORMALS_H

#ifdef __x86_64__
#include <immintrin.h>

enum { FLUSH_TO_ZERO = 0x8000, DENORMALS_ARE_ZERO = 0x0040 }; /* bits of MXCSR */

/* For this thread; returns what subnormals_restore wants. Only calls that are not inlined may stand between the two: the compiler
 * does not know that arithmetic depends on the mode. */
static inline unsigned subnormals_off(void) {
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO);
    return before;
}
/* The other way round, likewise: what the caller's program has set must not decide about bits. */
static inline unsigned subnormals_on(void) {
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before & ~(unsigned)(FLUSH_TO_ZERO | DENORMALS_ARE_ZERO));
    return before;
}
static inline void subnormals_restore(unsigned before) { _mm_setcsr(before); }
#else
static inline unsigned subnormals_off(void) { return 0; }
static inline unsigned subnormals_on(void) { return 0; }
static inline void subnormals_restore(unsigned before) { (void)before; }
#endif

#endif
