/* lopt bench step --device cuda: models in a GPU's memory, fp32 and mixed state, steps on a stream and from a graph.
 *
 * Bytes per parameter that a step must move, C = P + 2S + 1 numbers of state of which C - 1 are 16-bit if mixed:
 *   2 x state, 2 x 4 gradient (once by the look for non-finite entries, if the caller has no flag), 2 x 4 true parameter, 4 parameter written, and twice what waits for
 *   phase 2: an update and, with attention, an attended point, of 4 bytes each, or 2 if mixed */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "bench_shapes.h"
#include "cli.h"
#include "console.h"
#include "lopt/meta.h"

static double bytes_of(int mixed, int attention, int found_inf) {
    const int state = mixed ? 2 * 18 + 4 : 4 * 19, waiting = (mixed ? 2 : 4) * (attention ? 2 : 1);
    return 2 * state + (found_inf ? 1 : 2) * 4 + 2 * 4 + 4 + 2 * waiting;
}

/* One model in one of the ways to step it. */
typedef struct bench_row {
    const bench_shape *shape;
    int attention, mixed, graph;
} bench_row;

static const char *state_of(const bench_row *w) { return w->mixed ? "mixed" : "fp32"; }

/* The columns that say what a row is of. */
static void print_name(const bench_row *w) {
    char size[CONSOLE_NUMBER_MAX];
    printf("%-10s %7s  %-3s %-5s %-6s ", w->shape->name, console_scaled((double)bench_shape_total(w->shape), size),
           w->attention ? "on" : "off", state_of(w), w->graph ? "graph" : "stream");
}

static void print_head(const bench_gpu_job *job, const lopt_gpu_step *r) {
    printf("%s, copy %.0f GB/s, in place %.0f GB/s, launches: %s%s\n\n", r->device, 1e-9 * r->copy_per_second,
           1e-9 * r->in_place_per_second, job->launches, job->found_inf ? ", with the caller's found_inf" : "");
    printf("%-10s %7s  %-3s %-5s %-6s %10s %12s %8s %8s %10s %9s\n", "model", "params", "att", "state", "by", "ms", "params/s",
           "GB/s", "of copy", "in place", "B/param");
}

static void report_row(const bench_gpu_job *job, const bench_row *w, const lopt_gpu_step *r, json_t *rows) {
    char rate_text[CONSOLE_NUMBER_MAX];
    const double n = (double)bench_shape_total(w->shape), bytes = bytes_of(w->mixed, w->attention, job->found_inf),
                 rate = n / r->seconds;
    const double of_copy = rate * bytes / r->copy_per_second, of_in_place = rate * bytes / r->in_place_per_second;
    if (json_array_size(rows) == 0) print_head(job, r);
    print_name(w);
    printf("%10.4f %10s/s %8.0f %6.1f %% %8.1f %% %9.1f  (%.4f .. %.4f ms)\n", 1e3 * r->seconds, console_scaled(rate, rate_text),
           1e-9 * rate * bytes, 100 * of_copy, 100 * of_in_place, r->bytes_held / n, 1e3 * r->low, 1e3 * r->high);
    fflush(stdout);
    json_array_append_new(rows, json_pack("{s:s, s:s, s:b, s:s, s:f, s:i, s:b, s:s, s:b, s:f, s:f, s:f, s:f, s:f, s:f}", "device",
                                          r->device, "launches", job->launches, "found_inf", job->found_inf, "model",
                                          w->shape->name, "parameters", n, "tensors", (int)w->shape->num_tensors, "attention",
                                          w->attention, "state", state_of(w), "graph", w->graph, "seconds", r->seconds,
                                          "parameters_per_second", rate, "bytes", bytes, "share_of_copy", of_copy,
                                          "share_of_in_place", of_in_place, "bytes_held", r->bytes_held / n));
}

/* skipped: counts the rows for which there is no memory. */
static int measure_row(const bench_gpu_job *job, const bench_row *w, json_t *rows, int *skipped) {
    lopt_gpu_step_options o = LOPT_GPU_STEP_OPTIONS_INIT;
    lopt_gpu_step r;
    o.device = job->device;
    o.num_tensors = w->shape->num_tensors;
    o.counts = w->shape->counts;
    o.weights = w->attention ? "attention=1" : "attention=0";
    o.state_dtype = state_of(w);
    o.graph = w->graph;
    o.launches = job->launches;
    o.found_inf = job->found_inf;
    o.seconds = job->seconds;
    const lopt_status status = lopt_gpu_step_measure(&o, &r);
    if (status == LOPT_ERR_MEMORY) { /* of this size, not of the smaller ones */
        print_name(w);
        printf(" skipped: %s\n", lopt_last_error());
        *skipped += 1;
        return 0;
    }
    if (status != LOPT_OK) return cli_library_status(status);
    report_row(job, w, &r, rows);
    return 0;
}

/* The i-th model to be measured; 0: there are no more. */
static int shape_at(const bench_gpu_job *job, size_t i, bench_shape *out) {
    if (job->num_params == 0) return bench_shape_at(i, out);
    if (i >= job->num_params) return 0;
    const size_t n = (size_t)job->params[i];
    out->num_tensors = job->tensors < n ? job->tensors : n;
    out->name[0] = 0;
    if (out->num_tensors > 1) snprintf(out->name, sizeof out->name, "in %zu", out->num_tensors);
    for (size_t k = 0; k < out->num_tensors; k++) out->counts[k] = n / out->num_tensors + (k < n % out->num_tensors);
    return 1;
}

/* All rows of all models. */
static int measure_all(const bench_gpu_job *job, bench_shape *shape, json_t *rows, int *skipped) {
    int failed = 0;
    for (size_t i = 0; !failed && shape_at(job, i, shape); i++)
        for (int row = 0; row < 8 && !failed; row++) { /* attention, state, stream or graph */
            const bench_row w = {shape, row < 4, row / 2 & 1, row & 1};
            if (job->attention < 0 || w.attention == job->attention) failed = measure_row(job, &w, rows, skipped);
        }
    return failed;
}

int bench_step_gpu(const bench_gpu_job *job) {
    const size_t most = job->tensors > BENCH_TENSORS_MAX ? job->tensors : BENCH_TENSORS_MAX;
    bench_shape shape = {.counts = calloc(most, sizeof *shape.counts)};
    json_t *rows = json_array();
    int skipped = 0;
    int failed = shape.counts ? measure_all(job, &shape, rows, &skipped) : cli_error(CLI_FAILED, "no memory for %zu tensors", most);
    free(shape.counts);
    if (json_array_size(rows) > 0)
        printf(
            "\nMedian over batches of steps, quartiles at the end; bytes moved as counted in csrc/cli/bench_step_gpu.c, and their share of what "
            "a copy\nmoves, which reads here and writes there, and of what a kernel moves that only reads and writes in place, as a step "
            "must.\n");
    /* The sizes that nobody asked for are for GPUs of all sizes. */
    if (!failed && skipped && (job->num_params > 0 || json_array_size(rows) == 0))
        failed = cli_error(CLI_FAILED, "%d of the rows are not measured, since the GPU has no memory for them", skipped);
    /* Rows that were measured before something failed are kept: they may have taken long. */
    const int written = bench_write_json(failed && json_array_size(rows) == 0 ? NULL : job->json, rows);
    return cli_finish_output(failed ? failed : written);
}
