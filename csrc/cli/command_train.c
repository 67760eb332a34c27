/* lopt train */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "arguments.h"
#include "cli.h"
#include "config_help.h"
#include "console.h"
#include "job.h"
#include "lopt/meta.h"
#include "signals.h"

enum { KEY_CONFIG = 'c', KEY_SET = 's', KEY_OUT = 'o', KEY_RESUME = 'r', KEY_HELP_CONFIG = 1000, KEY_COMM };

static const struct argp_option options[] = {
    {"config", KEY_CONFIG, "FILE", 0, "JSON configuration; keys that it leaves out keep their defaults", 0},
    {"set", KEY_SET, "KEY=VALUE", 0, "Set one key, after the file; may be repeated", 0},
    {"out", KEY_OUT, "DIR", 0, "Run directory: configuration, metrics.jsonl, checkpoints and weights.safetensors", 0},
    {"resume", KEY_RESUME, NULL, 0, "Go on from the newest checkpoint in DIR", 0},
    {"comm", KEY_COMM, "KIND", 0, "How the processes of a job talk: self, mpi, nccl, or auto (default): as they were started", 0},
    {"help-config", KEY_HELP_CONFIG, NULL, 0, "List every configuration key with its default, bounds and meaning", 0},
    {0},
};

static const cli_syntax syntax = {
    "lopt train", options, NULL,
    "Meta-train a learned optimizer: run it on many small tasks side by side, and improve its weights by the gradient of the "
    "meta-loss.\v"
    "Progress goes to stderr. Ctrl-C (or SIGTERM) writes a checkpoint and ends with status 130 (143), since the job is not "
    "finished; --resume goes on from there with the same bits as if it had never stopped. A second Ctrl-C ends a process that is alone at once. SIGUSR1 "
    "and SIGHUP (a terminal that was closed; nohup ignores it) do as SIGTERM, with status 138 and 129; mpirun hands SIGUSR1 on, where it gives its "
    "processes one second after Ctrl-C. Status 2: the arguments or the configuration "
    "are wrong; 1: anything else failed, and another try may not.\n\n"
    "Under mpirun or srun the processes are one job: they share the particles, and files are the same to the bit for any number of "
    "processes and threads; --resume takes any number too. If a process dies or freezes, the job ends; go on with --resume.\n\n"
    "Examples:\n"
    "  lopt train --config configs/stage-1.json --out runs/first\n"
    "  lopt train --config configs/stage-1.json --set seed=7 --out runs/seed7\n"
    "  lopt train --out runs/first --resume\n"
    "  mpirun -n 8 lopt train --config configs/stage-1.json --out runs/first\n"
    "  lopt train --help-config\n"};

typedef struct train_command {
    lopt_train_options options;
    const char **overrides; /* as many as there are arguments */
    int help_config;
    const char *comm;
    console_progress console;
    uint64_t first; /* meta-iteration that this process did first; 0: none yet */
    lopt_train_progress last;
} train_command;

static int take(void *self, int key, const char *value) {
    train_command *job = self;
    switch (key) {
    case KEY_CONFIG: job->options.config_path = value; return 0;
    case KEY_SET: job->overrides[job->options.num_overrides++] = value; return 0;
    case KEY_OUT: job->options.out_dir = value; return 0;
    case KEY_RESUME: job->options.resume = 1; return 0;
    case KEY_COMM: job->comm = value; return 0;
    case KEY_HELP_CONFIG: job->help_config = 1; return 0;
    default: return cli_error(CLI_USAGE, "lopt train takes no argument %s; a configuration is given as --config FILE", value);
    }
}

