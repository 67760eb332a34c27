/* The benchmarks of lopt bench. Each returns the exit status. */
#ifndef LOPT_CLI_BENCH_H
#define LOPT_CLI_BENCH_H

#include <jansson.h>
#include <stdint.h>

int bench_step(int argc, char **argv);
/* bench_step for device "cuda" */
typedef struct bench_gpu_job {
    int device;
    int attention;          /* 1 on, 0 off, -1 both */
    const uint64_t *params; /* [num_params] sizes of models */
    size_t num_params;      /* 0: the models of bench_shapes.h */
    size_t tensors;         /* that each size is split into */
    double seconds;
    const char *json;
    const char *launches; /* as in lopt_gpu_step_options; found_inf too */
    int found_inf;
} bench_gpu_job;
int bench_step_gpu(const bench_gpu_job *job);
int bench_unroll(int argc, char **argv);
int bench_estimators(int argc, char **argv);
int bench_comm(int argc, char **argv);

/* Before measuring: CLI_DONE if a file can be written there, else the exit status, and the error is told. NULL path: CLI_DONE. */
int bench_check_json(const char *path);
/* {"lopt", "isa", "rows": rows} into the file; rows is taken over. NULL path: nothing. Returns the exit status. */
int bench_write_json(const char *path, json_t *rows);

#endif
