/* What the machine can do, as the roof that the kernels are measured against. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "base/memory.h"
#include "base/status.h"
#include "csrc/bench/clock.h"
#include "kernels/cpu/kernels.h"
#include "lopt/meta.h"

enum { PROBE_TRIES = 8, COPY_TRIES = 5 };
#define PROBE_SECONDS 0.05                 /* of one try */
#define COPY_BYTES_MAX ((size_t)256 << 20) /* per thread and buffer: much more than its share of the last-level cache */
#define COPY_BYTES_TOTAL ((size_t)2 << 30) /* over all threads, per buffer */
#define COPY_BYTES_MIN ((size_t)16 << 20)

static int threads_in_use(void) {
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

/* Rounds of the probe that take about PROBE_SECONDS on one thread. */
static long probe_rounds(const cpu_kernels *k) {
    long rounds = 1000;
    double seconds = 0.0;
    while (rounds < LONG_MAX / 4) {
        double start = clock_seconds();
        k->fma_probe(rounds);
        seconds = clock_seconds() - start;
        if (seconds > PROBE_SECONDS / 4) break;
        rounds *= 2;
    }
    return (long)((double)rounds * PROBE_SECONDS / fmax(seconds, 1e-9)) + 1;
}

static double measure_fma(const cpu_kernels *k) {
    const long rounds = probe_rounds(k);
    double best = 0.0;
    for (int t = 0; t < PROBE_TRIES; t++) {
        double done = 0.0, start = clock_seconds();
#pragma omp parallel reduction(+ : done)
        done += k->fma_probe(rounds);
        best = fmax(best, done / (clock_seconds() - start));
    }
    return best;
}

/* Bytes of one thread's buffer: at most an eighth of the free memory for all buffers together. */
static size_t copy_bytes(int threads) {
    long pages = sysconf(_SC_AVPHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t available = pages > 0 && page > 0 ? (size_t)pages * (size_t)page / 16 / (size_t)threads : COPY_BYTES_MIN;
    size_t bytes = COPY_BYTES_TOTAL / (size_t)threads;
    if (bytes > COPY_BYTES_MAX) bytes = COPY_BYTES_MAX;
    if (bytes > available) bytes = available;
    return (bytes < COPY_BYTES_MIN ? COPY_BYTES_MIN : bytes) / 4096 * 4096;
}

/* One parallel copy of all buffers; each thread touches its own pages first, so that they lie near it. */
static void copy_once(char *from, char *to, size_t bytes, int threads) {
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int i = 0; i < threads; i++) memcpy(to + (size_t)i * bytes, from + (size_t)i * bytes, bytes);
}

static void touch(char *from, char *to, size_t bytes, int threads) {
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int i = 0; i < threads; i++) {
        memset(from + (size_t)i * bytes, 1, bytes);
        memset(to + (size_t)i * bytes, 2, bytes);
    }
}

static lopt_status measure_copy(int threads, double *out) {
    lopt_status status = LOPT_OK;
    const size_t bytes = copy_bytes(threads), total = bytes * (size_t)threads;
    double best = 0.0;
    char *from = aligned_alloc(4096, total), *to = aligned_alloc(4096, total);
    LOPT_CHECK_CLEANUP(from && to, LOPT_ERR_MEMORY, "no memory to measure the copy rate: 2 x %zu bytes were refused; free memory",
                       total);
    touch(from, to, bytes, threads);
    for (int t = 0; t < COPY_TRIES; t++) {
        double start = clock_seconds();
        copy_once(from, to, bytes, threads);
        best = fmax(best, 2.0 * (double)total / (clock_seconds() - start));
    }
    *out = best;
cleanup:
    free(from);
    free(to);
    return status;
}

lopt_status lopt_machine_measure(lopt_machine *out) {
    LOPT_CHECK(out != NULL, LOPT_ERR_ARGUMENT, "the machine's measures have nowhere to go: out is NULL");
    lopt_machine m = {lopt_isa(), threads_in_use(), 0.0, 0.0};
    LOPT_TRY(measure_copy(m.threads, &m.copy_per_second));
    m.fma_per_second = measure_fma(cpu_kernels_current());
    *out = m;
    return LOPT_OK;
}
