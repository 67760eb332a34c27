#include "csrc/train/parcel.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/comm/agree.h"

/* ---- One particle ----------------------------------------------------------------------------------------------------------- */

size_t parcel_floats(const particle *p) {
    if (p->unopened) return p->unopened->floats;
    return p->episode ? episode_floats(p->episode) : 0;
}

static parcel copy_of(const parcel *from, float *room) {
    parcel out = *from;
    memcpy(room, from->values, from->floats * sizeof(float));
    out.values = room;
    return out;
}

parcel parcel_of(const particle *p, float *room) {
    if (p->unopened) return copy_of(p->unopened, room);
    parcel out = {{0}, parcel_floats(p), room};
    out.row[PARCEL_RESTART] = p->restart;
    out.row[PARCEL_LEFT] = p->left;
    if (p->episode == NULL) return out;
    const unroll_position position = episode_position(p->episode);
    out.row[PARCEL_SEED] = position.seed;
    out.row[PARCEL_STEP] = position.step;
    memcpy(&out.row[PARCEL_START_LOSS], &position.start_loss, sizeof(double));
    out.row[PARCEL_WINDOW] = p->episode->window;
    episode_export(p->episode, room);
    return out;
}

lopt_status parcel_prepare(const train_config *c, const corpus *tasks, const weight_layout *layout, const parcel *from,
                           particle *p) {
    particle_free(p);
    p->restart = from->row[PARCEL_RESTART];
    p->left = 0;
    if (from->row[PARCEL_LEFT] == 0) return LOPT_OK;
    LOPT_TRY(particle_prepare(c, tasks, layout, p));
    LOPT_CHECK(from->row[PARCEL_LEFT] <= p->left, LOPT_ERR_FORMAT,
               "tensor particles: particle %llu has more left than its run is long", (unsigned long long)p->number);
    p->left = from->row[PARCEL_LEFT];
    return LOPT_OK;
}

void parcel_unpack(const parcel *from, particle *p) {
    unroll_position position = {from->row[PARCEL_SEED], from->row[PARCEL_STEP], 0.0};
    if (p->episode == NULL) return;
    memcpy(&position.start_loss, &from->row[PARCEL_START_LOSS], sizeof(double));
    episode_import(p->episode, position, from->row[PARCEL_WINDOW], from->values);
}

lopt_status parcel_keep(const parcel *from, particle *p) {
    void *memory = NULL;
    particle_free(p);
    p->restart = from->row[PARCEL_RESTART];
    p->left = from->row[PARCEL_LEFT];
    if (p->left == 0) return LOPT_OK;
    LOPT_TRY(memory_alloc(1, sizeof(parcel) + from->floats * sizeof(float), "particles on their way", &memory));
    p->unopened = memory;
    *p->unopened = copy_of(from, (float *)(p->unopened + 1));
    return LOPT_OK;
}

static lopt_status unpack_checked(const parcel *from, particle *p) {
    LOPT_CHECK(parcel_floats(p) == from->floats, LOPT_ERR_COMM, "particle %llu came with another size than it has here",
               (unsigned long long)p->number);
    parcel_unpack(from, p);
    return LOPT_OK;
}

lopt_status parcel_open(const train_config *c, const corpus *tasks, const weight_layout *layout, particle *p) {
    parcel *from = p->unopened;
    if (from == NULL) return LOPT_OK;
    p->unopened = NULL; /* making the particle anew must not free it */
    lopt_status status = parcel_prepare(c, tasks, layout, from, p);
    if (status == LOPT_OK) status = unpack_checked(from, p);
    free(from);
    return status;
}

/* ---- Many, between ranks ----------------------------------------------------------------------------------------------------- */

/* An exchange of one block of bytes per parcel. What stays where it is takes no part. */
typedef struct exchange {
    lopt_comm *comm;
    size_t n;
    const int *from, *to;
    size_t *sent, *received; /* [size] bytes */
    char *send, *recv;
} exchange;

