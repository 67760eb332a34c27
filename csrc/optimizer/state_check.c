#include "csrc/optimizer/state_check.h"

#include <float.h>
#include <math.h>

#include "base/finite.h"
#include "base/status.h"
#include "kernels/cell/guard.h"

#define GUARD_SHIFT_MAX 150.0f /* log rates are within 33 of 0 */

/* A negative average of rates would turn updates round, one of 0 after steps has no logarithm. */
static lopt_status check_guard(const char *tensor, const float *values, size_t count, lopt_status otherwise) {
    for (const float *g = values; g < values + count; g += GUARD_STATE) {
        const float average = g[GUARD_AVERAGE], steps = g[GUARD_STEPS], shift = g[GUARD_SHIFT], square = g[GUARD_SQUARE];
        const int begun = isfinite(average) && average >= FLT_MIN && isfinite(steps) && steps > 0.0f,
                  fresh = average == 0.0f && steps == 0.0f;
        LOPT_CHECK((begun || fresh) && fabsf(shift) <= GUARD_SHIFT_MAX && isfinite(square) && square >= 0.0f, otherwise,
                   "tensor %s holds %g as an average of rates over %g steps, %g as a shift of log rates, and %g as a mean square",
                   tensor, (double)average, (double)steps, (double)shift, (double)square);
    }
    return LOPT_OK;
}

/* Minima and maxima of the cell would make numbers of what is none, and updates that look like any others. */
lopt_status state_check(state_part part, const char *tensor, const float *values, size_t count, lopt_status otherwise) {
    if (part == PART_THETA || part == PART_ATTENDED) return LOPT_OK;
    if (part == PART_GUARD) return check_guard(tensor, values, count, otherwise);
    int negative = 0;
    for (size_t i = 0; part == PART_SQUARE && i < count; i++) negative |= values[i] < 0.0f;
    LOPT_CHECK(floats_finite(values, count), otherwise, "tensor %s holds numbers that are not finite", tensor);
    LOPT_CHECK(!negative, otherwise, "tensor %s holds mean squares below 0", tensor);
    return LOPT_OK;
}
