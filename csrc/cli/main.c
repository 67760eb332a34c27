/* lopt: meta-trains, evaluates, measures and inspects learned optimizers. Each command is one file; this one only chooses. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "lopt/meta.h"

typedef struct command {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} command;

static const command commands[] = {
    {"train", "meta-train a learned optimizer on many small tasks", command_train},
    {"eval", "judge learned optimizers against tuned baselines, and write a report", command_eval},
    {"bench", "measure: optimizer steps, unrolls, estimators, and the exchange between processes", command_bench},
    {"tasks", "list the task families, or show one task", command_tasks},
    {"info", "show what is in a weights file, or what this build can do", command_info},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static int show_help(void) {
    printf("Usage: lopt COMMAND [OPTION...]\n\n"
           "Learned optimizers: update rules that are small recurrent networks with trained weights.\n\n");
    for (size_t i = 0; i < COMMANDS; i++) printf("  %-7s %s\n", commands[i].name, commands[i].summary);
    printf(
        "\n  lopt COMMAND --help explains a command; lopt --version shows the version.\n\n"
        "Exit status: 0 if the job did what was asked, 1 if it failed, 2 for a wrong command line or configuration,\n"
        "128 + N if signal N stopped it. Errors go to stderr. OMP_NUM_THREADS sets the number of threads; no result depends on it.\n"
        "LOPT_ISA=avx2 or baseline takes a lesser instruction set than the machine's best.\n\n"
        "Examples:\n"
        "  lopt train --config configs/stage-1.json --out runs/first\n"
        "  lopt eval --untrained runs/first/weights.safetensors\n"
        "  lopt info runs/first/weights.safetensors\n");
    return cli_finish_output(CLI_DONE);
}

static int is_one_of(const char *word, const char *a, const char *b) { return strcmp(word, a) == 0 || strcmp(word, b) == 0; }

/* The library takes the best instruction set where it does not know the name; a benchmark of what was not asked for would mislead. */
static int check_isa(void) {
    static const char *const names[] = {"avx512", "avx2", "baseline"};
    enum { NAMES = sizeof names / sizeof names[0] };
    const char *wish = getenv("LOPT_ISA");
    if (wish == NULL || wish[0] == 0) return CLI_DONE;
    for (size_t i = 0; i < NAMES; i++)
        if (strcmp(wish, names[i]) == 0) return CLI_DONE;
    return cli_error(CLI_USAGE, "LOPT_ISA=%.32s in the environment: it must be avx512, avx2 or baseline; did you mean %s?", wish,
                     lopt_nearest_name(wish, names, NAMES));
}

/* A file that is opened while one of the three is closed would take its place, and what is printed would go there. */
static void open_standard_files(void) {
    int file = 0;
    while ((file = open("/dev/null", O_RDWR)) >= 0 && file <= STDERR_FILENO) {}
    if (file > STDERR_FILENO) close(file);
}

int main(int argc, char **argv) {
    const char *names[COMMANDS];
    open_standard_files();
    signal(SIGPIPE, SIG_IGN); /* a reader that goes away is an error of writing, not a death amid a job */
    signal(SIGXFSZ, SIG_IGN); /* a limit of file sizes, likewise */
    if (argc < 2) return cli_error(CLI_USAGE, "a command is missing: train, eval, bench, tasks or info; lopt --help explains them");
    if (is_one_of(argv[1], "--help", "-h") || is_one_of(argv[1], "help", "-?")) return show_help();
    if (is_one_of(argv[1], "--version", "-V")) {
        printf("lopt %s\n", lopt_version());
        return cli_finish_output(CLI_DONE);
    }
    if (check_isa() != CLI_DONE) return CLI_USAGE;
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) return commands[i].run(argc - 1, argv + 1);
        names[i] = commands[i].name;
    }
    return cli_error(CLI_USAGE, "unknown command %s; did you mean %s? lopt --help lists them", argv[1],
                     lopt_nearest_name(argv[1], names, COMMANDS));
}
