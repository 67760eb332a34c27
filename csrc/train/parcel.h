/* The states of particles, packed: on their way into a checkpoint, out of one, or from rank to rank. */
#ifndef LOPT_TRAIN_PARCEL_H
#define LOPT_TRAIN_PARCEL_H

#include "csrc/comm/comm.h"
#include "csrc/train/particle.h"

/* What a particle is but for the numbers of its episode; all from `left` on are 0 between episodes. A row of a checkpoint. */
enum { PARCEL_RESTART, PARCEL_LEFT, PARCEL_SEED, PARCEL_STEP, PARCEL_START_LOSS, PARCEL_WINDOW, PARCEL_NUMBERS };

typedef struct parcel {
    uint64_t row[PARCEL_NUMBERS];
    uint64_t floats;     /* numbers of the episode */
    const float *values; /* [floats], where this rank has them */
} parcel;

parcel parcel_of(const particle *p, float *room); /* room [parcel_floats] is filled, and borrowed */
size_t parcel_floats(const particle *p);
/* The particle's task and an episode not started, with what is left of it as the row says. */
lopt_status parcel_prepare(const train_config *c, const corpus *tasks, const weight_layout *layout, const parcel *from,
                           particle *p);
/* The rest, once the values are there. */
void parcel_unpack(const parcel *from, particle *p);
/* A copy stays with the particle, which counts as packed until it is opened: so the thread that goes on with it makes its task. */
lopt_status parcel_keep(const parcel *from, particle *p);
/* What parcel_keep has left, if anything, becomes a task and an episode. */
lopt_status parcel_open(const train_config *c, const corpus *tasks, const weight_layout *layout, particle *p);

/* Collective: rows and numbers of floats of all n parcels, from the ranks that have them to those that want them. from, to [n]: the same on
 * all ranks. */
lopt_status parcels_announce(lopt_comm *comm, size_t n, const int *from, const int *to, parcel *parcels);
/* Collective: their values; the floats must be known at both ends. *room out: holds what came, malloc'ed. */
lopt_status parcels_carry(lopt_comm *comm, size_t n, const int *from, const int *to, parcel *parcels, float **room);

#endif
