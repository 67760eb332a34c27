#include "csrc/train/balance.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/comm/agree.h"
#include "csrc/train/parcel.h"

#define EXCHANGE_SECONDS \
    3e-4            /* that a move must gain: several times what an exchange takes on one host; a choice, not a measurement */
#define UNKNOWN 1.0 /* what a step takes as long as none has been seen: all tasks are taken for equal, and dealt out */

/* ---- Moving ------------------------------------------------------------------------------------------------------------------ */

/* A move on its way. */
typedef struct moving {
    const int *to;
    parcel *parcels; /* [num_particles] */
    float *own, *came;
} moving;

static int goes(const trainer *t, const moving *m, size_t p) {
    return t->shards.owner[p] == t->shards.rank && m->to[p] != t->shards.rank;
}
static int comes(const trainer *t, const moving *m, size_t p) {
    return t->shards.owner[p] != t->shards.rank && m->to[p] == t->shards.rank;
}

static lopt_status pack(const trainer *t, moving *m) {
    size_t floats = 0;
    void *memory = NULL;
    LOPT_TRY(memory_alloc(t->num_particles, sizeof(parcel), "particles on their way", &memory));
    m->parcels = memory;
    for (size_t p = 0; p < t->num_particles; p++)
        if (goes(t, m, p)) floats += parcel_floats(&t->particles[p]);
    LOPT_TRY(memory_scratch(floats + 1, "particles on their way", &m->own));
    float *at = m->own;
    for (size_t p = 0; p < t->num_particles; p++) {
        if (!goes(t, m, p)) continue;
        m->parcels[p] = parcel_of(&t->particles[p], at);
        at += m->parcels[p].floats;
    }
    return LOPT_OK;
}

static lopt_status unpack(trainer *t, moving *m) {
    for (size_t p = 0; p < t->num_particles; p++) {
        particle *here = &t->particles[p];
        if (goes(t, m, p)) {
            particle_free(here);
            here->left = 0;
        }
        if (comes(t, m, p)) LOPT_TRY(parcel_keep(&m->parcels[p], here));
    }
    return trainer_assign(t, m->to);
}

lopt_status trainer_move(trainer *t, const int *to) {
    lopt_comm *comm = t->shards.comm;
    lopt_status status = LOPT_OK;
    moving m = {.to = to};
    LOPT_TRY_CLEANUP(comm_agree(comm, pack(t, &m)));
    LOPT_TRY_CLEANUP(parcels_announce(comm, t->num_particles, t->shards.owner, to, m.parcels));
    LOPT_TRY_CLEANUP(parcels_carry(comm, t->num_particles, t->shards.owner, to, m.parcels, &m.came));
    status = comm_agree(comm, unpack(t, &m));
cleanup:
    free(m.parcels);
    free(m.own);
    free(m.came);
    return status;
}

/* ---- The plan ---------------------------------------------------------------------------------------------------------------- */

static void expect(trainer *t, size_t window) {
    for (size_t p = 0; p < t->num_particles; p++) {
        const size_t spec = particle_spec(t->config, &t->tasks, p, t->particles[p].restart);
        t->plan.item[p] = (plan_item){.window = costs_step(&t->costs, spec, UNKNOWN) * (double)window,
                                      .setup = costs_setup(&t->costs, spec, 0.0),
                                      .home = t->reports[p].restarted ? PLAN_NO_HOME : t->shards.owner[p]};
    }
}

double balance_seconds(const trainer *t, size_t p) {
    const plan_item *x = &t->plan.item[p];
    return x->window + (x->home == t->shards.owner[p] ? 0.0 : x->setup);
}

lopt_status trainer_balance(trainer *t, size_t window, lopt_status *mine) {
    expect(t, window);
    if (t->shards.size == 1) return LOPT_OK;
    if (plan_make(&t->plan, EXCHANGE_SECONDS) > 0) return trainer_move(t, t->plan.owner);
    *mine = trainer_assign(t, t->plan.owner);
    return LOPT_OK;
}
