/* lopt bench: chooses between its parts. */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "cli.h"
#include "lopt/meta.h"

int command_bench(int argc, char **argv) {
    static const char *const names[] = {"step", "unroll"};
    if (argc < 2) return cli_error(CLI_USAGE, "say what to measure: lopt bench step or lopt bench unroll; --help on each explains");
    if (strcmp(argv[1], "step") == 0) return bench_step(argc - 1, argv + 1);
    if (strcmp(argv[1], "unroll") == 0) return bench_unroll(argc - 1, argv + 1);
    if (strcmp(argv[1], "--help") == 0) {
        printf("Usage: lopt bench step|unroll [OPTION...]\n\n"
               "  step     parameters per second of an optimizer applied to a large model, and its share of the machine's roofs\n"
               "  unroll   inner steps per second of meta-training, forward and with the adjoint, per task family\n\n"
               "lopt bench step --help and lopt bench unroll --help explain more.\n");
        return cli_finish_output(CLI_DONE);
    }
    return cli_error(CLI_USAGE, "unknown benchmark %s; did you mean %s?", argv[1], lopt_nearest_name(argv[1], names, 2));
}
