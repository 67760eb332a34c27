/* lopt eval */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "cli.h"
#include "console.h"
#include "lopt/meta.h"
#include "signals.h"

enum {
    KEY_WEIGHTS = 'w',
    KEY_UNTRAINED = 'u',
    KEY_SUITE = 't',
    KEY_STEPS = 'n',
    KEY_SEEDS = 'k',
    KEY_SEED = 's',
    KEY_OUT = 'o',
    KEY_CACHE = 'c',
    KEY_HORIZONS = 'z',
    KEY_ALONE = 'a'
};

static const struct argp_option options[] = {
    {"weights", KEY_WEIGHTS, "[LABEL=]FILE", 0,
     "A learned optimizer to judge; may be repeated, and FILE alone will do as well (./FILE where its name has a =)", 0},
    {"untrained", KEY_UNTRAINED, NULL, 0, "Judge fresh weights too: what the first weights' sizes are worth without training", 0},
    {"suite", KEY_SUITE, "NAME", 0, "quick (default), corpus, heldout, digits, or task specs separated by ';'", 0},
    {"steps", KEY_STEPS, "N", 0, "Steps of each run (default 1000)", 0},
    {"horizons", KEY_HORIZONS, "N,...", 0,
     "Judge at these multiples of the steps, each with its own sweeps and report (default 1; 1,10 shows what lasts)", 0},
    {"alone", KEY_ALONE, NULL, 0,
     "No baselines, in a small part of the time: which runs diverge, and which end above where they were", 0},
    {"seeds", KEY_SEEDS, "N", 0, "Runs of each optimizer on each task (default 5)", 0},
    {"seed", KEY_SEED, "N", 0, "What starts and batches are drawn from (default 0)", 0},
    {"out", KEY_OUT, "DIR", 0,
     "Where report.html, results.json, results.csv and summary.svg go (default: eval; with --alone, which writes results.csv only, eval/alone)",
     0},
    {"cache", KEY_CACHE, "DIR", 0, "Where the baselines' sweeps are kept for the next time (default: DIR/cache)", 0},
    {0},
};

static const cli_syntax syntax = {
    "lopt eval", options, "[FILE...]",
    "Judge learned optimizers, without any tuning, against SGD, momentum, Nesterov, RMSProp, Adam, AdamW, NAdamW, and Adam and AdamW "
    "with a cosine schedule, each at its best of 15 learning rates per task, from the same starts and batches.\v"
    "The table goes to stdout; the report with loss curves is a single HTML file in DIR. Ctrl-C keeps the sweeps that are finished; "
    "the same command then goes on from there.\n\n"
    "Examples:\n"
    "  lopt eval runs/first/weights.safetensors --untrained --out runs/first/eval\n"
    "  lopt eval --weights old=a.safetensors --weights new=b.safetensors --suite digits --seeds 5\n"
    "  lopt eval w.safetensors --suite heldout --steps 2000 --seeds 5 --horizons 1,10\n"
    "  lopt eval w.safetensors --suite corpus --steps 20000 --alone\n"
    "  lopt eval w.safetensors --suite 'rosenbrock;mlp:inputs=8,hidden=16x16,batch=32' --steps 10000\n"};

typedef struct eval_job {
    lopt_eval_options options;
    lopt_weights **weights; /* [as many as arguments + 1] */
    char **labels;          /* likewise */
    int untrained;
    console_progress console;
} eval_job;

/* "LABEL=FILE", or FILE, which is then its own label. A path with a = in it is no label's: "runs/seed=1/weights.safetensors". */
static int add_weights(eval_job *job, const char *value) {
    const char *equals = strchr(value, '='), *slash = strchr(value, '/');
    if (equals && slash && slash < equals) equals = NULL;
    const char *file = equals ? equals + 1 : value;
    const size_t n = job->options.num_weights;
    const int failed = cli_library_status(lopt_weights_load(file, &job->weights[n]));
    if (failed) return failed;
    job->labels[n] = equals ? strndup(value, (size_t)(equals - value)) : strdup(value);
    if (job->labels[n] == NULL) return cli_error(CLI_FAILED, "no memory for the command line");
    job->options.num_weights++;
    return 0;
}

