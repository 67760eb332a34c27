#include "csrc/train/shards.h"

#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/comm/agree.h"
#include "csrc/optimizer/subnormals.h"

/* ---- Who has which --------------------------------------------------------------------------------------------------------- */

/* What each rank says first in its report. */
typedef struct greeting {
    uint64_t status, hash;
} greeting;

/* Where the share of `rank` begins when n things are spread over the ranks in neighbouring blocks. */
__extension__ typedef unsigned __int128 wide;
static size_t share_begin(size_t n, int rank, int size) { return (size_t)((wide)n * (unsigned)rank / (unsigned)size); }
static size_t share(size_t n, int rank, int size) { return share_begin(n, rank + 1, size) - share_begin(n, rank, size); }

size_t shards_held(const shards *s, int rank) { return s->first[rank + 1] - s->first[rank]; }

static lopt_status reserve(void **buffer, size_t *room, size_t bytes) {
    float *memory = NULL;
    if (bytes <= *room) return LOPT_OK;
    LOPT_TRY(memory_scratch(bytes / sizeof(float) + 1, "an exchange between ranks (train with fewer particles, or on more ranks)",
                            &memory));
    free(*buffer);
    *buffer = memory;
    *room = bytes;
    return LOPT_OK;
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* For both calls of a meta-iteration, so that none fails amid it. Reports need no more than at first: they can tell that this failed. */
static lopt_status reserve_both(shards *s) {
    const size_t held = shards_held(s, s->rank), slice = share(s->count, s->rank, s->size);
    const size_t report = sizeof(particle_report), ranks = (size_t)s->size;
    if (s->size == 1) return LOPT_OK;
    LOPT_TRY(
        reserve(&s->send, &s->send_room, larger(sizeof(greeting) + s->n * report, larger(held * s->count, slice) * sizeof(float))));
    return reserve(&s->recv, &s->recv_room, larger(ranks * sizeof(greeting) + s->n * report, s->n * slice * sizeof(float)));
}

lopt_status shards_assign(shards *s, const int *owner) {
    memmove(s->owner, owner, s->n * sizeof *owner);
    memset(s->first, 0, ((size_t)s->size + 1) * sizeof *s->first);
    for (size_t p = 0; p < s->n; p++) s->first[owner[p] + 1]++;
    for (int r = 0; r < s->size; r++) s->first[r + 1] += s->first[r];
    size_t *at = s->bytes;
    memcpy(at, s->first, (size_t)s->size * sizeof *at);
    for (size_t p = 0; p < s->n; p++) s->order[at[s->owner[p]]++] = p;
    s->mine = s->order + s->first[s->rank];
    return reserve_both(s);
}

static lopt_status allocate(shards *s) {
    void *memory = NULL;
    LOPT_TRY(memory_alloc(s->n, sizeof *s->owner, "particles", &memory));
    s->owner = memory;
    LOPT_TRY(memory_alloc(s->n, sizeof *s->order, "particles", &memory));
    s->order = memory;
    LOPT_TRY(memory_alloc((size_t)s->size + 1, sizeof *s->first, "ranks", &memory));
    s->first = memory;
    LOPT_TRY(memory_alloc(2 * (size_t)s->size, sizeof *s->bytes, "ranks", &memory));
    s->bytes = memory;
    LOPT_TRY(memory_alloc(s->n, sizeof *s->rows, "particles", &memory));
    s->rows = memory;
    return LOPT_OK;
}

lopt_status shards_create(lopt_comm *comm, size_t particles, size_t count, shards *out) {
    shards s = {.comm = comm, .rank = lopt_comm_rank(comm), .size = lopt_comm_size(comm), .n = particles, .count = count};
    lopt_status status = LOPT_OK;
    LOPT_TRY_CLEANUP(allocate(&s));
    for (int r = 0; r < s.size; r++)
        for (size_t p = share_begin(particles, r, s.size); p < share_begin(particles, r + 1, s.size); p++) s.owner[p] = r;
    LOPT_TRY_CLEANUP(shards_assign(&s, s.owner));
    *out = s;
    return LOPT_OK;
cleanup:
    shards_free(&s);
    return status;
}

void shards_free(shards *s) {
    free(s->owner);
    free(s->order);
    free(s->first);
    free(s->bytes);
    free(s->send);
    free(s->recv);
    free(s->rows);
    memset(s, 0, sizeof *s);
}

/* ---- Reports --------------------------------------------------------------------------------------------------------------- */

/* The first rank that failed, or else that has other weights. */
static lopt_status compare(const shards *s) {
    greeting first, g;
    size_t at = 0;
    memcpy(&first, s->recv, sizeof first);
    for (int r = 0; r < s->size; at += s->bytes[r++]) {
        memcpy(&g, (const char *)s->recv + at, sizeof g);
        if (g.status != LOPT_OK) return comm_tell_failure(s->comm, r, (lopt_status)g.status);
    }
    at = 0;
    for (int r = 0; r < s->size; at += s->bytes[r++]) {
        memcpy(&g, (const char *)s->recv + at, sizeof g);
        LOPT_CHECK(
            g.hash == first.hash, LOPT_ERR_DEVICE,
            "rank %d computes other weights than rank 0 from the same numbers: its hardware is at fault, or of another kind; go on "
            "without it from the last checkpoint",
            r);
    }
    return LOPT_OK;
}

static void unpack(const shards *s, particle_report *reports) {
    const char *at = s->recv;
    for (int r = 0; r < s->size; r++) {
        at += sizeof(greeting);
        for (size_t i = s->first[r]; i < s->first[r + 1]; i++, at += sizeof *reports)
            memcpy(&reports[s->order[i]], at, sizeof *reports);
    }
}

lopt_status shards_report(shards *s, lopt_status mine, uint64_t hash, particle_report *reports) {
    const greeting g = {(uint64_t)mine, hash};
    if (s->size == 1) return mine;
    for (int r = 0; r < s->size; r++) s->bytes[r] = sizeof g + shards_held(s, r) * sizeof *reports;
    memcpy(s->send, &g, sizeof g);
    for (size_t i = 0; i < shards_held(s, s->rank); i++)
        memcpy((char *)s->send + sizeof g + i * sizeof *reports, &reports[s->mine[i]], sizeof *reports);
    LOPT_TRY(lopt_comm_allgather(s->comm, s->send, s->bytes, s->recv));
    LOPT_TRY(compare(s));
    unpack(s, reports);
    return LOPT_OK;
}

/* ---- The mean gradient ------------------------------------------------------------------------------------------------------ */

/* rows: what has come, and of this rank's own particles the gradients themselves. */
static void find_rows(const shards *s, const float *gradients) {
    const size_t begin = share_begin(s->count, s->rank, s->size), slice = share(s->count, s->rank, s->size);
    const float *came = s->recv;
    for (int r = 0; r < s->size; r++)
        for (size_t i = s->first[r]; i < s->first[r + 1]; i++) {
            const int own = r == s->rank;
            s->rows[s->order[i]] = own ? gradients + (i - s->first[r]) * s->count + begin : came;
            came += own ? 0 : slice;
        }
}

/* Each rank adds up a slice of the weights, over all particles: so every rank receives its share of the numbers once, instead of all of
 * them, however many ranks there are. */
static lopt_status exchange_slices(shards *s, const float *gradients) {
    const size_t held = shards_held(s, s->rank), slice = share(s->count, s->rank, s->size);
    size_t *to = s->bytes, *from = s->bytes + s->size;
    float *send = s->send;
    for (int r = 0; r < s->size; r++) {
        const size_t first = share_begin(s->count, r, s->size), n = share(s->count, r, s->size);
        to[r] = from[r] = 0;
        if (r == s->rank) continue;
        for (size_t i = 0; i < held; i++, send += n) memcpy(send, gradients + i * s->count + first, n * sizeof(float));
        to[r] = held * n * sizeof(float);
        from[r] = shards_held(s, r) * slice * sizeof(float);
    }
    LOPT_TRY(lopt_comm_alltoall(s->comm, s->send, to, s->recv, from));
    find_rows(s, gradients);
    return LOPT_OK;
}

enum { ADDED_TOGETHER = 256 }; /* sums that do not wait for each other; each is over the particles in order */

/* Columns [begin, begin + width) of rows [n][slice] to means. */
static __attribute__((noinline)) void add_up_columns(const shards *s, size_t begin, size_t width, float *out) {
    double sum[ADDED_TOGETHER] = {0.0};
    for (size_t p = 0; p < s->n; p++)
        for (size_t j = 0; j < width; j++) sum[j] += s->rows[p][begin + j];
    for (size_t j = 0; j < width; j++) out[begin + j] = (float)(sum[j] / (double)s->n);
}

/* rows [n][slice] to means [slice]. */
static void add_up(const shards *s, size_t slice, float *out) {
#ifdef _OPENMP
#pragma omp parallel for schedule(static)
#endif
    for (size_t begin = 0; begin < slice; begin += ADDED_TOGETHER) {
        const unsigned mode = subnormals_on(); /* threads may come with that of whoever made them */
        add_up_columns(s, begin, slice - begin < ADDED_TOGETHER ? slice - begin : ADDED_TOGETHER, out);
        subnormals_restore(mode);
    }
}

lopt_status shards_mean(shards *s, const float *gradients, float *mean) {
    const size_t slice = share(s->count, s->rank, s->size);
    if (s->size == 1) {
        find_rows(s, gradients);
        add_up(s, s->count, mean);
        return LOPT_OK;
    }
    LOPT_TRY(exchange_slices(s, gradients));
    add_up(s, slice, s->send);
    for (int r = 0; r < s->size; r++) s->bytes[r] = share(s->count, r, s->size) * sizeof(float);
    return lopt_comm_allgather(s->comm, s->send, s->bytes, mean);
}
