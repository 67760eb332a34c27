/* lopt, second header: training learned optimizers, judging them, and the corpus of tasks. The rules at the top of <lopt/lopt.h> hold.
 * Long calls report through a callback and stop early, with everything saved, when it returns non-zero. */
#ifndef LOPT_META_H
#define LOPT_META_H

#include "lopt/comm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Corpus ------------------------------------------------------------------------------------------------------------ */

typedef struct lopt_task_key { /* one knob of a family's spec */
    const char *name, *help;
    double default_value, min, max; /* lists (hidden layers) give the bounds of each element */
    int is_integer, is_list;
    const char *default_text; /* the default as one would write it in a spec */
} lopt_task_key;

typedef struct lopt_family_info {
    const char *name, *summary, *formula;
    size_t num_keys;
    const lopt_task_key *keys;
    size_t num_instances;
    const char *const *instances; /* the default instances, as specs */
    int held_out;                 /* 1: for evaluation only, refused in training configurations */
    int has_accuracy;             /* 1: reports test accuracy */
    const char *files_variable;   /* NULL, or the environment variable that names the folder of the data files that it needs; such
                                     families stand in no suite, and are named one by one */
} lopt_family_info;

LOPT_API size_t lopt_family_count(void);
/* Static memory; NULL beyond the last family. */
LOPT_API const lopt_family_info *lopt_family_get(size_t index);
/* Sizes of the tensors of the task that a spec names, without making its data. counts [room] out: the first `room` of *num_tensors. */
LOPT_API lopt_status lopt_task_shape(const char *spec, size_t *num_tensors, size_t *counts, size_t room);
/* num_tensors, counts: of the task, static until it is freed. */
LOPT_API const char *lopt_task_name(const lopt_task *t);
LOPT_API size_t lopt_task_num_tensors(const lopt_task *t);
LOPT_API const size_t *lopt_task_counts(const lopt_task *t);

/* ---- Weights, inspected ------------------------------------------------------------------------------------------------- */

/* One weight tensor of the flat vector. shape [2], the second 1 for vectors. Returns 0 beyond the last. */
LOPT_API int lopt_weights_tensor(const lopt_weights *w, size_t index, const char **name, size_t *offset, size_t shape[2]);
/* Size or flag by its option name ("param", "attention", ..., and "guard"); -1 for an unknown one. */
LOPT_API int lopt_weights_option(const lopt_weights *w, const char *name);
/* JSON object that says where they come from; NULL if their file does not. Owned by w. */
LOPT_API const char *lopt_weights_provenance(const lopt_weights *w);

/* ---- Training ------------------------------------------------------------------------------------------------------------ */

typedef struct lopt_config_key { /* one knob of the training configuration; the table is what parser, --help and docs read */
    const char *name;            /* dotted, e.g. "meta_optimizer.learning_rate" */
    const char *type;            /* "int", "float", "bool", "choice", "list", "string" */
    const char *default_text;
    double min, max;     /* numbers only */
    const char *choices; /* "adam|adamw|rmsprop", choice only */
    const char *help;
} lopt_config_key;

LOPT_API size_t lopt_config_count(void);
LOPT_API const lopt_config_key *lopt_config_get(size_t index); /* static memory; NULL beyond the last */

typedef struct lopt_train_progress {
    uint64_t iteration, iterations;  /* meta-iterations done, and wanted */
    uint64_t inner_steps;            /* done since the start of this process */
    double seconds;                  /* since the start of this process */
    double meta_loss, meta_loss_ema; /* mean over particles, and its moving average */
    double gradient_norm, learning_rate;
    uint64_t diverged, restarted; /* particles, in this meta-iteration */
    uint64_t window;              /* steps in this window */
    const char *note;             /* NULL, or a sentence that the user should see once; iteration is then that of the start */
} lopt_train_progress;

typedef int (*lopt_train_fn)(void *self, const lopt_train_progress *p);

