/* Particles spread over the ranks of a job: who advances which, and what the ranks tell each other in a meta-iteration. Results depend on
 * none of it. */
#ifndef LOPT_TRAIN_SHARDS_H
#define LOPT_TRAIN_SHARDS_H

#include "csrc/comm/comm.h"
#include "csrc/train/particle.h"

typedef struct shards {
    lopt_comm *comm;   /* borrowed */
    int rank, size;    /* of it */
    size_t n, count;   /* particles; weights */
    int *owner;        /* [n] the rank that advances each */
    size_t *order;     /* [n] rank 0's particles, rank 1's ..., each in ascending order */
    size_t *first;     /* [size + 1] where each rank's begin in that */
    size_t *mine;      /* those of this rank: [shards_held(s, rank)], in order */
    size_t *bytes;     /* [2 size] of a call */
    void *send, *recv; /* of a call; as large as any of this assignment needs */
    size_t send_room, recv_room;
    const float **rows; /* [n] */
} shards;

/* At first each rank gets a block of neighbours, as even as can be; with more ranks than particles, some get none. */
lopt_status shards_create(lopt_comm *comm, size_t particles, size_t count, shards *out);
void shards_free(shards *s);
/* owner [n]: from now on. After a failure, shards_report still works. */
lopt_status shards_assign(shards *s, const int *owner);
/* How many particles a rank advances. */
size_t shards_held(const shards *s, int rank);

/* reports [n]: those of this rank's particles in, all out. mine: this rank's status so far; hash: of its weights. All ranks get the same
 * failure if one has failed, or holds other weights than rank 0. */
lopt_status shards_report(shards *s, lopt_status mine, uint64_t hash, particle_report *reports);
/* gradients [shards_held(s, rank)][count], in the order of `mine`; mean [count] out, over all particles, added up in the order of their numbers. */
lopt_status shards_mean(shards *s, const float *gradients, float *mean);

#endif
