/* The communicator over MPI, in host memory. */
#include <dlfcn.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/comm/launch.h"
#include "csrc/comm/mpi_comm.h"

enum { TAG_DATA = 1, ABORT_SECONDS = 10 };
#define PIECE ((size_t)1 << 30) /* bytes of one message at most: MPI counts in int */

static lopt_status barrier(lopt_comm *c) {
    mpi_comm *m = (mpi_comm *)c;
    MPI_Request request;
    LOPT_TRY(mpi_check(MPI_Ibarrier(m->data, &request), "a barrier"));
    return mpi_wait(m, &request, 1, "a barrier");
}

static lopt_status broadcast(lopt_comm *c, void *data, size_t bytes, int root) {
    mpi_comm *m = (mpi_comm *)c;
    for (size_t at = 0; at < bytes; at += PIECE) {
        MPI_Request request;
        const size_t n = bytes - at < PIECE ? bytes - at : PIECE;
        LOPT_TRY(mpi_check(MPI_Ibcast((char *)data + at, (int)n, MPI_BYTE, root, m->data, &request), "a broadcast"));
        LOPT_TRY(mpi_wait(m, &request, 1, "a broadcast"));
    }
    return LOPT_OK;
}

static lopt_status allgather(lopt_comm *c, const void *send, const size_t *bytes, void *recv) {
    mpi_comm *m = (mpi_comm *)c;
    void *memory = NULL;
    size_t total = 0;
    MPI_Request request;
    for (int r = 0; r < c->size; r++) {
        LOPT_CHECK(bytes[r] <= INT_MAX - total, LOPT_ERR_COMM, "an allgather of more than 2 GB is more than MPI can count");
        total += bytes[r];
    }
    LOPT_TRY(memory_alloc(2 * (size_t)c->size, sizeof(int), "an allgather", &memory));
    int *counts = memory, *offsets = counts + c->size;
    for (int r = 0, at = 0; r < c->size; at += counts[r++]) {
        counts[r] = (int)bytes[r];
        offsets[r] = at;
    }
    lopt_status status = mpi_check(
        MPI_Iallgatherv(send, counts[c->rank], MPI_BYTE, recv, counts, offsets, MPI_BYTE, m->data, &request), "an allgather");
    if (status == LOPT_OK) status = mpi_wait(m, &request, 1, "an allgather");
    if (status == LOPT_OK) free(memory); /* else MPI may still read it */
    return status;
}

static size_t pieces(size_t bytes) { return (bytes + PIECE - 1) / PIECE; }

static lopt_status reserve(mpi_comm *m, size_t n) {
    void *memory = NULL;
    if (n <= m->room) return LOPT_OK;
    LOPT_TRY(memory_alloc(n, sizeof(MPI_Request), "an exchange", &memory));
    free(m->requests);
    m->requests = memory;
    m->room = n;
    return LOPT_OK;
}

/* Both directions with one rank. */
static lopt_status post_pair(mpi_comm *m, int r, const char *send, size_t send_bytes, char *recv, size_t recv_bytes, size_t *n) {
    for (size_t at = 0; at < recv_bytes; at += PIECE) {
        const int count = (int)(recv_bytes - at < PIECE ? recv_bytes - at : PIECE);
        LOPT_TRY(mpi_check(MPI_Irecv(recv + at, count, MPI_BYTE, r, TAG_DATA, m->data, &m->requests[(*n)++]), "an exchange"));
    }
    for (size_t at = 0; at < send_bytes; at += PIECE) {
        const int count = (int)(send_bytes - at < PIECE ? send_bytes - at : PIECE);
        LOPT_TRY(mpi_check(MPI_Isend(send + at, count, MPI_BYTE, r, TAG_DATA, m->data, &m->requests[(*n)++]), "an exchange"));
    }
    return LOPT_OK;
}

static size_t offset_of(const size_t *bytes, int rank) {
    size_t at = 0;
    for (int r = 0; r < rank; r++) at += bytes[r];
    return at;
}

/* Messages one by one, nothing to those who get nothing: so it serves to gather and to scatter as well. Each rank begins with its
 * neighbour, so that not all send to the same one at first. */
static lopt_status alltoall(lopt_comm *c, const void *send, const size_t *send_bytes, void *recv, const size_t *recv_bytes) {
    mpi_comm *m = (mpi_comm *)c;
    size_t n = 0, needed = 0;
    for (int r = 0; r < c->size; r++) needed += pieces(send_bytes[r]) + pieces(recv_bytes[r]);
    LOPT_TRY(reserve(m, needed));
    for (int i = 1; i < c->size; i++) {
        const int r = (c->rank + i) % c->size;
        LOPT_TRY(post_pair(m, r, (const char *)send + offset_of(send_bytes, r), send_bytes[r],
                           (char *)recv + offset_of(recv_bytes, r), recv_bytes[r], &n));
    }
    if (send_bytes[c->rank] > 0)
        memcpy((char *)recv + offset_of(recv_bytes, c->rank), (const char *)send + offset_of(send_bytes, c->rank),
               send_bytes[c->rank]);
    return mpi_wait(m, m->requests, n, "an exchange");
}