typedef struct lopt_train_options {
    size_t struct_size;
    const char *config_path;      /* JSON file, or NULL: all defaults */
    const char *const *overrides; /* [num_overrides] "key=value", applied in order after the file */
    size_t num_overrides;
    const char *out_dir; /* run directory: created; must be empty of a run unless resume */
    int resume;          /* 1: go on from the newest checkpoint of out_dir */
    /* NULL: none. Called after each meta-iteration, and for notes. Non-zero: write a checkpoint and return LOPT_OK with *stopped = 1 */
    lopt_train_fn progress;
    void *self;
    const volatile int *stop; /* NULL, or a flag that a signal handler may set to 1: as a non-zero progress */
    lopt_comm *comm;          /* NULL: this process alone. Otherwise collective, for one job; see below */
} lopt_train_options;

#define LOPT_TRAIN_OPTIONS_INIT \
    { sizeof(lopt_train_options), NULL, NULL, 0, NULL, 0, NULL, NULL, NULL, NULL }

/* With a communicator the particles are spread over its ranks. What is written is the same to the bit for every number of ranks and threads, and
 * a run goes on with any number. Rank 0 alone reads the configuration and the weights to start from, writes the run directory, and calls
 * progress; the other ranks need none of these files. A stop that any rank asks for stops all, at the same meta-iteration. A failure is that of
 * the whole job: every rank returns it. After LOPT_ERR_COMM the communicator must be aborted.
 * stopped  out, may be NULL: 1 if it ended before all meta-iterations were done */
LOPT_API lopt_status lopt_train(const lopt_train_options *o, int *stopped);

/* ---- Estimators of the meta-gradient, judged ------------------------------------------------------------------------------- */

typedef struct lopt_estimator_options {
    size_t struct_size;
    const char *task; /* spec; NULL: "quadratic:n=10" */
    /* 100: length of the episode; 20: of its windows, the last may be shorter; 64 estimates, at least 3 */
    size_t steps, window, samples;
    /* [num_overrides] of the training configuration, "key=value": estimator, es.sigma, es.pairs, second_derivatives, weights.options,
     * weights.from, weights.trained, init_lr.min, init_lr.max, seed; others do not matter */
    const char *const *overrides;
    size_t num_overrides;
} lopt_estimator_options;

#define LOPT_ESTIMATOR_OPTIONS_INIT \
    { sizeof(lopt_estimator_options), NULL, 100, 20, 64, NULL, 0 }

/* An estimate is the mean over the windows of one episode. Task, start and minibatches are the same in all samples, which differ in the
 * perturbations alone; the truth is the exact gradient of the whole episode (one window, second derivatives). */
typedef struct lopt_estimator_quality {
    double bias, bias_error;  /* |expectation - truth| / |truth|, the noise of the mean taken out; its standard error, upwards */
    double cosine;            /* between expectation and truth, the noise likewise taken out; NaN if nothing is left */
    double variance;          /* of one estimate: the sum over its entries / |truth|^2 */
    double steps, seconds;    /* that one estimate takes: inner steps in all its unrolls, time on one core */
    size_t weights, diverged; /* entries of the gradient; samples that were left out because a run diverged */
} lopt_estimator_quality;

/* LOPT_ERR_TASK if the episode itself, or all but two samples, diverge. */
LOPT_API lopt_status lopt_estimator_measure(const lopt_estimator_options *o, lopt_estimator_quality *out);

/* ---- Evaluation ---------------------------------------------------------------------------------------------------------- */

typedef struct lopt_eval_progress {
    size_t runs_done, runs_total;
    double seconds;
    const char *task, *optimizer; /* what has just been run */
    size_t runs_kept;             /* of those done: by an earlier evaluation, whose sweeps were kept, in no time */
} lopt_eval_progress;

typedef int (*lopt_eval_fn)(void *self, const lopt_eval_progress *p);