/* A sentence of the trainer, or the state of things: how far, how well, how fast, how long yet. */
static int show_progress(void *self, const lopt_train_progress *p) {
    train_command *job = self;
    char rate[CONSOLE_NUMBER_MAX], left[CONSOLE_NUMBER_MAX], done[CONSOLE_NUMBER_MAX], all[CONSOLE_NUMBER_MAX];
    if (p->note) {
        console_progress_end(&job->console);
        fprintf(stderr, "note: %s\n", p->note);
        return 0;
    }
    if (job->first == 0) job->first = p->iteration;
    job->last = *p;
    if (!console_progress_due(&job->console, p->iteration >= p->iterations)) return 0;
    const double here = (double)(p->iteration - job->first + 1);
    console_duration(p->seconds / here * (double)(p->iterations - p->iteration), left);
    console_scaled(p->seconds > 0 ? (double)p->inner_steps / p->seconds : 0.0, rate);
    console_progress_show(&job->console, "%s/%s  meta-loss %.3f  %s inner steps/s  %s left%s", console_grouped(p->iteration, done),
                          console_grouped(p->iterations, all), p->meta_loss_ema, rate, left,
                          p->diverged ? "  (some runs diverged)" : "");
    return 0;
}

static int tell_end(const train_command *job, int stopped) {
    const char *dir = job->options.out_dir;
    char took[CONSOLE_NUMBER_MAX], done[CONSOLE_NUMBER_MAX];
    if (stopped) {
        if (job->last.iterations)
            fprintf(stderr, "Stopped by %s after %s meta-iterations", signals_name(), console_grouped(job->last.iteration, done));
        else fprintf(stderr, "Stopped by %s before the next meta-iteration", signals_name());
        fprintf(stderr, "; a checkpoint is written. Go on with:\n  lopt train --resume --out %s\n", dir);
        return 128 + (signals_caught() ? signals_caught() : SIGTERM);
    }
    if (job->last.iterations)
        fprintf(stderr, "Done: %s meta-iterations in %s, meta-loss %.3f.\n", console_grouped(job->last.iteration, done),
                console_duration(job->last.seconds, took), job->last.meta_loss_ema);
    else fprintf(stderr, "Nothing left to do: all meta-iterations of this run are done.\n");
    printf("%s/weights.safetensors\n", dir);
    return cli_finish_output(CLI_DONE);
}

static int train(train_command *job, cli_job *ranks) {
    int stopped = 0;
    job->options.comm = ranks->comm;
    job->options.progress = show_progress;
    job->options.self = job;
    job->console = console_progress_start();
    const lopt_status status = lopt_train(&job->options, &stopped);
    console_progress_end(&job->console);
    if (status == LOPT_OK && stopped) cli_job_share_signal(ranks);
    int exit_status = stopped ? 128 + (signals_caught() ? signals_caught() : SIGTERM) : CLI_DONE;
    if (status == LOPT_OK && ranks->first) exit_status = tell_end(job, stopped);
    return cli_job_end(ranks, status, exit_status);
}

static int run(train_command *job) {
    cli_job ranks;
    if (job->help_config) {
        config_help_print();
        return cli_finish_output(CLI_DONE);
    }
    if (job->options.out_dir == NULL)
        return cli_error(CLI_USAGE, "a run directory is missing: lopt train --out DIR; lopt train --help explains");
    const int failed = cli_job_begin(job->comm, &ranks);
    if (failed) return failed;
    job->options.stop = signals_catch(); /* not before: there is nothing to save while the ranks find each other */
    if (job->options.stop == NULL) return cli_job_end(&ranks, LOPT_OK, cli_error(CLI_FAILED, "signals cannot be caught"));
    return train(job, &ranks);
}

int command_train(int argc, char **argv) {
    train_command job = {.options = LOPT_TRAIN_OPTIONS_INIT};
    int status = CLI_DONE;
    job.overrides = calloc((size_t)argc, sizeof *job.overrides);
    if (job.overrides == NULL) return cli_error(CLI_FAILED, "no memory for the command line");
    job.options.overrides = job.overrides;
    if (cli_parse(&syntax, argc, argv, take, &job, &status)) status = run(&job);
    free(job.overrides);
    return status;
}
