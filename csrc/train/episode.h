/* An episode: one task from a start to the end of its horizon, and what the estimator keeps of it between windows. All its runs share the
 * task, the start, the initial learning rates, the minibatches and the noise; they differ in the weights that drive them. */
#ifndef LOPT_TRAIN_EPISODE_H
#define LOPT_TRAIN_EPISODE_H

#include "csrc/train/estimator.h"
#include "tasks/engine/unroll.h"

typedef struct episode {
    uint64_t run_seed, noise_seed; /* of all that the runs draw; of the perturbations */
    uint64_t window;               /* windows done */
    size_t num_runs, pairs, count; /* count: of the weights */
    unroll_run **runs;             /* [num_runs]: the unperturbed one, or of each pair the one at +eps and the one at -eps */
    unroll_run *trial;   /* where pairs without runs of their own are tried; nothing of it outlives a window. NULL: none */
    float *accumulators; /* [pairs][count], each pair's perturbations since the start added up; NULL: none */
} episode;

/* Before its first window. The task is borrowed; it must outlive the episode. */
lopt_status episode_create(const train_config *c, const weight_layout *layout, const lopt_task *task, uint64_t run_seed,
                           uint64_t noise_seed, episode **out);
void episode_free(episode *e);
/* eps of a pair in the window to come, [count] numbers from N(0, sigma^2): a pure function of (noise_seed, window, pair), or of
 * (noise_seed, pair) for an estimator that reuses it. */
void episode_perturbation(const train_config *c, const episode *e, size_t pair, float *out);

/* Logarithm of the factor that the learning rates of all its runs take before the window to come; 0: they are left alone. */
double episode_shock(const train_config *c, const episode *e);

/* ---- For checkpoints, once a window is done: everything but what episode_create is given ---- */
unroll_position episode_position(const episode *e); /* of all its runs */
size_t episode_floats(const episode *e);
void episode_export(const episode *e, float *out); /* [episode_floats]; the same on every instruction set */
void episode_import(episode *e, unroll_position at, uint64_t window, const float *values);

#endif