typedef struct lopt_eval_options {
    size_t struct_size;
    const lopt_weights *const *weights; /* [num_weights] learned optimizers to judge */
    const char *const *labels;          /* [num_weights] their names in the report */
    size_t num_weights;
    const char *suite;     /* "quick" (NULL too), "corpus", "heldout", "digits", or specs separated by ';' */
    size_t steps;          /* 1000: the horizon */
    size_t seeds;          /* 5 */
    uint64_t seed;         /* 0 */
    const char *out_dir;   /* report.html, results.json, results.csv, summary.svg are written here; created */
    const char *cache_dir; /* NULL: out_dir/cache. Baseline sweeps are kept here, keyed by task, its data, steps and seeds */
    lopt_eval_fn progress; /* NULL: none. Non-zero: stop with what is finished cached, LOPT_OK and *stopped = 1 */
    void *self;
    const volatile int *stop;
    const char *horizons; /* "1" (NULL too), "1,10": multiples of steps, each judged by itself; that of 10 goes to out_dir/10x */
    int alone; /* 0. 1: no baselines, in a small part of the time: which runs diverge or rise; only results.csv is written, and not beside the
                * report of an evaluation with baselines */
} lopt_eval_options;

#define LOPT_EVAL_OPTIONS_INIT \
    { sizeof(lopt_eval_options), NULL, NULL, 0, NULL, 1000, 5, 0, NULL, NULL, NULL, NULL, NULL, NULL, 0 }

/* Folders are tried before the first run. Sweeps that cannot be kept are no failure: the summary says so.
 * summary  out: the tables for the terminal, and where it was stopped, malloc'ed text, released with lopt_string_free; may be NULL */
LOPT_API lopt_status lopt_evaluate(const lopt_eval_options *o, char **summary, int *stopped);
LOPT_API void lopt_string_free(char *s);
/* The one of n > 0 names with the smallest edit distance from `wrong`, the first of equals: for sentences about mistyped names. */
LOPT_API const char *lopt_nearest_name(const char *wrong, const char *const *names, size_t n);

/* ---- Machine ------------------------------------------------------------------------------------------------------------- */

typedef struct lopt_machine {
    const char *isa;        /* "avx512", "avx2", "baseline": what the kernels run on */
    int threads;            /* OpenMP threads in use */
    double fma_per_second;  /* measured: fused multiply-adds of floats, all threads */
    double copy_per_second; /* measured: bytes moved (read + written) by a copy larger than the caches, all threads */
} lopt_machine;

/* Measures for about a second. */
LOPT_API lopt_status lopt_machine_measure(lopt_machine *out);
/* Steps of an optimizer on a model in a GPU's memory, timed, beside a copy within that memory and a kernel that does nothing but read and write in place. */
typedef struct lopt_gpu_step_options {
    size_t struct_size;
    int device; /* its number */
    size_t num_tensors;
    const size_t *counts;    /* [num_tensors] */
    const char *weights;     /* as the options of lopt_weights_init; NULL: the defaults */
    const char *state_dtype; /* as in lopt_optimizer_options; so too dtype, of parameters and gradients */
    const char *dtype;
    int graph;      /* 1: a captured step is replayed; 0: steps are enqueued on a stream */
    double seconds; /* 1: time to measure for */
    /* "phases": a kernel for each phase, as profilers show best; "fused": one from phase 1 on, which the default cell alone has. The bits are the
     * same. NULL or "auto": as steps are launched. */
    const char *launches;
    /* 1: the caller has looked at the gradients and hands over a flag (lopt_optimizer_set_scaler), as training with a gradient scaler does; 0: a step
     * looks itself, which reads them once more. */
    int found_inf;
} lopt_gpu_step_options;

#define LOPT_GPU_STEP_OPTIONS_INIT \
    { sizeof(lopt_gpu_step_options), 0, 0, NULL, NULL, NULL, NULL, 0, 1.0, NULL, 0 }

typedef struct lopt_gpu_step {
    char device[64];            /* the GPU's name */
    double seconds;             /* of one step, median over batches of steps that follow each other without a wait */
    double low, high;           /* its quartiles */
    double copy_per_second;     /* bytes read and written by a copy larger than the caches */
    double in_place_per_second; /* and by a kernel that writes them where it has read them, as a step does */
    double bytes_held;          /* by the optimizer */
} lopt_gpu_step;

LOPT_API lopt_status lopt_gpu_step_measure(const lopt_gpu_step_options *o, lopt_gpu_step *out);
/* Name of the instruction set in use; LOPT_ISA=avx512|avx2|baseline in the environment lowers it, any other value does nothing. */
LOPT_API const char *lopt_isa(void);

#ifdef __cplusplus
}
#endif
#endif
