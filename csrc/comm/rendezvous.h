/* How ranks find each other without MPI: by RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT in the environment, as torchrun and many batch
 * scripts set them. Each keeps a TCP connection to rank 0, by which one is seen to die, and asked whether it is there. */
#ifndef LOPT_CSRC_COMM_RENDEZVOUS_H
#define LOPT_CSRC_COMM_RENDEZVOUS_H

#include "csrc/comm/wait.h"

typedef struct rendezvous {
    comm_watch watch;      /* rank, size and peers as well */
    int *socket;           /* [size] at rank 0, where its own is -1; [1] elsewhere: that to rank 0 */
    char *gone, *answered; /* [size] connections that broke; answers that have come */
    peer *peers;           /* [size] */
} rendezvous;

/* Collective: connects all within `seconds`, and gives rank 0's data to all. */
lopt_status rendezvous_open(double seconds, void *data, size_t bytes, rendezvous **out);
/* orderly  1: says goodbye, so that nobody takes it for a death. NULL is accepted. */
void rendezvous_close(rendezvous *r, int orderly);

#endif
