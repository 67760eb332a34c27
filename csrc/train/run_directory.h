/* The directory of a training run: config.json, metrics.jsonl, checkpoint-*.safetensors, weights.safetensors, and a lock that keeps two
 * processes from writing it at once. */
#ifndef LOPT_TRAIN_RUN_DIRECTORY_H
#define LOPT_TRAIN_RUN_DIRECTORY_H

#include <stdint.h>

#include "lopt/lopt.h"

typedef struct run_directory {
    char *path;
    int lock;  /* descriptor that holds the flock; -1: none */
    int made;  /* it was not there before */
    int begun; /* set by the caller: the run has not been refused */
} run_directory;

#define RUN_DIRECTORY_NONE \
    { NULL, -1, 0, 0 }

/* Makes the directory if need be, and locks it. */
lopt_status run_directory_open(const char *path, run_directory *out);
/* A directory that was made for a run which then did not begin is gone again. */
void run_directory_close(run_directory *d);
/* 1: a run has been here. */
int run_directory_has_run(const run_directory *d);
/* "path/name". malloc'ed. */
lopt_status run_directory_file(const run_directory *d, const char *name, char **out);
/* The checkpoint of a meta-iteration. malloc'ed. */
lopt_status run_directory_checkpoint(const run_directory *d, uint64_t iteration, char **out);
/* Meta-iterations of the checkpoints that are there, newest first; at most `room` of them. */
lopt_status run_directory_checkpoints(const run_directory *d, uint64_t *iterations, size_t room, size_t *count);
/* Removes all checkpoints but the two newest up to this meta-iteration: later ones are damaged and were passed over. */
lopt_status run_directory_prune(const run_directory *d, uint64_t newest);
/* Removes what processes that were killed amid writing have left beside a run's files. What cannot be removed stays. */
void run_directory_tidy(const run_directory *d);

#endif
