/* Who the ranks are, for sentences and to see from outside whether one of this host is still alive. */
#ifndef LOPT_CSRC_COMM_PEERS_H
#define LOPT_CSRC_COMM_PEERS_H

#include <stdint.h>

enum { PEER_HOST_MAX = 64, PEER_TEXT_MAX = 128 };

typedef struct peer {
    uint64_t machine;  /* the same for processes that share cores */
    uint64_t pid_room; /* the same for processes that see each other's numbers */
    int64_t pid;
    char host[PEER_HOST_MAX];
} peer;

peer peer_self(void);
/* 1: of this host, and gone. 0: alive, or not to be seen from here. */
int peer_gone(const peer *self, const peer *other);
/* "rank 3 (process 4711 on host)"; returns text. */
const char *peer_name(const peer *p, int rank, char text[PEER_TEXT_MAX]);
/* How many of the n peers share their cores with this one. */
int peer_local_count(const peer *self, const peer *all, int n);

#endif
