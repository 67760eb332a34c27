#include "csrc/comm/comm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "csrc/comm/launch.h"

/* Ranks that do not know of each other would all do the whole job, and get in each other's way. */
static lopt_status open_alone(lopt_comm **out) {
    LOPT_CHECK(
        launch_size() == 1, LOPT_ERR_COMM,
        "%d processes were started without MPI, so that they cannot find each other: start them with srun --mpi=pmix, or with mpirun",
        launch_size());
    return comm_self_open(out);
}

static lopt_status open_auto(lopt_comm **out) {
    if (launch_by_mpi()) return comm_mpi_open(out);
    LOPT_CHECK(launch_world_size() > 0, LOPT_ERR_CONFIG,
               "WORLD_SIZE=%.32s in the environment is no number of ranks: correct it, or unset it", getenv("WORLD_SIZE"));
    return launch_world_size() > 1 ? comm_nccl_open(out) : open_alone(out);
}

lopt_status lopt_comm_open(const char *kind, lopt_comm **out) {
    LOPT_CHECK(out != NULL, LOPT_ERR_ARGUMENT, "lopt_comm_open: out is NULL");
    if (kind == NULL || strcmp(kind, "auto") == 0) return open_auto(out);
    if (strcmp(kind, "self") == 0) return comm_self_open(out);
    if (strcmp(kind, "mpi") == 0) return comm_mpi_open(out);
    if (strcmp(kind, "nccl") == 0) return comm_nccl_open(out);
    return lopt_fail(LOPT_ERR_ARGUMENT, "unknown communicator \"%.32s\": there are auto, self, mpi and nccl", kind);
}

void lopt_comm_close(lopt_comm *c) {
    if (c) c->body->close(c);
}

void lopt_comm_abort(lopt_comm *c, int exit_status) {
    const int status = exit_status > 0 && exit_status < 256 ? exit_status : 1;
    if (c) c->body->abort(c, status);
    _Exit(status);
}

const char *lopt_comm_kinds(void) {
    return "self"
#ifdef LOPT_HAVE_MPI
           ", mpi"
#endif
#ifdef LOPT_HAVE_NCCL
           ", nccl"
#endif
        ;
}

const char *lopt_comm_kind(const lopt_comm *c) { return c ? c->body->kind : NULL; }
int lopt_comm_rank(const lopt_comm *c) { return c ? c->rank : 0; }
int lopt_comm_size(const lopt_comm *c) { return c ? c->size : 0; }
int lopt_comm_local_size(const lopt_comm *c) { return c ? c->local_size : 0; }

lopt_status lopt_comm_set_deadline(lopt_comm *c, double seconds) {
    LOPT_CHECK(c != NULL && seconds > 0.0 && isfinite(seconds), LOPT_ERR_ARGUMENT,
               "a communicator's deadline must be above 0 seconds");
    c->deadline = seconds;
    return LOPT_OK;
}

lopt_status comm_alone(const lopt_comm *c, lopt_status status) {
    char sentence[512];
    if (status == LOPT_OK || status == LOPT_ERR_COMM || c->size == 1) return status;
    snprintf(sentence, sizeof sentence, "%s", lopt_last_error());
    return lopt_fail(LOPT_ERR_COMM, "rank %d: %s", c->rank, sentence);
}

lopt_status lopt_comm_barrier(lopt_comm *c) {
    LOPT_CHECK(c != NULL, LOPT_ERR_ARGUMENT, "lopt_comm_barrier: the communicator is NULL");
    return comm_alone(c, c->body->barrier(c));
}

lopt_status lopt_comm_broadcast(lopt_comm *c, void *data, size_t bytes, int root) {
    LOPT_CHECK(c != NULL && (data != NULL || bytes == 0) && root >= 0 && root < c->size, LOPT_ERR_ARGUMENT,
               "lopt_comm_broadcast: communicator or data is NULL, or there is no rank %d", root);
    return bytes == 0 ? LOPT_OK : comm_alone(c, c->body->broadcast(c, data, bytes, root));
}

lopt_status lopt_comm_allgather(lopt_comm *c, const void *send, const size_t *bytes, void *recv) {
    LOPT_CHECK(c != NULL && bytes != NULL && (send != NULL || bytes[c->rank] == 0) && recv != NULL, LOPT_ERR_ARGUMENT,
               "lopt_comm_allgather: an argument is NULL");
    return comm_alone(c, c->body->allgather(c, send, bytes, recv));
}

lopt_status lopt_comm_alltoall(lopt_comm *c, const void *send, const size_t *send_bytes, void *recv, const size_t *recv_bytes) {
    LOPT_CHECK(c != NULL && send_bytes != NULL && recv_bytes != NULL, LOPT_ERR_ARGUMENT, "lopt_comm_alltoall: an argument is NULL");
    for (int r = 0; r < c->size; r++)
        LOPT_CHECK((send != NULL || send_bytes[r] == 0) && (recv != NULL || recv_bytes[r] == 0), LOPT_ERR_ARGUMENT,
                   "lopt_comm_alltoall: a buffer is NULL");
    LOPT_CHECK(send_bytes[c->rank] == recv_bytes[c->rank], LOPT_ERR_ARGUMENT,
               "lopt_comm_alltoall: rank %d sends itself %zu bytes and expects %zu", c->rank, send_bytes[c->rank],
               recv_bytes[c->rank]);
    return comm_alone(c, c->body->alltoall(c, send, send_bytes, recv, recv_bytes));
}
