/* Wall time for measurements. */
#ifndef LOPT_BENCH_CLOCK_H
#define LOPT_BENCH_CLOCK_H

#include <time.h>

/* Seconds on a clock that never jumps back; 0 for ever where there is none. */
static inline double clock_seconds(void) {
    struct timespec t = {0, 0};
    return clock_gettime(CLOCK_MONOTONIC, &t) == 0 ? (double)t.tv_sec + 1e-9 * (double)t.tv_nsec : 0.0;
}

/* Processor time of the calling thread, in seconds: what its work has cost, whatever else the core has done meanwhile. */
static inline double clock_thread_seconds(void) {
    struct timespec t = {0, 0};
    return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0 ? (double)t.tv_sec + 1e-9 * (double)t.tv_nsec : 0.0;
}

#endif
