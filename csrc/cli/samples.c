#include "samples.h"

#include <stdlib.h>

#include "console.h"

enum { SAMPLES_MIN = 5 };

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

int samples_take(samples_call call, void *self, double seconds, samples *out) {
    double taken[SAMPLES_MAX];
    int n = 0, failed = call(self);
    const double end = console_clock() + seconds;
    while (!failed && n < SAMPLES_MAX && (n < SAMPLES_MIN || console_clock() < end)) {
        const double start = console_clock();
        failed = call(self);
        taken[n++] = console_clock() - start;
    }
    if (failed) return failed;
    qsort(taken, (size_t)n, sizeof taken[0], ascending);
    *out = (samples){taken[n / 2], taken[n / 4], taken[3 * n / 4], n};
    return 0;
}
