/* Waiting for MPI's requests, and questions by MPI's messages. */
#include <stddef.h>

#include "base/status.h"
#include "csrc/comm/mpi_comm.h"

enum { TAG_ASK = 1, TAG_ANSWER = 2, TESTED_AT_ONCE = 1 << 20 };

lopt_status mpi_check(int code, const char *what) {
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    if (code == MPI_SUCCESS) return LOPT_OK;
    MPI_Error_string(code, text, &length);
    return lopt_fail(LOPT_ERR_COMM, "MPI failed in %s: %s", what, text);
}

/* ---- Questions ------------------------------------------------------------------------------------------------------------- */

static mpi_comm *of(comm_watch *w) { return (mpi_comm *)(void *)((char *)w - offsetof(mpi_comm, watch)); }

/* An empty message; whether it ever arrives does not matter. */
static void post(const mpi_comm *m, int to, int tag) {
    MPI_Request request;
    if (MPI_Isend(NULL, 0, MPI_BYTE, to, tag, m->questions, &request) == MPI_SUCCESS) MPI_Request_free(&request);
}

/* The sender of a message with this tag, which is taken; -1: none is there. */
static int take(const mpi_comm *m, int tag) {
    MPI_Status status;
    int there = 0;
    if (MPI_Iprobe(MPI_ANY_SOURCE, tag, m->questions, &there, &status) != MPI_SUCCESS || !there) return -1;
    MPI_Recv(NULL, 0, MPI_BYTE, status.MPI_SOURCE, tag, m->questions, MPI_STATUS_IGNORE);
    return status.MPI_SOURCE;
}

static void answer(comm_watch *w) {
    for (int from; (from = take(of(w), TAG_ASK)) >= 0;) post(of(w), from, TAG_ANSWER);
}

static void ask(comm_watch *w, char *there) {
    for (int r = 0; r < w->size; r++)
        if (!there[r]) post(of(w), r, TAG_ASK);
}

static int heard(comm_watch *w) { return take(of(w), TAG_ANSWER); }

static int vanished(comm_watch *w) {
    for (int r = 0; r < w->size; r++)
        if (peer_gone(&w->peers[w->rank], &w->peers[r])) return r;
    return -1;
}

const watch_kind mpi_watch = {answer, ask, heard, vanished, 0.0};

/* ---- Waiting --------------------------------------------------------------------------------------------------------------- */

typedef struct waiting {
    MPI_Request *requests;
    size_t n;
    const char *what;
} waiting;

/* Tests as many at a time as MPI counts. */
static lopt_status poll(void *self, int *done) {
    const waiting *t = self;
    *done = 1;
    for (size_t i = 0; i < t->n && *done; i += TESTED_AT_ONCE) {
        const int n = (int)(t->n - i < TESTED_AT_ONCE ? t->n - i : TESTED_AT_ONCE);
        LOPT_TRY(mpi_check(MPI_Testall(n, t->requests + i, done, MPI_STATUSES_IGNORE), t->what));
    }
    return LOPT_OK;
}

lopt_status mpi_wait(mpi_comm *m, MPI_Request *requests, size_t n, const char *what) {
    waiting t = {requests, n, what};
    m->watch.deadline = m->base.deadline;
    return comm_wait(&m->watch, what, poll, &t);
}
