/* One call of lopt_train: what its parts share. */
#ifndef LOPT_TRAIN_SESSION_H
#define LOPT_TRAIN_SESSION_H

#include <stdio.h>

#include "csrc/train/run_directory.h"
#include "csrc/train/trainer.h"

typedef struct session {
    lopt_train_options options;
    lopt_comm *comm;         /* never NULL: the caller's, or one of this process alone */
    double deadline_before;  /* the communicator's */
    int first;               /* 1: rank 0, which has the run directory */
    run_directory directory; /* open at rank 0 */
    train_config config;     /* the same on all ranks */
    trainer *trainer;
    FILE *metrics;         /* at rank 0 */
    double started;        /* clock */
    double saved;          /* clock at the last checkpoint, or the start */
    uint64_t steps_before; /* inner steps done by earlier processes */
    char *note;            /* what start has to tell the user; NULL: nothing */
} session;

/* Collective: configuration, starting weights, and the newest checkpoint that is whole. */
lopt_status session_start(session *s);

#endif
