/* The benchmarks of lopt bench. Each returns the exit status. */
#ifndef LOPT_CLI_BENCH_H
#define LOPT_CLI_BENCH_H

#include <jansson.h>

int bench_step(int argc, char **argv);
int bench_unroll(int argc, char **argv);
int bench_estimators(int argc, char **argv);
int bench_comm(int argc, char **argv);

/* {"lopt", "isa", "rows": rows} into the file; rows is taken over. NULL path: nothing. Returns the exit status. */
int bench_write_json(const char *path, json_t *rows);

#endif
