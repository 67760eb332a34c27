/* The MPI communicator inside: non-blocking calls, waited for with a deadline. */
#ifndef LOPT_CSRC_COMM_MPI_COMM_H
#define LOPT_CSRC_COMM_MPI_COMM_H

#include <mpi.h>
#include <sys/types.h>

#include "csrc/comm/comm.h"
#include "csrc/comm/wait.h"

typedef struct mpi_comm {
    lopt_comm base;
    comm_watch watch;
    MPI_Comm data, questions; /* the calls themselves; whether a rank is there */
    int owns_mpi;             /* 1: initialised here */
    pid_t parent;             /* then: the launcher, as long as it is there */
    int *abort_delay;         /* Open MPI's, where it was set here; else NULL */
    peer *peers;              /* [size]; NULL until known */
    MPI_Request *requests;    /* [room] */
    size_t room;
} mpi_comm;

/* Where ranks ask each other by MPI. */
extern const watch_kind mpi_watch;

/* LOPT_OK, or the sentence of an MPI error. */
lopt_status mpi_check(int code, const char *what);
/* Until all n requests are done; `what` is the call's name for the sentence. */
lopt_status mpi_wait(mpi_comm *m, MPI_Request *requests, size_t n, const char *what);

#endif