static int take(void *self, int key, const char *value) {
    eval_job *job = self;
    uint64_t number = 0;
    switch (key) {
    case CLI_ARGUMENT:
    case KEY_WEIGHTS: return add_weights(job, value);
    case KEY_UNTRAINED: job->untrained = 1; return 0;
    case KEY_ALONE: job->options.alone = 1; return 0;
    case KEY_SUITE: job->options.suite = value; return 0;
    case KEY_OUT: job->options.out_dir = value; return 0;
    case KEY_HORIZONS: job->options.horizons = value; return 0;
    case KEY_CACHE: job->options.cache_dir = value; return 0;
    case KEY_SEED: return cli_whole_number("--seed", value, 0, UINT64_MAX, &job->options.seed);
    case KEY_STEPS:
        if (cli_whole_number("--steps", value, 1, 10000000, &number) != 0) return CLI_USAGE;
        job->options.steps = (size_t)number;
        return 0;
    case KEY_SEEDS:
        if (cli_whole_number("--seeds", value, 1, 1000, &number) != 0) return CLI_USAGE;
        job->options.seeds = (size_t)number;
        return 0;
    default: return cli_error(CLI_USAGE, "unknown argument %s", value);
    }
}

/* Fresh weights of the same sizes as the first ones, or of the default sizes. */
static int add_untrained(eval_job *job) {
    static const char *const names[] = {"param",     "tensor",        "global",      "scales",
                                        "attention", "grad_products", "relative_lr", "gradient_shortcut"};
    char text[256] = "";
    const size_t n = job->options.num_weights;
    for (size_t i = 0, at = 0; n > 0 && i < sizeof names / sizeof names[0]; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s=%d", i ? "," : "", names[i],
                               lopt_weights_option(job->weights[0], names[i]));
    const int failed = cli_library_status(lopt_weights_init(text, job->options.seed, &job->weights[n]));
    if (failed) return failed;
    job->labels[n] = strdup("untrained");
    if (job->labels[n] == NULL) return cli_error(CLI_FAILED, "no memory for the command line");
    job->options.num_weights++;
    return 0;
}

static int show_progress(void *self, const lopt_eval_progress *p) {
    eval_job *job = self;
    char left[CONSOLE_NUMBER_MAX];
    if (!console_progress_due(&job->console, p->runs_done >= p->runs_total)) return 0;
    const size_t made = p->runs_done - p->runs_kept;
    const double each = made ? p->seconds / (double)made : 0.0;
    console_progress_show(&job->console, "%zu/%zu runs  %s left  %s, %s", p->runs_done, p->runs_total,
                          console_duration(each * (double)(p->runs_total - p->runs_done), left), p->task, p->optimizer);
    return 0;
}

/* Where to look: a line for each horizon. */
static void print_places(const lopt_eval_options *o) {
    const char *at = o->horizons ? o->horizons : "1";
    while (at) {
        const unsigned long long factor = strtoull(at, NULL, 10);
        printf("%s: %s/", o->alone ? "All tasks" : "Report", o->out_dir);
        if (factor != 1) printf("%llux/", factor);
        printf("%s\n", o->alone ? "results.csv" : "report.html");
        at = strchr(at, ',');
        if (at) at++;
    }
}

static int run(eval_job *job) {
    char *summary = NULL;
    int stopped = 0;
    if (job->untrained && add_untrained(job) != 0) return CLI_FAILED;
    if (job->options.num_weights == 0)
        return cli_error(CLI_USAGE, "nothing to judge: name a weights file, or --untrained; lopt eval --help explains");
    if (job->options.out_dir == NULL) job->options.out_dir = job->options.alone ? "eval/alone" : "eval";
    job->options.stop = signals_catch();
    if (job->options.stop == NULL) return cli_error(CLI_FAILED, "signals cannot be caught");
    job->options.weights = (const lopt_weights *const *)job->weights;
    job->options.labels = (const char *const *)job->labels;
    job->options.progress = show_progress;
    job->options.self = job;
    job->console = console_progress_start();
    lopt_status status = lopt_evaluate(&job->options, &summary, &stopped);
    console_progress_end(&job->console);
    if (status != LOPT_OK) return cli_library_status(status);
    printf("%s\n", summary); /* of the horizons that are done, and where it was stopped */
    lopt_string_free(summary);
    if (stopped) fprintf(stderr, "Stopped by %s.\n", signals_name());
    else print_places(&job->options);
    const int printed = cli_finish_output(CLI_DONE);
    return stopped ? 128 + signals_caught() : printed;
}

int command_eval(int argc, char **argv) {
    eval_job job = {.options = LOPT_EVAL_OPTIONS_INIT};
    const size_t room = (size_t)argc + 1;
    int status = CLI_FAILED;
    job.weights = calloc(room, sizeof *job.weights);
    job.labels = calloc(room, sizeof *job.labels);
    if (job.weights == NULL || job.labels == NULL) status = cli_error(CLI_FAILED, "no memory for the command line");
    else if (cli_parse(&syntax, argc, argv, take, &job, &status)) status = run(&job);
    for (size_t i = 0; job.weights && i < room; i++) lopt_weights_free(job.weights[i]);
    for (size_t i = 0; job.labels && i < room; i++) free(job.labels[i]);
    free(job.weights);
    free(job.labels);
    return status;
}
