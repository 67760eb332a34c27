/* One run: an optimizer on a task instance from its start to its last step, with the losses on the way. */
#ifndef LOPT_EVAL_RUNNER_H
#define LOPT_EVAL_RUNNER_H

#include "csrc/eval/baselines.h"
#include "csrc/eval/protocol.h"
#include "tasks/task.h"

/* Whether the caller wants the end, asked by all threads: said by its callback, or by its flag. */
typedef struct eval_stop {
    int asked;                /* read and written by all threads, as below */
    const volatile int *flag; /* the caller's, or NULL */
} eval_stop;

static inline void eval_stop_ask(eval_stop *s) { __atomic_store_n(&s->asked, 1, __ATOMIC_RELAXED); }
static inline int eval_stop_asked(eval_stop *s) {
    if (s->flag && *s->flag) eval_stop_ask(s);
    return __atomic_load_n(&s->asked, __ATOMIC_RELAXED);
}

typedef struct run_request {
    const lopt_task *task;
    eval_seeds seeds;
    eval_grid grid;
    int curve;       /* 1: the loss at every grid point; 0: at the last one only */
    eval_stop *stop; /* NULL, or: once asked the run ends early, its outcome then means nothing */
    /* Either a baseline and its learning rate, or a learned optimizer. */
    const baseline *baseline;
    double rate;
    const lopt_weights *weights;
} run_request;

typedef struct run_outcome {
    double *losses;          /* [curve ? grid.count : 1], the caller's: the whole loss; NaN where it is not finite */
    double accuracy;         /* on the test data at the end; NaN where there are no labels, and where the last loss is NaN */
    double seconds_per_step; /* gradient and update, without the recorded losses */
} run_outcome;

/* A run that diverges is an outcome, not a failure. */
lopt_status run_execute(const run_request *r, run_outcome *out);

#endif
