/* Communicators inside: a table of operations for each body. The calls of <lopt/comm.h> check their arguments and hand on to these. */
#ifndef LOPT_CSRC_COMM_COMM_H
#define LOPT_CSRC_COMM_COMM_H

#include "csrc/comm/wait.h"
#include "lopt/comm.h"

#define COMM_DEADLINE 300.0 /* seconds, until set otherwise */

typedef struct comm_body {
    const char *kind;
    lopt_status (*barrier)(lopt_comm *c);
    lopt_status (*broadcast)(lopt_comm *c, void *data, size_t bytes, int root);
    lopt_status (*allgather)(lopt_comm *c, const void *send, const size_t *bytes, void *recv);
    lopt_status (*alltoall)(lopt_comm *c, const void *send, const size_t *send_bytes, void *recv, const size_t *recv_bytes);
    void (*close)(lopt_comm *c);             /* frees c */
    void (*abort)(lopt_comm *c, int status); /* does not return, but may fail to end other processes */
} comm_body;

/* The first member of each body's own struct. */
struct lopt_comm {
    const comm_body *body;
    int rank, size, local_size;
    double deadline; /* seconds */
};

/* Each opens its kind; LOPT_ERR_UNSUPPORTED where it is not in this build. */
lopt_status comm_self_open(lopt_comm **out);
lopt_status comm_mpi_open(lopt_comm **out);
lopt_status comm_nccl_open(lopt_comm **out);
/* The failure of a step of an exchange that others are at, too: of LOPT_ERR_COMM, since this rank can agree on nothing with them any more, and whoever has
 * the communicator must end the job. */
lopt_status comm_alone(const lopt_comm *c, lopt_status status);
/* How the ranks of an MPI communicator watch each other; NULL for another. */
comm_watch *comm_mpi_watch(lopt_comm *c);

#endif
