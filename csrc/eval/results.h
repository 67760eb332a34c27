/* Everything that an evaluation found, and what follows from it; what the table, the report and the files are written from. */
#ifndef LOPT_EVAL_RESULTS_H
#define LOPT_EVAL_RESULTS_H

#include "csrc/eval/sweep.h"

/* Whom a learned optimizer is compared with, seed by seed. */
typedef enum eval_rival { RIVAL_TUNED_ADAM, RIVAL_ONE_RATE_ADAM, RIVAL_DEFAULT_ADAM, RIVAL_COUNT } eval_rival;
const char *eval_rival_name(eval_rival r);

/* Whose last loss, as a mean over the seeds, a learned optimizer's speed is measured by. */
typedef enum eval_target { TARGET_BEST_BASELINE, TARGET_TUNED_ADAM, TARGET_COUNT } eval_target;

/* How the runs of one optimizer on one task ended. */
typedef struct eval_ending {
    double loss;               /* mean over the seeds of the last loss; NaN if any diverged */
    double accuracy;           /* mean over the seeds; NaN without labels */
    size_t diverged, worsened; /* runs whose last loss is not finite; is above their first one (the diverged ones too) */
    size_t risen;              /* runs whose last loss is above the one after a tenth of the steps (the diverged ones too) */
} eval_ending;
eval_ending eval_ending_of(const eval_curve *c, size_t seeds, eval_grid grid);

/* A learned optimizer on one task. */
typedef struct learned_result {
    eval_curve curve;
    eval_ending ending;
    size_t steps_to_target[TARGET_COUNT]; /* steps until its mean loss is at most the target; 0: never */
    double speed_up[TARGET_COUNT];        /* steps of the run / steps_to_target; 0: never, or diverged */
    double wins[RIVAL_COUNT];             /* share of the seeds */
} learned_result;

typedef struct eval_task {
    char *spec;
    size_t parameters, tensors;
    double start_loss; /* mean over the seeds */
    task_sweep sweep;
    size_t best_method; /* of the baselines, each at its best rate */
    size_t best_rate[BASELINE_COUNT];
    learned_result *learned; /* [num_learned] */
} eval_task;

typedef struct speed_total {
    double mean, low, high; /* interquartile mean over the tasks, 95 % bootstrap interval */
    size_t reached;         /* tasks whose target was reached */
} speed_total;

/* A learned optimizer over the suite. */
typedef struct learned_total {
    speed_total speed_up[TARGET_COUNT];
    double wins[RIVAL_COUNT]; /* share of all (task, seed) pairs */
    size_t diverged, worsened, risen, runs;
    double seconds_per_step; /* geometric mean over the tasks */
} learned_total;

typedef struct eval_results {
    const char *suite;
    const char *const *labels; /* [num_learned] */
    size_t num_learned, num_tasks, seeds;
    int alone; /* 1: without baselines: sweeps are empty, and nothing that compares is filled in */
    uint64_t seed;
    eval_grid grid;
    eval_task *tasks;      /* [num_tasks] */
    learned_total *totals; /* [num_learned] */
    size_t one_rate;       /* index of Adam's one best rate for the whole suite: lowest mean rank over the tasks */
} eval_results;

/* The last mean loss of a baseline at its best rate. */
double eval_task_baseline_loss(const eval_task *t, size_t method);

/* How the learned runs ended: start losses, endings and the totals' counts of runs. All that there is to say without baselines. */
void eval_results_count(eval_results *r);
/* From losses to verdicts: fills everything but names, sizes, sweeps and curves. */
lopt_status eval_results_judge(eval_results *r);
void eval_results_release(eval_results *r);

#endif
