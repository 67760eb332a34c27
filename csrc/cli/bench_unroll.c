/* lopt bench unroll: inner steps per second of meta-training on one core, forward and forward with the exact adjoint. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "bench.h"
#include "cli.h"
#include "console.h"
#include "lopt/meta.h"
#include "samples.h"

enum { KEY_TASKS = 't', KEY_STEPS = 'n', KEY_SECONDS = 's', KEY_ATTENTION = 'a', KEY_JSON = 'o', ROUNDS = 5 };

static const struct argp_option options[] = {
    {"tasks", KEY_TASKS, "SPECS", 0,
     "Task specs separated by ';' (default: the first instance of every family that needs no files)", 0},
    {"steps", KEY_STEPS, "N", 0, "Steps of an unroll (default 100)", 0},
    {"attention", KEY_ATTENTION, "on|off", 0, "With or without attention (default off)", 0},
    {"seconds", KEY_SECONDS, "S", 0, "Time for each figure (default 0.5)", 0},
    {"json", KEY_JSON, "FILE", 0, "Write the rows there as well", 0},
    {0},
};

static const cli_syntax syntax = {
    "lopt bench unroll", options, NULL,
    "Measure lopt_meta_gradient on one core: inner steps per second forward, and forward with the adjoint, "
    "without and with the task's second derivatives.\v"
    "The columns x are the time of the adjoint alone in units of the forward time. The three figures are taken in turns, five "
    "rounds of each; a figure is the median of its quietest round, as other load only ever slows.\n\n"
    "Examples:\n"
    "  lopt bench unroll\n"
    "  lopt bench unroll --tasks 'rosenbrock;quadratic:n=100' --steps 500\n"};

typedef struct unroll_job {
    char *tasks; /* NULL: all families */
    uint64_t steps;
    int attention;
    double seconds;
    const char *json;
} unroll_job;

typedef struct unroll_call {
    lopt_weights *weights;
    lopt_task *task;
    lopt_unroll_options options;
    float *gradient; /* NULL: forward only */
} unroll_call;

static int take(void *self, int key, const char *value) {
    unroll_job *job = self;
    switch (key) {
    case KEY_TASKS:
        free(job->tasks);
        job->tasks = strdup(value);
        return job->tasks ? 0 : cli_error(CLI_FAILED, "no memory for the command line");
    case KEY_STEPS: return cli_whole_number("--steps", value, 1, 1000000, &job->steps);
    case KEY_SECONDS: return cli_positive_number("--seconds", value, 3600, &job->seconds);
    case KEY_JSON: job->json = value; return bench_check_json(value);
    case KEY_ATTENTION:
        job->attention = strcmp(value, "on") == 0;
        return job->attention || strcmp(value, "off") == 0 ? 0
                                                           : cli_error(CLI_USAGE, "--attention %s: it must be on or off", value);
    default: return cli_error(CLI_USAGE, "lopt bench unroll takes no argument %s", value);
    }
}

static int one_unroll(void *self) {
    unroll_call *c = self;
    double loss = 0.0;
    return cli_library_status(lopt_meta_gradient(c->weights, c->task, &c->options, &loss, c->gradient));
}

/* Seconds of one unroll forward, with the first-order and with the whole adjoint. */
static int time_of(const unroll_job *job, unroll_call *c, float *gradient, double out[3]) {
    int failed = 0;
    for (int i = 0; i < 3 * ROUNDS && !failed; i++) {
        const int which = i % 3;
        samples s;
        c->gradient = which == 0 ? NULL : gradient;
        c->options.second_derivatives = which == 2;
        failed = samples_take(one_unroll, c, job->seconds / ROUNDS, &s);
        if (!failed && (i < 3 || s.median < out[which])) out[which] = s.median;
    }
    return failed;
}

static int measure_task(const unroll_job *job, lopt_weights *w, const char *spec, json_t *rows) {
    unroll_call c = {w, NULL, LOPT_UNROLL_OPTIONS_INIT, NULL};
    float *gradient = malloc(lopt_weights_count(w) * sizeof *gradient);
    double seconds[3];
    char texts[3][CONSOLE_NUMBER_MAX];
    size_t n = 0;
    if (gradient == NULL) return cli_error(CLI_FAILED, "no memory for a gradient");
    c.options.steps = (size_t)job->steps;
    int failed = cli_library_status(lopt_task_create(spec, 1, &c.task));
    if (!failed) failed = time_of(job, &c, gradient, seconds);
    for (size_t i = 0; !failed && i < lopt_task_num_tensors(c.task); i++) n += lopt_task_counts(c.task)[i];
    lopt_task_free(c.task);
    free(gradient);
    if (failed) return failed;
    const double steps = (double)job->steps, forward = seconds[0], first = seconds[1], second = seconds[2];
    printf("%-44.44s %7zu  %8s/s  %8s/s %5.2f  %8s/s %5.2f\n", spec, n, console_scaled(steps / forward, texts[0]),
           console_scaled(steps / first, texts[1]), (first - forward) / forward, console_scaled(steps / second, texts[2]),
           (second - forward) / forward);
    fflush(stdout);
    json_array_append_new(rows, json_pack("{s:s, s:I, s:f, s:f, s:f}", "task", spec, "parameters", (json_int_t)n,
                                          "forward_steps_per_second", steps / forward, "first_order_steps_per_second",
                                          steps / first, "second_order_steps_per_second", steps / second));
    return 0;
}

static int measure_all(unroll_job *job, lopt_weights *w, json_t *rows) {
    char *rest = NULL;
    int failed = 0;
    const lopt_family_info *f;
    if (job->tasks == NULL)
        for (size_t i = 0; !failed && (f = lopt_family_get(i)) != NULL; i++)
            if (f->files_variable == NULL) failed = measure_task(job, w, f->num_instances ? f->instances[0] : f->name, rows);
    for (char *spec = job->tasks ? strtok_r(job->tasks, ";", &rest) : NULL; spec && !failed; spec = strtok_r(NULL, ";", &rest))
        failed = measure_task(job, w, spec, rows);
    return failed;
}

static int run(unroll_job *job) {
    lopt_weights *w = NULL;
    json_t *rows = json_array();
    int failed = cli_library_status(lopt_weights_init(job->attention ? "attention=1" : "attention=0", 0, &w));
    if (failed) return failed;
    printf("%s, one core, %llu steps, attention %s\n\n", lopt_isa(), (unsigned long long)job->steps, job->attention ? "on" : "off");
    printf("%-44s %7s  %10s  %10s %5s  %10s %5s\n", "task", "params", "forward", "1st order", "x", "2nd order", "x");
    failed = measure_all(job, w, rows);
    lopt_weights_free(w);
    const int written = bench_write_json(failed ? NULL : job->json, rows);
    return cli_finish_output(failed ? failed : written);
}

int bench_unroll(int argc, char **argv) {
    unroll_job job = {NULL, 100, 0, 0.5, NULL};
    int status = CLI_DONE;
    if (cli_parse(&syntax, argc, argv, take, &job, &status)) status = run(&job);
    free(job.tasks);
    return status;
}
