/* lopt bench estimators: bias, variance and cost of each estimator of the meta-gradient, against the exact gradient of a whole episode. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "bench.h"
#include "cli.h"
#include "console.h"
#include "lopt/meta.h"

enum { KEY_TASK = 't', KEY_STEPS = 'n', KEY_WINDOW = 'w', KEY_SAMPLES = 's', KEY_SIZES = 'z', KEY_SET = 'c', KEY_JSON = 'o' };
enum { OVERRIDES_MAX = 32, OVERRIDE_LENGTH = 256, CHOICES_LENGTH = 128 };

static const struct argp_option options[] = {
    {"task", KEY_TASK, "SPEC", 0, "The task (default quadratic:n=10)", 0},
    {"steps", KEY_STEPS, "N", 0, "Steps of an episode (default 100)", 0},
    {"window", KEY_WINDOW, "N", 0, "Steps of a window (default 20)", 0},
    {"samples", KEY_SAMPLES, "N", 0, "Estimates to take with each estimator (default 2000)", 0},
    {"sizes", KEY_SIZES, "OPTIONS", 0, "Sizes and flags of the optimizer (default param=4,tensor=4,global=4)", 0},
    {"set", KEY_SET, "KEY=VALUE", 0, "Training configuration, as es.pairs=16 (lopt train --help-config); may be repeated", 0},
    {"json", KEY_JSON, "FILE", 0, "Write the rows there as well", 0},
    {0},
};

static const cli_syntax syntax = {
    "lopt bench estimators", options, NULL,
    "Measure the estimators of the meta-gradient on one task: how far each is off on average, how much it scatters, what it costs.\v"
    "An estimate is the mean over the windows of one episode; the truth is the exact gradient of the episode in one piece. Task, start and "
    "minibatches stay the same, so that all scatter is the estimator's own.\n\n"
    "  bias      |expectation - truth| / |truth|, noise taken out, and its error:\n"
    "            what no number of particles removes\n"
    "  cosine    between expectation and truth: 1 is the right direction\n"
    "  variance  of one estimate, summed over the weights, / |truth|^2: falls as\n"
    "            1 / (particles x pairs), grows with the number of weights\n"
    "  steps     inner steps of one estimate; tbptt and mix take them backward too\n"
    "  at 1 s    |error| / |truth| of the mean over one second of one core\n\n"
    "How to choose. tbptt has no scatter and costs least; its bias is what lies beyond the window. If that is small, or if longer windows "
    "make it so without exploding gradients, take it. es has the same blindness and scatters too: it serves where a window cannot be "
    "differentiated, or where its loss is so rough that only a smoothed gradient (es.sigma) means something. pes and nres see the whole "
    "episode with windows as short as you like, at a variance near (number of weights) / es.pairs: take many particles and pairs. pes "
    "draws fresh perturbations in every window, nres one for the episode; which scatters less depends on the task. mix stays near tbptt "
    "where that is steady and turns to pes where gradients explode; its bias lies between theirs. The bias of tbptt vanishes with --window "
    "at least --steps; what is left of that of pes and nres is the smoothing by es.sigma.\n\n"
    "Examples:\n"
    "  lopt bench estimators\n"
    "  lopt bench estimators --task rosenbrock --steps 200 --set es.pairs=32\n"
    "  lopt bench estimators --sizes '' --set weights.from=w.safetensors\n"};

typedef struct estimators_job {
    const char *task, *json, *overrides[OVERRIDES_MAX];
    size_t num_overrides;
    uint64_t steps, window, samples;
    char sizes[OVERRIDE_LENGTH];
} estimators_job;

static int take_override(estimators_job *job, const char *value) {
    if (strncmp(value, "estimator=", strlen("estimator=")) == 0)
        return cli_error(CLI_USAGE, "--set %s: all estimators are measured, one after the other", value);
    if (job->num_overrides + 2 >= OVERRIDES_MAX) return cli_error(CLI_USAGE, "more than %d --set", OVERRIDES_MAX - 2);
    job->overrides[job->num_overrides++] = value;
    return 0;
}

static int take(void *self, int key, const char *value) {
    estimators_job *job = self;
    switch (key) {
    case KEY_TASK: job->task = value; return 0;
    case KEY_STEPS: return cli_whole_number("--steps", value, 1, 1000000, &job->steps);
    case KEY_WINDOW: return cli_whole_number("--window", value, 1, 1000000, &job->window);
    case KEY_SAMPLES: return cli_whole_number("--samples", value, 3, 1000000, &job->samples);
    case KEY_SIZES:
        if (snprintf(job->sizes, sizeof job->sizes, "weights.options=%s", value) < (int)sizeof job->sizes) return 0;
        return cli_error(CLI_USAGE, "--sizes %.32s...: too long", value);
    case KEY_SET: return take_override(job, value);
    case KEY_JSON: job->json = value; return bench_check_json(value);
    default: return cli_error(CLI_USAGE, "lopt bench estimators takes no argument %s", value);
    }
}

static int measure_row(const estimators_job *job, const char *name, json_t *rows) {
    const char *overrides[OVERRIDES_MAX];
    char choice[OVERRIDE_LENGTH], steps[CONSOLE_NUMBER_MAX];
    lopt_estimator_options o = LOPT_ESTIMATOR_OPTIONS_INIT;
    lopt_estimator_quality q;
    snprintf(choice, sizeof choice, "estimator=%s", name);
    o.overrides = overrides;
    overrides[o.num_overrides++] = choice;
    overrides[o.num_overrides++] = job->sizes;
    for (size_t i = 0; i < job->num_overrides; i++) overrides[o.num_overrides++] = job->overrides[i];
    o.task = job->task;
    o.steps = (size_t)job->steps;
    o.window = (size_t)job->window;
    o.samples = (size_t)job->samples;
    const int failed = cli_library_status(lopt_estimator_measure(&o, &q));
    if (failed) return failed;
    printf("%-9s  %8.4f +- %-8.2g  %7.4f  %9.3g  %8s  %7.2f  %7.4f", name, q.bias, q.bias_error, q.cosine, q.variance,
           console_scaled(q.steps, steps), 1e3 * q.seconds, sqrt(q.bias * q.bias + q.variance * q.seconds));
    if (q.diverged) printf("  (%zu samples diverged)", q.diverged);
    printf("\n");
    fflush(stdout);
    json_array_append_new(rows, json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:f, s:f, s:o, s:f, s:f, s:f, s:I}", "estimator", name,
                                          "task", job->task, "steps_of_episode", (json_int_t)job->steps, "window",
                                          (json_int_t)job->window, "samples", (json_int_t)job->samples, "weights",
                                          (json_int_t)q.weights, "bias", q.bias, "bias_error", q.bias_error, "cosine",
                                          isfinite(q.cosine) ? json_real(q.cosine) : json_null(), "variance", q.variance,
                                          "inner_steps", q.steps, "seconds", q.seconds, "diverged", (json_int_t)q.diverged));
    return 0;
}

/* The choices of the configuration key "estimator", in its order. */
static int measure_all(const estimators_job *job, json_t *rows) {
    char names[CHOICES_LENGTH], *rest = NULL;
    const lopt_config_key *k = NULL;
    int failed = 0;
    for (size_t i = 0; (k = lopt_config_get(i)) != NULL && strcmp(k->name, "estimator") != 0; i++) continue;
    snprintf(names, sizeof names, "%s", k ? k->choices : "");
    for (char *name = strtok_r(names, "|", &rest); name && !failed; name = strtok_r(NULL, "|", &rest))
        failed = measure_row(job, name, rows);
    return failed;
}

static int run(const estimators_job *job) {
    json_t *rows = json_array();
    printf("%s, one core, %s, %llu steps in windows of %llu, %llu samples, %s", lopt_isa(), job->task,
           (unsigned long long)job->steps, (unsigned long long)job->window, (unsigned long long)job->samples, job->sizes);
    for (size_t i = 0; i < job->num_overrides; i++) printf(", %s", job->overrides[i]);
    printf("\n\n%-9s  %8s %11s  %7s  %9s  %8s  %7s  %7s\n", "estimator", "bias", "error", "cosine", "variance", "steps", "ms",
           "at 1 s");
    const int failed = measure_all(job, rows);
    const int written = bench_write_json(failed ? NULL : job->json, rows);
    return cli_finish_output(failed ? failed : written);
}

int bench_estimators(int argc, char **argv) {
    estimators_job job = {.task = "quadratic:n=10",
                          .steps = 100,
                          .window = 20,
                          .samples = 2000,
                          .sizes = "weights.options=param=4,tensor=4,global=4"};
    int status = CLI_DONE;
    return cli_parse(&syntax, argc, argv, take, &job, &status) ? run(&job) : status;
}
