/* lopt bench step: how many parameters per second an optimizer takes one step further, beside what the machine can do.
 *
 * Cost per parameter of a step, with C = P + 2S + 1 numbers of state, fp32:
 *   bytes  2 x 4 C state read and written, 2 x 4 gradient (once by the look for non-finite entries), 2 x 4 true parameter,
 *          2 x 4 waiting update, 4 parameter written; with attention 2 x 4 more for the waiting attended point
 *   FLOPs  2 x [3P (X + P) gates and candidate + P (4, with attention 5) + S (1, with attention 2) readouts]; the polynomials of some
 *          80 exponentials, logarithms and roots are not counted */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "bench.h"
#include "cli.h"
#include "console.h"
#include "lopt/meta.h"
#include "samples.h"

enum {
    KEY_DEVICE = 'd',
    KEY_PARAMS = 'p',
    KEY_TENSORS = 't',
    KEY_THREADS = 'j',
    KEY_ATTENTION = 'a',
    KEY_LAUNCHES = 'l',
    KEY_FOUND_INF = 'f',
    KEY_SECONDS = 's',
    KEY_JSON = 'o'
};
enum { LIST_MAX = 16 };

static const struct argp_option options[] = {
    {"device", KEY_DEVICE, "NAME", 0, "cpu (default), cuda, cuda:1", 0},
    {"params", KEY_PARAMS, "N,...", 0, "Sizes of the model (default 1M,5M,25M; on a GPU 1 M, ResNet-50, GPT-2 and 1 B)", 0},
    {"tensors", KEY_TENSORS, "N", 0, "Tensors that the parameters of --params are split into (default 1)", 0},
    {"threads", KEY_THREADS, "N,...", 0, "Numbers of threads (default: 1 and all)", 0},
    {"attention", KEY_ATTENTION, "on|off|both", 0, "With or without attention (default both)", 0},
    {"launches", KEY_LAUNCHES, "auto|phases|fused", 0,
     "On a GPU: a kernel for each phase of a step, or one from phase 1 on (default auto: by the model's size)", 0},
    {"found-inf", KEY_FOUND_INF, NULL, 0,
     "On a GPU: the caller has a flag for gradients that are not finite, as with a gradient scaler, so that a step does not look for them",
     0},
    {"seconds", KEY_SECONDS, "S", 0, "Time for each row (default 2)", 0},
    {"json", KEY_JSON, "FILE", 0, "Write the rows there as well", 0},
    {0},
};

static const cli_syntax syntax = {
    "lopt bench step", options, NULL,
    "Measure lopt_optimizer_step on a model of fp32 parameters with the default sizes of the optimizer.\v"
    "The roofs, multiply-adds in registers and a copy larger than the caches, are measured in the same "
    "process with the same number of threads. LOPT_ISA=avx2 or baseline in the environment measures lesser "
    "instruction sets.\n\n"
    "Examples:\n"
    "  lopt bench step\n"
    "  lopt bench step --device cuda\n"
    "  lopt bench step --device cuda --launches phases\n"
    "  lopt bench step --params 25M --threads 1,2,4 --attention on --json step.json\n"};

typedef struct step_job {
    uint64_t params[LIST_MAX], threads[LIST_MAX], tensors; /* 0: not given */
    size_t num_params, num_threads;
    int params_given;
    int attention[2], num_attention;
    double seconds;
    const char *json, *device, *launches;
    int found_inf;
} step_job;

/* A model and its optimizer. */
typedef struct bench_model {
    size_t tensors, *counts;
    float *storage, **params;
    const float **grads;
    lopt_optimizer *opt;
} bench_model;

