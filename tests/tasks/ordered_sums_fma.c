/* ordered_sums as kernels for processors with FMA have it; tests are compiled for any x86-64 otherwise. */
#include "tests/tasks/ordered_sums_fma.h"

#include "tasks/families/ordered_sums.h"

void ordered_sums_fma(size_t outs, size_t ks, const float *w, size_t w_o, size_t w_k, const float *x, float *out) {
    ordered_sums(outs, ks, w, w_o, w_k, x, out);
}
