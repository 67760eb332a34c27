/* Waiting for MPI with a deadline. MPI itself waits for ever, and for a frozen rank it does; so every call is a non-blocking one that is
 * polled here. A rank that has died on this host is seen at once by its process number. When the deadline passes, this rank asks all
 * others; whoever is waiting as well answers, so that those who do not are the ones that hold up the job. */
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/bench/clock.h"
#include "csrc/comm/mpi_comm.h"

enum { TAG_ASK = 1, TAG_ANSWER = 2, LIST_MAX = 400, NAMED_MAX = 3 };
#define SPIN 1e-3 /* seconds of polling at full speed, before it sleeps between polls: other ranks may need the core */
#define NAP_NANOSECONDS 50000
#define WATCH_PERIOD 0.05 /* seconds between looks at the other ranks */
#define MOURNING 0.3      /* that a vanished rank's last messages are given */
#define ANSWER_TIME 1.5   /* that others are given to answer */

lopt_status mpi_check(int code, const char *what) {
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    if (code == MPI_SUCCESS) return LOPT_OK;
    MPI_Error_string(code, text, &length);
    return lopt_fail(LOPT_ERR_COMM, "MPI failed in %s: %s", what, text);
}

static void nap(void) {
    const struct timespec t = {0, NAP_NANOSECONDS};
    nanosleep(&t, NULL);
}

/* An empty message; whether it ever arrives does not matter. */
static void post(const mpi_comm *m, int to, int tag) {
    MPI_Request request;
    if (MPI_Isend(NULL, 0, MPI_BYTE, to, tag, m->watch, &request) == MPI_SUCCESS) MPI_Request_free(&request);
}

/* The sender of a message with this tag, which is taken; -1: none is there. */
static int take(const mpi_comm *m, int tag) {
    MPI_Status status;
    int there = 0;
    if (MPI_Iprobe(MPI_ANY_SOURCE, tag, m->watch, &there, &status) != MPI_SUCCESS || !there) return -1;
    MPI_Recv(NULL, 0, MPI_BYTE, status.MPI_SOURCE, tag, m->watch, MPI_STATUS_IGNORE);
    return status.MPI_SOURCE;
}

static void answer(const mpi_comm *m) {
    for (int from; (from = take(m, TAG_ASK)) >= 0;) post(m, from, TAG_ANSWER);
}

/* Rank on this host that has died; -1: none. */
static int vanished(const mpi_comm *m) {
    for (int r = 0; m->peers && r < m->base.size; r++)
        if (peer_gone(&m->self, &m->peers[r])) return r;
    return -1;
}

static lopt_status report_vanished(const mpi_comm *m, int rank, const char *what) {
    char name[PEER_TEXT_MAX];
    return lopt_fail(
        LOPT_ERR_COMM,
        "%s has died, seen in %s: the job ends here; start it again with --resume, with any number of ranks, and look in the "
        "system's log for what killed it (often memory)",
        peer_name(&m->peers[rank], rank, name), what);
}

/* Who of all ranks answers in time; there [size] out. */
static void ask_all(const mpi_comm *m, char *there) {
    const double until = clock_seconds() + ANSWER_TIME;
    int missing = m->base.size - 1;
    there[m->base.rank] = 1;
    for (int r = 0; r < m->base.size; r++)
        if (r != m->base.rank) post(m, r, TAG_ASK);
    while (missing > 0 && clock_seconds() < until) {
        answer(m);
        const int from = take(m, TAG_ANSWER);
        if (from >= 0 && !there[from]) {
            there[from] = 1;
            missing--;
        }
        if (from < 0) nap();
    }
}

static lopt_status report_expired(const mpi_comm *m, const char *there, const char *what) {
    char list[LIST_MAX] = "", name[PEER_TEXT_MAX];
    size_t length = 0;
    int missing = 0;
    for (int r = 0; r < m->base.size; r++) {
        if (there[r]) continue;
        if (missing++ < NAMED_MAX)
            length += (size_t)snprintf(list + length, sizeof list - length, "%s%s", missing > 1 ? ", " : "",
                                       peer_name(&m->peers[r], r, name));
    }
    if (missing > NAMED_MAX) snprintf(list + length, sizeof list - length, " and %d more", missing - NAMED_MAX);
    if (missing == 0)
        return lopt_fail(
            LOPT_ERR_COMM,
            "%s took longer than the deadline of %g s though all ranks are there: look at the network between them, or raise "
            "comm.deadline; then start again with --resume",
            what, m->base.deadline);
    return lopt_fail(
        LOPT_ERR_COMM,
        "%s did not come to %s within %g s: frozen, cut off, or busy for longer than that (then raise comm.deadline); the job "
        "ends here; start it again with --resume, with any number of ranks",
        list, what, m->base.deadline);
}

static lopt_status expire(const mpi_comm *m, const char *what) {
    void *there = NULL;
    LOPT_TRY(memory_alloc((size_t)m->base.size, 1, "the list of ranks", &there));
    ask_all(m, there);
    lopt_status status = m->peers ? report_expired(m, there, what)
                                  : lopt_fail(LOPT_ERR_COMM, "the ranks did not find each other within %g s", m->base.deadline);
    free(there);
    return status;
}

/* Test as many at a time as MPI counts. */
static lopt_status all_done(MPI_Request *requests, size_t n, const char *what, int *done) {
    const size_t most = 1 << 20;
    *done = 1;
    for (size_t i = 0; i < n && *done; i += most)
        LOPT_TRY(mpi_check(MPI_Testall((int)(n - i < most ? n - i : most), requests + i, done, MPI_STATUSES_IGNORE), what));
    return LOPT_OK;
}

lopt_status mpi_wait(mpi_comm *m, MPI_Request *requests, size_t n, const char *what) {
    const double started = clock_seconds();
    double watched = started, died = INFINITY;
    int done = 0, dead = -1;
    LOPT_TRY(all_done(requests, n, what, &done));
    while (!done) {
        const double now = clock_seconds();
        if (now - started > SPIN) nap();
        else sched_yield();
        if (now - watched > WATCH_PERIOD) {
            watched = now;
            answer(m);
            if (dead < 0 && (dead = vanished(m)) >= 0) died = now;
        }
        LOPT_TRY(all_done(requests, n, what, &done));
        if (done) break;
        if (now - died > MOURNING) return report_vanished(m, dead, what);
        if (now - started > m->base.deadline) return expire(m, what);
    }
    return LOPT_OK;
}