static int take(void *self, int key, const char *value) {
    step_job *job = self;
    switch (key) {
    case KEY_DEVICE: job->device = value; return 0;
    case KEY_PARAMS:
        job->params_given = 1;
        return cli_whole_numbers("--params", value, 1, 100000000000, job->params, LIST_MAX, &job->num_params);
    case KEY_THREADS: return cli_whole_numbers("--threads", value, 1, 4096, job->threads, LIST_MAX, &job->num_threads);
    case KEY_TENSORS: return cli_whole_number("--tensors", value, 1, 1000000, &job->tensors);
    case KEY_SECONDS: return cli_positive_number("--seconds", value, 3600, &job->seconds);
    case KEY_JSON: job->json = value; return bench_check_json(value);
    case KEY_LAUNCHES:
        job->launches = value;
        if (strcmp(value, "auto") != 0 && strcmp(value, "phases") != 0 && strcmp(value, "fused") != 0)
            return cli_error(CLI_USAGE, "--launches %s: it must be auto, phases or fused", value);
        return 0;
    case KEY_FOUND_INF: job->found_inf = 1; return 0;
    case KEY_ATTENTION:
        job->num_attention = strcmp(value, "both") == 0 ? 2 : 1;
        if (job->num_attention == 1) job->attention[0] = strcmp(value, "on") == 0;
        if (job->num_attention == 1 && !job->attention[0] && strcmp(value, "off") != 0)
            return cli_error(CLI_USAGE, "--attention %s: it must be on, off or both", value);
        return 0;
    default: return cli_error(CLI_USAGE, "lopt bench step takes no argument %s", value);
    }
}

static void model_free(bench_model *m) {
    lopt_optimizer_free(m->opt);
    free(m->counts);
    free(m->storage);
    free(m->params);
    free(m->grads);
}

/* n parameters and gradients, some of each sign and size. */
static int model_make(const step_job *job, size_t n, int attention, bench_model *m) {
    lopt_weights *w = NULL;
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    *m = (bench_model){.tensors = job->tensors < n ? (size_t)job->tensors : n};
    m->counts = calloc(m->tensors, sizeof *m->counts);
    m->params = calloc(m->tensors, sizeof *m->params);
    m->grads = calloc(m->tensors, sizeof *m->grads);
    m->storage = n < SIZE_MAX / 8 ? malloc(2 * n * sizeof(float)) : NULL;
    if (!m->counts || !m->params || !m->grads || !m->storage) return cli_error(CLI_FAILED, "no memory for %zu parameters", n);
    for (size_t i = 0; i < n; i++) {
        m->storage[i] = (float)(i * 2654435761u % 1000) * 1e-3f - 0.5f;
        m->storage[n + i] = (float)(i * 2246822519u % 1999) * 1e-4f - 0.1f;
    }
    for (size_t i = 0, at = 0; i < m->tensors; at += m->counts[i++]) {
        m->counts[i] = n / m->tensors + (i < n % m->tensors);
        m->params[i] = m->storage + at;
        m->grads[i] = m->storage + n + at;
    }
    o.device = job->device;
    lopt_status status = lopt_weights_init(attention ? "attention=1" : "attention=0", 0, &w);
    if (status == LOPT_OK) status = lopt_optimizer_create(w, &o, m->tensors, m->counts, m->params, NULL, &m->opt);
    lopt_weights_free(w);
    return cli_library_status(status);
}

static int one_step(void *self) {
    bench_model *m = self;
    return cli_library_status(lopt_optimizer_step(m->opt, m->params, m->grads, NULL));
}

static double bytes_of(int attention) { return 2 * 4 * 19 + 2 * 4 + 2 * 4 + 2 * 4 + 4 + (attention ? 2 * 4 : 0); }
static double multiply_adds_of(int attention) { return 3 * 10 * (12 + 10) + 10 * (attention ? 5 : 4) + 4 * (attention ? 2 : 1); }

static int measure_row(const step_job *job, size_t n, int attention, const lopt_machine *machine, double *one_thread,
                       json_t *rows) {
    bench_model m;
    samples s;
    char size[CONSOLE_NUMBER_MAX], rate_text[CONSOLE_NUMBER_MAX];
    int failed = model_make(job, n, attention, &m);
    if (!failed) failed = samples_take(one_step, &m, job->seconds, &s);
    model_free(&m);
    if (failed) return failed;
    const double rate = (double)n / s.median, fma = rate * multiply_adds_of(attention) / machine->fma_per_second;
    const double copy = rate * bytes_of(attention) / machine->copy_per_second;
    if (machine->threads == 1) *one_thread = rate;
    printf("%8s  %-3s %7d  %9s/s  %6.1f  %5.0f  %6.0f   %5.1f %%  %5.1f %%", console_scaled((double)n, size),
           attention ? "on" : "off", machine->threads, console_scaled(rate, rate_text), 1e9 / rate, bytes_of(attention),
           2 * multiply_adds_of(attention), 100 * fma, 100 * copy);
    if (*one_thread > 0.0 && machine->threads > 1) printf("  %5.2fx", rate / *one_thread);
    printf("  (%.1f .. %.1f ms)\n", 1e3 * s.low, 1e3 * s.high);
    fflush(stdout);
    json_array_append_new(rows, json_pack("{s:I, s:b, s:i, s:f, s:f, s:f, s:f, s:f, s:f}", "parameters", (json_int_t)n, "attention",
                                          attention, "threads", machine->threads, "parameters_per_second", rate, "bytes",
                                          bytes_of(attention), "flops", 2 * multiply_adds_of(attention), "share_of_fma", fma,
                                          "share_of_copy", copy, "spread", (s.high - s.low) / s.median));
    return 0;
}

