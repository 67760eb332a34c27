#include "csrc/comm/wait.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/bench/clock.h"

enum { LIST_MAX = 400, NAMED_MAX = 3, NAP_NANOSECONDS = 50000 };
#define SPIN 1e-3         /* seconds of polling at full speed, before it sleeps between polls: other ranks may need the core */
#define WATCH_PERIOD 0.05 /* seconds between looks at the other ranks */
#define MOURNING 0.3      /* that a vanished rank's last messages are given */
#define ANSWER_TIME 1.5   /* that others are given to answer */
#define LAPSE 1.0         /* between two polls, that counts at most */

static void nap(void) {
    const struct timespec t = {0, NAP_NANOSECONDS};
    nanosleep(&t, NULL);
}

static lopt_status report_vanished(const comm_watch *w, int rank, const char *what) {
    char name[PEER_TEXT_MAX];
    return lopt_fail(
        LOPT_ERR_COMM,
        "%s has died, seen in %s: the job ends here; start it again with --resume, with any number of ranks, and look in the "
        "system's log for what killed it (often memory)",
        peer_name(&w->peers[rank], rank, name), what);
}

/* Who of all ranks answers in time; there [size] out. */
static void ask_all(comm_watch *w, char *there) {
    const double until = clock_seconds() + ANSWER_TIME;
    int missing = 0;
    there[w->rank] = 1;
    w->kind->ask(w, there);
    for (int r = 0; r < w->size; r++) missing += !there[r];
    while (missing > 0 && clock_seconds() < until) {
        w->kind->answer(w);
        const int from = w->kind->heard(w);
        if (from >= 0 && !there[from]) {
            there[from] = 1;
            missing--;
        }
        if (from < 0) nap();
    }
}

static lopt_status report_expired(const comm_watch *w, const char *there, const char *what) {
    char list[LIST_MAX] = "", name[PEER_TEXT_MAX];
    size_t length = 0;
    int missing = 0;
    for (int r = 0; r < w->size; r++) {
        if (there[r]) continue;
        if (missing++ < NAMED_MAX)
            length += (size_t)snprintf(list + length, sizeof list - length, "%s%s", missing > 1 ? ", " : "",
                                       peer_name(&w->peers[r], r, name));
    }
    if (missing > NAMED_MAX) snprintf(list + length, sizeof list - length, " and %d more", missing - NAMED_MAX);
    if (missing == 0)
        return lopt_fail(
            LOPT_ERR_COMM,
            "%s took longer than the deadline of %g s though all ranks are there: look at the network between them, or raise "
            "comm.deadline; then start again with --resume",
            what, w->deadline);
    return lopt_fail(
        LOPT_ERR_COMM,
        "%s did not come to %s within %g s: frozen, cut off, or busy for longer than that (then raise comm.deadline); the job "
        "ends here; start it again with --resume, with any number of ranks",
        list, what, w->deadline);
}

static lopt_status expire(comm_watch *w, const char *what) {
    void *there = NULL;
    if (w->peers == NULL) return lopt_fail(LOPT_ERR_COMM, "the ranks did not find each other within %g s", w->deadline);
    LOPT_TRY(memory_alloc((size_t)w->size, 1, "the list of ranks", &there));
    ask_all(w, there);
    lopt_status status = report_expired(w, there, what);
    free(there);
    return status;
}

lopt_status comm_wait(comm_watch *w, const char *what, comm_poll poll, void *self) {
    double last = clock_seconds(), watched = last, died = INFINITY, waited = 0.0;
    int done = 0, dead = -1;
    LOPT_TRY(poll(self, &done));
    while (!done) {
        const double now = clock_seconds();
        waited += fmin(now - last, LAPSE); /* a job that was suspended has not waited */
        last = now;
        if (waited > SPIN) nap();
        else sched_yield();
        if (now - watched > WATCH_PERIOD) {
            watched = now;
            w->kind->answer(w);
            if (dead < 0 && w->peers && (dead = w->kind->vanished(w)) >= 0) died = now;
        }
        LOPT_TRY(poll(self, &done));
        if (done) break;
        if (now - died > MOURNING) return report_vanished(w, dead, what);
        if (waited > w->deadline + w->kind->patience) return expire(w, what);
    }
    return LOPT_OK;
}
