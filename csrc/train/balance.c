#include "csrc/train/balance.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/comm/agree.h"
#include "csrc/train/parcel.h"

#define BALANCE_GAIN 0.03     /* share of the work by which the busiest rank must be above the mean */
#define BALANCE_SECONDS 0.001 /* and this per meta-iteration: a move takes about as long */

/* ---- The plan ---------------------------------------------------------------------------------------------------------------- */

/* The particle of rank `from` whose move to rank `to` evens out the two best: its cost is nearest to half of the difference. n: none. */
static size_t best_move(size_t n, const double *cost, const int *plan, int from, double difference) {
    size_t best = n;
    for (size_t p = 0; p < n; p++) {
        if (plan[p] != from || cost[p] <= 0.0 || cost[p] >= difference) continue;
        if (best == n || fabs(cost[p] - 0.5 * difference) < fabs(cost[best] - 0.5 * difference)) best = p;
    }
    return best;
}

static void extremes(const double *load, int ranks, int *busiest, int *idlest) {
    *busiest = *idlest = 0;
    for (int r = 1; r < ranks; r++) {
        if (load[r] > load[*busiest]) *busiest = r;
        if (load[r] < load[*idlest]) *idlest = r;
    }
}

static size_t move_all(size_t n, int ranks, const double *cost, int *plan, double *load) {
    size_t moved = 0;
    int busiest, idlest;
    for (extremes(load, ranks, &busiest, &idlest); moved < n; extremes(load, ranks, &busiest, &idlest)) {
        const size_t p = best_move(n, cost, plan, busiest, load[busiest] - load[idlest]);
        if (p == n || load[busiest] - load[idlest] <= 0.01 * load[busiest]) break;
        plan[p] = idlest;
        load[busiest] -= cost[p];
        load[idlest] += cost[p];
        moved++;
    }
    return moved;
}

size_t balance_plan(size_t n, int ranks, const double *cost, const int *owner, int *plan, double *load) {
    memmove(plan, owner, n * sizeof *plan);
    memset(load, 0, (size_t)ranks * sizeof *load);
    for (size_t p = 0; p < n; p++) load[owner[p]] += cost[p];
    return move_all(n, ranks, cost, plan, load);
}

/* ---- Moving ------------------------------------------------------------------------------------------------------------------ */

/* Of a particle that has not begun yet: what its task took when it was seen last, else the mean of the others. */
static void estimate_costs(const trainer *t, double *cost) {
    double sum = 0.0;
    size_t known = 0;
    for (size_t p = 0; p < t->num_particles; p++)
        if (isfinite(t->cost[p])) sum += t->cost[p], known++;
    for (size_t p = 0; p < t->num_particles; p++) {
        const double seen = t->spec_cost[particle_spec(t->config, &t->tasks, p, t->particles[p].restart)];
        cost[p] = isfinite(t->cost[p]) ? t->cost[p] : (seen > 0.0 ? seen : (known ? sum / (double)known : 0.0));
    }
}

/* How far the busiest rank is above the mean, in seconds per step, and as a share of it. */
static double excess(const trainer *t, const double *cost, double *share) {
    double sum = 0.0, most = 0.0;
    for (int r = 0; r < t->shards.size; r++) {
        double load = 0.0;
        for (size_t i = t->shards.first[r]; i < t->shards.first[r + 1]; i++) load += cost[t->shards.order[i]];
        sum += load;
        most = fmax(most, load);
    }
    const double mean = sum / (double)t->shards.size;
    *share = mean > 0.0 ? (most - mean) / mean : 0.0;
    return most - mean;
}

/* A move on its way. */
typedef struct moving {
    const int *plan;
    parcel *parcels; /* [num_particles] */
    float *own, *came;
} moving;

static int goes(const trainer *t, const moving *m, size_t p) {
    return t->shards.owner[p] == t->shards.rank && m->plan[p] != t->shards.rank;
}
static int comes(const trainer *t, const moving *m, size_t p) {
    return t->shards.owner[p] != t->shards.rank && m->plan[p] == t->shards.rank;
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
        if (!comes(t, m, p)) continue;
        LOPT_TRY(parcel_prepare(t->config, &t->tasks, &t->layout, &m->parcels[p], here));
        LOPT_CHECK(parcel_floats(here) == m->parcels[p].floats, LOPT_ERR_COMM,
                   "particle %zu came with another size than it has here", p);
        parcel_unpack(&m->parcels[p], here);
    }
    return trainer_assign(t, m->plan);
}

lopt_status trainer_move(trainer *t, const int *plan) {
    lopt_comm *comm = t->shards.comm;
    lopt_status status = LOPT_OK;
    moving m = {.plan = plan};
    LOPT_TRY_CLEANUP(comm_agree(comm, pack(t, &m)));
    LOPT_TRY_CLEANUP(parcels_announce(comm, t->num_particles, t->shards.owner, plan, m.parcels));
    LOPT_TRY_CLEANUP(parcels_carry(comm, t->num_particles, t->shards.owner, plan, m.parcels, &m.came));
    status = comm_agree(comm, unpack(t, &m));
cleanup:
    free(m.parcels);
    free(m.own);
    free(m.came);
    return status;
}

/* ---- When -------------------------------------------------------------------------------------------------------------------- */

static int pays(const trainer *t, const double *cost) {
    const double steps = (double)t->config->window_min + t->config->window_mean;
    double share = 0.0;
    return excess(t, cost, &share) * steps > BALANCE_SECONDS && share > BALANCE_GAIN;
}

/* All ranks have the same reports, and so come to the same plan. */
lopt_status trainer_balance(trainer *t) {
    const size_t n = t->num_particles;
    void *memory = NULL;
    if (t->shards.size == 1) return LOPT_OK;
    lopt_status status = memory_alloc(n + (size_t)t->shards.size, sizeof(double) + sizeof(int), "a balance", &memory);
    status = comm_agree(t->shards.comm, status);
    if (status == LOPT_OK) {
        double *cost = memory, *load = cost + n;
        int *plan = (int *)(load + t->shards.size);
        estimate_costs(t, cost);
        if (pays(t, cost) && balance_plan(n, t->shards.size, cost, t->shards.owner, plan, load) > 0) status = trainer_move(t, plan);
    }
    free(memory);
    return status;
}
