/* Runs a list of independent runs on all threads, with progress and an early end. */
#ifndef LOPT_EVAL_SCHEDULE_H
#define LOPT_EVAL_SCHEDULE_H

#include "csrc/eval/runner.h"
#include "lopt/meta.h"

/* The caller's view of a whole evaluation. */
typedef struct eval_control {
    lopt_eval_fn progress;
    void *self;
    eval_stop stop;
    size_t runs_done, runs_kept, runs_total; /* kept: of those done, by schedule_skip */
    double started;                          /* clock_seconds at the beginning */
    char not_kept[1024];                     /* why a sweep could not be kept; "": all were */
} eval_control;

typedef struct eval_job {
    const char *spec;      /* of the task */
    const char *optimizer; /* name for the progress line */
    run_request request;   /* request.task NULL: the run makes its own instance from spec */
    run_outcome outcome;
} eval_job;

/* A failing run ends it all with the failure of the first such job in the list. Progress is reported by one thread at a time. If
 * eval_stop_asked(&c->stop) afterwards, outcomes mean nothing. */
lopt_status schedule_run(eval_job *jobs, size_t count, eval_control *c);

/* Counts runs that need not be done (their results were kept). */
void schedule_skip(eval_control *c, size_t runs, const char *task);

#endif
