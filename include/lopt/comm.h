/* lopt, third header: one job of several processes ("ranks"), on one host or many. The rules at the top of <lopt/lopt.h> hold, and:
 *
 *   collective  Every rank makes the same calls in the same order, with sizes that fit each other. A call returns when this rank's part is
 *               done; no rank can be done with a barrier, broadcast or allgather that the rank which it needs has not begun.
 *   deadline    No call waits longer than the deadline. A rank that is gone or does not answer by then is named in the error, which is
 *               LOPT_ERR_COMM. Nothing more can be done with the communicator then but to abort it, which ends the others too.
 *   threads     One thread of each rank makes the calls.
 */
#ifndef LOPT_COMM_H
#define LOPT_COMM_H

#include "lopt/lopt.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lopt_comm lopt_comm;

/* kind  "self": this process alone. "mpi": the ranks that mpirun or srun has started. "nccl": one rank per GPU; ranks find each other by MPI
 *       where it started them, else by RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT in the environment. NULL or "auto": mpi where MPI has
 *       started this process, nccl where WORLD_SIZE is more than 1, else self.
 * MPI is initialised if it is not yet, and then finalised by lopt_comm_close: once in a process. Open MPI ends processes whose launcher has died
 * after a second; one that it was initialised for here is given 300 s, to save what it has, and should ask to be told (Linux: PR_SET_PDEATHSIG). */
LOPT_API lopt_status lopt_comm_open(const char *kind, lopt_comm **out);
/* Collective. NULL is accepted. After a failure of the communicator itself, abort instead. */
LOPT_API void lopt_comm_close(lopt_comm *c);
/* Ends every process of the job, this one with exit_status: the one call of lopt that does not return. exit_status > 0. */
LOPT_API void lopt_comm_abort(lopt_comm *c, int exit_status);

/* The kinds that are in this build, as "self, mpi, nccl"; static memory. */
LOPT_API const char *lopt_comm_kinds(void);
LOPT_API const char *lopt_comm_kind(const lopt_comm *c); /* "self", "mpi" or "nccl"; static memory */
LOPT_API int lopt_comm_rank(const lopt_comm *c);
LOPT_API int lopt_comm_size(const lopt_comm *c);
LOPT_API int lopt_comm_local_size(const lopt_comm *c); /* ranks on this rank's host, itself included */
/* seconds > 0; 300 at first. It must be longer than the longest computation between two calls. */
LOPT_API lopt_status lopt_comm_set_deadline(lopt_comm *c, double seconds);

/* Memory is the host's; with nccl it may also be the device's, all of a call's buffers alike. Sizes are in bytes. */
LOPT_API lopt_status lopt_comm_barrier(lopt_comm *c);
/* data [bytes]: in at rank root, out at the others */
LOPT_API lopt_status lopt_comm_broadcast(lopt_comm *c, void *data, size_t bytes, int root);
/* Each rank's part, put one after the other in the order of the ranks. bytes [size]: of each part, the same on all ranks
 * send [bytes[rank]], recv [sum of bytes] out */
LOPT_API lopt_status lopt_comm_allgather(lopt_comm *c, const void *send, const size_t *bytes, void *recv);
/* From every rank to every rank. send: what goes to rank 0, to rank 1 ..., send_bytes [size]; recv out: what came from them, recv_bytes [size] */
LOPT_API lopt_status lopt_comm_alltoall(lopt_comm *c, const void *send, const size_t *send_bytes, void *recv,
                                        const size_t *recv_bytes);

#ifdef __cplusplus
}
#endif
#endif
