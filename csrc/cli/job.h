/* The processes of one job, as a command sees them. */
#ifndef LOPT_CLI_JOB_H
#define LOPT_CLI_JOB_H

#include "lopt/comm.h"

typedef struct cli_job {
    lopt_comm *comm;
    int first; /* 1: the rank that talks */
} cli_job;

/* kind: as lopt_comm_open. Takes what threads this host has for each rank, unless OMP_NUM_THREADS says. 0, or an exit status after an error. */
int cli_job_begin(const char *kind, cli_job *out);
/* Collective: the signal of the first rank that caught one is every rank's, and so the exit status: launchers take the largest of different ones. */
void cli_job_share_signal(cli_job *j);
/* Ends it with this exit status, which it returns. library_status: of the work that all ranks have done together, whose sentence is then told
 * once, and whose failure makes the exit status: CLI_USAGE for a wrong argument or configuration. After a failure of
 * the communicator it does not return, but ends all ranks. */
int cli_job_end(cli_job *j, lopt_status library_status, int exit_status);

#endif
