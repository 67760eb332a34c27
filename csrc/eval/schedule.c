#include "csrc/eval/schedule.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/status.h"
#include "csrc/bench/clock.h"
#include "csrc/optimizer/subnormals.h"

/* The failure of the earliest job, carried from a worker to the calling thread (sentences are per thread). */
typedef struct schedule_failure {
    lopt_status status;
    size_t job;
    char sentence[1024];
} schedule_failure;

static __attribute__((noinline)) lopt_status run_job(eval_job *job, eval_control *c) {
    lopt_status status = LOPT_OK;
    lopt_task *own = NULL;
    run_request request = job->request;
    request.stop = &c->stop;
    if (request.task == NULL) LOPT_TRY_CLEANUP(lopt_task_create(job->spec, request.seeds.instance, &own));
    if (own) request.task = own;
    LOPT_TRY_CLEANUP(run_execute(&request, &job->outcome));
cleanup:
    lopt_task_free(own);
    return status;
}

static void report(eval_control *c, size_t runs, const char *task, const char *optimizer) {
    c->runs_done += runs;
    lopt_eval_progress p = {c->runs_done, c->runs_total, clock_seconds() - c->started, task, optimizer, c->runs_kept};
    if (c->progress && !eval_stop_asked(&c->stop) && c->progress(c->self, &p) != 0) eval_stop_ask(&c->stop);
}

void schedule_skip(eval_control *c, size_t runs, const char *task) {
    c->runs_kept += runs;
    report(c, runs, task, "kept baselines");
}

static void note_failure(schedule_failure *f, lopt_status status, size_t job) {
    if (f->status != LOPT_OK && f->job < job) return;
    f->status = status;
    f->job = job;
    snprintf(f->sentence, sizeof f->sentence, "%s", lopt_last_error());
}

lopt_status schedule_run(eval_job *jobs, size_t count, eval_control *c) {
    schedule_failure failure = {LOPT_OK, 0, ""};
    atomic_int failed = 0;
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t i = 0; i < count; i++) {
        if (atomic_load(&failed) || eval_stop_asked(&c->stop)) continue;
        const unsigned mode = subnormals_on(); /* threads may come with that of whoever made them */
        lopt_status status = run_job(&jobs[i], c);
        subnormals_restore(mode);
#pragma omp critical(lopt_eval_schedule)
        {
            if (status != LOPT_OK) {
                atomic_store(&failed, 1);
                note_failure(&failure, status, i);
            } else {
                report(c, 1, jobs[i].spec, jobs[i].optimizer);
            }
        }
    }
    LOPT_CHECK(failure.status == LOPT_OK, failure.status, "%s on %s: %s", jobs[failure.job].optimizer, jobs[failure.job].spec,
               failure.sentence);
    return LOPT_OK;
}
