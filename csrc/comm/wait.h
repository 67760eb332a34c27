/* Waiting for others with a deadline, whatever the calls are made with. MPI and NCCL themselves wait for ever, and for a frozen rank they do;
 * so every call is a non-blocking one that is polled here. A rank that has died may be seen at once. When the deadline passes, this rank asks
 * all others; whoever is waiting as well answers, so that those who do not are the ones that hold up the job. */
#ifndef LOPT_CSRC_COMM_WAIT_H
#define LOPT_CSRC_COMM_WAIT_H

#include "csrc/comm/peers.h"
#include "lopt/lopt.h"

typedef struct comm_watch comm_watch;

/* How ranks ask each other, and see each other's end, apart from the calls. None of these waits. */
typedef struct watch_kind {
    void (*answer)(comm_watch *w);           /* the questions that have come */
    void (*ask)(comm_watch *w, char *there); /* all that can be asked; there [size]: 1 for those that cannot */
    int (*heard)(comm_watch *w);             /* a rank whose answer has come; -1: none */
    int (*vanished)(comm_watch *w);          /* a rank that has died; -1: none that is seen from here */
    double patience;                         /* seconds beyond the deadline before this rank asks: others may know more */
} watch_kind;

struct comm_watch {
    const watch_kind *kind;
    int rank, size;
    double deadline;   /* seconds */
    const peer *peers; /* [size]; NULL until known */
};

/* *done out: 1 when what is waited for has come. */
typedef lopt_status (*comm_poll)(void *self, int *done);

/* Until that is so. what: the call's name for the sentence. */
lopt_status comm_wait(comm_watch *w, const char *what, comm_poll poll, void *self);

#endif