static void exchange_free(exchange *x) {
    free(x->sent);
    free(x->send);
    free(x->recv);
}

/* What of a parcel goes by announcement; or its values. */
enum { ANNOUNCEMENT = offsetof(parcel, values) };
static size_t size_of(const parcel *p, int announced) { return announced ? ANNOUNCEMENT : p->floats * sizeof(float); }

static lopt_status exchange_allocate(exchange *x, const parcel *parcels, int announced) {
    const int rank = lopt_comm_rank(x->comm), size = lopt_comm_size(x->comm);
    size_t sent = 0, received = 0;
    float *room = NULL;
    void *memory = NULL;
    LOPT_TRY(memory_alloc(2 * (size_t)size, sizeof(size_t), "ranks", &memory));
    x->sent = memory;
    x->received = x->sent + size;
    for (size_t p = 0; p < x->n; p++) {
        const size_t bytes = size_of(&parcels[p], announced);
        if (x->from[p] == x->to[p]) continue;
        if (x->from[p] == rank) x->sent[x->to[p]] += bytes, sent += bytes;
        if (x->to[p] == rank) x->received[x->from[p]] += bytes, received += bytes;
    }
    LOPT_TRY(memory_scratch(sent / sizeof(float) + 1, "particles on their way", &room));
    x->send = (char *)room;
    LOPT_TRY(memory_scratch(received / sizeof(float) + 1, "particles on their way", &room));
    x->recv = (char *)room;
    return LOPT_OK;
}

static void pack(const exchange *x, const parcel *parcels, int announced) {
    char *at = x->send;
    for (int r = 0; r < lopt_comm_size(x->comm); r++)
        for (size_t p = 0; p < x->n; p++) {
            if (x->from[p] != lopt_comm_rank(x->comm) || x->to[p] != r || r == x->from[p]) continue;
            const size_t bytes = size_of(&parcels[p], announced);
            if (bytes > 0) memcpy(at, announced ? (const void *)&parcels[p] : parcels[p].values, bytes);
            at += bytes;
        }
}

static void unpack(const exchange *x, parcel *parcels, int announced) {
    const char *at = x->recv;
    for (int r = 0; r < lopt_comm_size(x->comm); r++)
        for (size_t p = 0; p < x->n; p++) {
            if (x->from[p] != r || x->to[p] != lopt_comm_rank(x->comm) || x->to[p] == r) continue;
            const size_t bytes = size_of(&parcels[p], announced);
            if (announced) memcpy(&parcels[p], at, bytes);
            else parcels[p].values = (const float *)(const void *)at;
            at += bytes;
        }
}

/* *room out: what has come, malloc'ed. */
static lopt_status run_exchange(exchange *x, parcel *parcels, int announced, char **room) {
    lopt_status status = comm_agree(x->comm, exchange_allocate(x, parcels, announced));
    if (status == LOPT_OK) {
        pack(x, parcels, announced);
        status = lopt_comm_alltoall(x->comm, x->send, x->sent, x->recv, x->received);
    }
    if (status == LOPT_OK) {
        unpack(x, parcels, announced);
        *room = x->recv;
        x->recv = NULL;
    }
    exchange_free(x);
    return status;
}

lopt_status parcels_announce(lopt_comm *comm, size_t n, const int *from, const int *to, parcel *parcels) {
    exchange x = {.comm = comm, .n = n, .from = from, .to = to};
    char *room = NULL;
    LOPT_TRY(run_exchange(&x, parcels, 1, &room));
    free(room);
    return LOPT_OK;
}

lopt_status parcels_carry(lopt_comm *comm, size_t n, const int *from, const int *to, parcel *parcels, float **room) {
    exchange x = {.comm = comm, .n = n, .from = from, .to = to};
    char *came = NULL;
    LOPT_TRY(run_exchange(&x, parcels, 0, &came));
    *room = (float *)(void *)came;
    return LOPT_OK;
}
