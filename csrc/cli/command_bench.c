/* lopt bench: chooses between its parts. */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "cli.h"
#include "lopt/meta.h"

typedef struct benchmark {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} benchmark;

static const benchmark benchmarks[] = {
    {"step", bench_step, "parameters per second of an optimizer applied to a large model, and its share of the machine's roofs"},
    {"unroll", bench_unroll, "inner steps per second of meta-training, forward and with the adjoint, per task family"},
    {"estimators", bench_estimators, "bias, variance and cost of the estimators of the meta-gradient"},
    {"comm", bench_comm, "how long the processes of a job take to talk, and what that means for many"},
};
enum { BENCHMARKS = sizeof benchmarks / sizeof benchmarks[0] };

static int help(void) {
    printf("Usage: lopt bench ");
    for (int i = 0; i < BENCHMARKS; i++) printf("%s%s", i ? "|" : "", benchmarks[i].name);
    printf(" [OPTION...]\n\n");
    for (int i = 0; i < BENCHMARKS; i++) printf("  %-10s  %s\n", benchmarks[i].name, benchmarks[i].summary);
    printf("\n--help on each, as lopt bench step --help, explains more.\n");
    return cli_finish_output(CLI_DONE);
}

int command_bench(int argc, char **argv) {
    const char *names[BENCHMARKS];
    if (argc < 2)
        return cli_error(CLI_USAGE, "say what to measure: lopt bench step, unroll, estimators or comm; --help on each explains");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) return help();
    for (int i = 0; i < BENCHMARKS; i++) {
        if (strcmp(argv[1], benchmarks[i].name) == 0) return benchmarks[i].run(argc - 1, argv + 1);
        names[i] = benchmarks[i].name;
    }
    return cli_error(CLI_USAGE, "unknown benchmark %s; did you mean %s?", argv[1], lopt_nearest_name(argv[1], names, BENCHMARKS));
}