static int run(step_job *job) {
    const int all = cli_threads();
    lopt_machine machine[LIST_MAX];
    json_t *rows = json_array();
    int failed = 0;
    if (job->num_threads == 0) {
        job->threads[job->num_threads++] = 1;
        if (all > 1) job->threads[job->num_threads++] = (uint64_t)all;
    }
    for (size_t t = 0; t < job->num_threads; t++) {
        char fma[CONSOLE_NUMBER_MAX], copy[CONSOLE_NUMBER_MAX];
        cli_set_threads((int)job->threads[t]);
        failed = cli_library_status(lopt_machine_measure(&machine[t]));
        if (failed) return failed;
        printf("roof, %s, %d thread(s): %s multiply-adds/s, copy %sB/s\n", machine[t].isa, machine[t].threads,
               console_scaled(machine[t].fma_per_second, fma), console_scaled(machine[t].copy_per_second, copy));
    }
    printf("\n%8s  %-3s %7s  %11s  %6s  %5s  %6s   %7s  %7s\n", "params", "att", "threads", "params", "ns", "bytes", "FLOPs",
           "of FMA", "of copy");
    for (int a = 0; a < job->num_attention; a++)
        for (size_t p = 0; p < job->num_params && !failed; p++) {
            double one_thread = 0.0;
            for (size_t t = 0; t < job->num_threads && !failed; t++) {
                cli_set_threads((int)job->threads[t]);
                failed = measure_row(job, (size_t)job->params[p], job->attention[a], &machine[t], &one_thread, rows);
            }
        }
    printf(
        "\nMedian over repeated steps, quartiles at the end; bytes and FLOPs per parameter as counted in csrc/cli/bench_step.c.\n");
    const int written = bench_write_json(failed ? NULL : job->json, rows);
    return cli_finish_output(failed ? failed : written);
}

/* "cuda", "cuda:1": the GPU's number; -1: another device. */
static int gpu_number(const char *device) {
    char *end = NULL;
    if (device == NULL || strncmp(device, "cuda", 4) != 0) return -1;
    if (device[4] == 0) return 0;
    const long n = device[4] == ':' ? strtol(device + 5, &end, 10) : -1;
    return end && *end == 0 && n >= 0 && n < 1024 ? (int)n : -1;
}

static int run_on(step_job *job) {
    const int gpu = gpu_number(job->device);
    if (gpu < 0 && job->device && strcmp(job->device, "cpu") != 0)
        return cli_error(CLI_USAGE, "--device %s: it must be cpu, cuda or cuda:N", job->device);
    if (gpu < 0 && job->launches) return cli_error(CLI_USAGE, "--launches is for --device cuda");
    if (gpu < 0 && job->found_inf) return cli_error(CLI_USAGE, "--found-inf is for --device cuda");
    if (job->tensors == 0) job->tensors = 1;
    if (gpu < 0) return run(job);
    if (job->num_threads > 0) return cli_error(CLI_USAGE, "--threads is for --device cpu");
    if (job->tensors > 1 && !job->params_given)
        return cli_error(CLI_USAGE, "--tensors: on a GPU it splits the sizes of --params, which say so too");
    const bench_gpu_job on_gpu = {gpu,
                                  job->num_attention == 2 ? -1 : job->attention[0],
                                  job->params,
                                  job->params_given ? job->num_params : 0,
                                  (size_t)job->tensors,
                                  job->seconds,
                                  job->json,
                                  job->launches ? job->launches : "auto",
                                  job->found_inf};
    return bench_step_gpu(&on_gpu);
}

int bench_step(int argc, char **argv) {
    step_job job = {
        .params = {1000000, 5000000, 25000000}, .num_params = 3, .attention = {1, 0}, .num_attention = 2, .seconds = 2.0};
    int status = CLI_DONE;
    return cli_parse(&syntax, argc, argv, take, &job, &status) ? run_on(&job) : status;
}
