#include "job.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cli.h"
#include "signals.h"

enum { START_SECONDS = 120 };

static void too_long(int number) {
    static const char sentence[] =
        "lopt: the processes of this job did not find each other within 120 s: look at the network between the hosts, and "
        "at the launcher's messages\n";
    (void)number;
    if (write(STDERR_FILENO, sentence, sizeof sentence - 1) < 0) _exit(CLI_FAILED);
    _exit(CLI_FAILED);
}

/* A launcher that is gone, or was before that could be asked for: save and stop. The kernel says so once for each of its threads. */
static void end_with(pid_t launcher) {
    signals_ignore_repeats();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != launcher) raise(SIGTERM);
}

/* Ranks of one host share its cores. */
static void share_threads(int ranks) {
    cpu_set_t set;
    const long all = sysconf(_SC_NPROCESSORS_ONLN);
    if (getenv("OMP_NUM_THREADS") || ranks < 2 || sched_getaffinity(0, sizeof set, &set) != 0) return;
    const int mine = CPU_COUNT(&set), even = (int)all / ranks; /* a rank that is bound to some cores has those to itself */
    const int threads = mine < all ? mine : even;
    cli_set_threads(threads > 0 ? threads : 1);
}

int cli_job_begin(const char *kind, cli_job *out) {
    const pid_t launcher = getppid();
    signal(SIGALRM, too_long);
    alarm(START_SECONDS);
    const lopt_status status = lopt_comm_open(kind, &out->comm);
    alarm(0);
    if (status != LOPT_OK) return cli_library_status(status);
    out->first = lopt_comm_rank(out->comm) == 0;
    if (strcmp(lopt_comm_kind(out->comm), "self") != 0) end_with(launcher);
    share_threads(lopt_comm_local_size(out->comm));
    return CLI_DONE;
}

void cli_job_share_signal(cli_job *j) {
    const int size = lopt_comm_size(j->comm), mine = signals_caught();
    size_t *bytes = calloc((size_t)size, sizeof *bytes);
    int *all = calloc((size_t)size, sizeof *all);
    for (int r = 0; bytes && r < size; r++) bytes[r] = sizeof mine;
    if (bytes && all && lopt_comm_allgather(j->comm, &mine, bytes, all) == LOPT_OK)
        for (int r = size - 1; r >= 0; r--)
            if (all[r]) signals_set_caught(all[r]);
    free(bytes);
    free(all);
}

int cli_job_end(cli_job *j, lopt_status library_status, int exit_status) {
    if (library_status == LOPT_OK) library_status = lopt_comm_barrier(j->comm);
    if (library_status != LOPT_OK) exit_status = cli_library_exit(library_status);
    if (library_status != LOPT_OK && (j->first || library_status == LOPT_ERR_COMM)) (void)cli_library_status(library_status);
    if (library_status == LOPT_ERR_COMM) {
        fflush(NULL);
        lopt_comm_abort(j->comm, CLI_FAILED);
    }
    lopt_comm_close(j->comm);
    return exit_status;
}