static void release(mpi_comm *m) {
    free(m->peers);
    free(m->requests);
    free(m);
}

/* A second after its launcher is gone Open MPI aborts a process, whatever that is at: a meta-iteration that takes longer would be lost, and
 * all before it that no checkpoint has. Its parameter opal_abort_delay puts aborts off, but is read as MPI starts and holds for every abort,
 * those of a failing start and our own too; so its variable is set, where this is an MPI that has it and the user has not. */
static void put_off_aborts(mpi_comm *m) {
    int *delay = dlsym(RTLD_DEFAULT, "opal_abort_delay");
    if (delay == NULL || *delay != 0) return;
    m->abort_delay = delay;
    *delay = (int)COMM_DEADLINE;
}
static void abort_at_once(mpi_comm *m) {
    if (m->abort_delay) *m->abort_delay = 0;
}

static void close_mpi(lopt_comm *c) {
    mpi_comm *m = (mpi_comm *)c;
    MPI_Comm_free(&m->data);
    MPI_Comm_free(&m->questions);
    abort_at_once(m);
    if (m->owns_mpi && getppid() == m->parent) MPI_Finalize(); /* else it would wait for an abort that is put off */
    release(m);
}

/* The launcher ends all other processes. Should it be unable to, at least this one ends. */
static void abort_mpi(lopt_comm *c, int status) {
    abort_at_once((mpi_comm *)c);
    signal(SIGALRM, SIG_DFL);
    alarm(ABORT_SECONDS);
    MPI_Abort(MPI_COMM_WORLD, status);
}

static lopt_status initialise(mpi_comm *m) {
    int initialised = 0, finalised = 0, provided = 0;
    MPI_Initialized(&initialised);
    MPI_Finalized(&finalised);
    LOPT_CHECK(!finalised, LOPT_ERR_COMM, "MPI was finalised before: it can be used once in a process");
    if (initialised) return LOPT_OK;
    m->parent = getppid();
    LOPT_TRY(mpi_check(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided), "starting"));
    m->owns_mpi = 1;
    put_off_aborts(m);
    return LOPT_OK;
}

static lopt_status know_each_other(mpi_comm *m) {
    const peer self = peer_self();
    void *memory = NULL;
    MPI_Request request;
    LOPT_TRY(memory_alloc((size_t)m->base.size, sizeof(peer), "the list of ranks", &memory));
    peer *peers = memory;
    lopt_status status = mpi_check(
        MPI_Iallgather(&self, (int)sizeof self, MPI_BYTE, peers, (int)sizeof self, MPI_BYTE, m->data, &request), "the start");
    if (status == LOPT_OK) status = mpi_wait(m, &request, 1, "the start");
    if (status != LOPT_OK) return status; /* MPI may still write to the list */
    m->watch.peers = m->peers = peers;
    m->base.local_size = peer_local_count(&peers[m->base.rank], peers, m->base.size);
    return LOPT_OK;
}

static lopt_status begin(mpi_comm *m) {
    LOPT_TRY(initialise(m));
    LOPT_TRY(mpi_check(MPI_Comm_dup(MPI_COMM_WORLD, &m->data), "making a communicator"));
    LOPT_TRY(mpi_check(MPI_Comm_dup(MPI_COMM_WORLD, &m->questions), "making a communicator"));
    MPI_Comm_set_errhandler(m->data, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(m->questions, MPI_ERRORS_RETURN);
    MPI_Comm_rank(m->data, &m->base.rank);
    MPI_Comm_size(m->data, &m->base.size);
    LOPT_CHECK(
        m->base.size > 1 || launch_size() == 1, LOPT_ERR_COMM,
        "%d processes were started by a launcher that this build's MPI does not know, so that they cannot find each other: start them "
        "with its own mpirun, or with srun --mpi=pmix",
        launch_size());
    m->watch = (comm_watch){&mpi_watch, m->base.rank, m->base.size, m->base.deadline, NULL};
    return know_each_other(m);
}

comm_watch *comm_mpi_watch(lopt_comm *c) { return c->body->abort == abort_mpi ? &((mpi_comm *)c)->watch : NULL; }

lopt_status comm_mpi_open(lopt_comm **out) {
    static const comm_body body = {"mpi", barrier, broadcast, allgather, alltoall, close_mpi, abort_mpi};
    void *memory = NULL;
    LOPT_TRY(memory_alloc(1, sizeof(mpi_comm), "a communicator", &memory));
    mpi_comm *m = memory;
    m->base = (lopt_comm){&body, 0, 1, 1, COMM_DEADLINE};
    lopt_status status = begin(m);
    if (status != LOPT_OK) {
        release(m);
        return status;
    }
    *out = &m->base;
    return LOPT_OK;
}
