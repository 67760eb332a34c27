/* Baseline sweeps kept between evaluations, one JSON file per task, its data, steps, seeds and version, so that a further learned optimizer
 * costs its own runs alone. */
#ifndef LOPT_EVAL_SWEEP_CACHE_H
#define LOPT_EVAL_SWEEP_CACHE_H

#include "csrc/eval/sweep.h"

/* 1: `out` (created for the request) holds the sweep as it was when it was kept. 0: there is none, or the file is damaged or of
 * another version; `out` may be partly written. */
int sweep_cache_load(const char *dir, const sweep_request *q, task_sweep *out);

/* Replaces the file atomically. LOPT_ERR_IO, LOPT_ERR_MEMORY. */
lopt_status sweep_cache_store(const char *dir, const sweep_request *q, const task_sweep *sweep);

/* A number that is another one, but for chance, where the task, what it trains on or a baseline's rule is: of its start, of losses and gradients there,
 * on all data and on the first minibatch, and of three steps of each baseline. Of test data it knows these runs' accuracy alone. */
lopt_status sweep_fingerprint(const char *spec, uint64_t seed, uint64_t *out);

/* Path of the file, malloc'ed. */
lopt_status sweep_cache_path(const char *dir, const sweep_request *q, char **out);

#endif
