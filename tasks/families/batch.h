/* Minibatches without replacement: an epoch is a permutation of the rows that is a pure function of (seed, epoch), a Feistel network
 * on the smallest even number of bits that holds all rows, walked until it lands inside (Black and Rogaway 2002, cycle walking). */
#ifndef LOPT_TASKS_FAMILIES_BATCH_H
#define LOPT_TASKS_FAMILIES_BATCH_H

#include <string.h>

#include "kernels/cell/philox.h"
#include "tasks/family.h"

enum { BATCH_ROUNDS = 4 };

/* Places that walk side by side. SSE2 has no 32-bit product of lanes, and on CUDA a thread is a lane: one by one there. */
#ifndef BATCH_LANES
#define BATCH_LANES (VF_LANES > 4 ? 64 : 1)
#endif

typedef struct batch_order {
    uint32_t rows, half_bits, first; /* first: place of the batch in the epoch's order */
    random4 keys;
} batch_order;

CELL_FN batch_order batch_begin(const task_draw *draw, uint32_t rows, uint32_t batch) {
    batch_order o;
    const uint64_t per_epoch = rows / batch, epoch = draw->step / per_epoch;
    o.rows = rows;
    o.half_bits = 1;
    while (((uint64_t)1 << (2 * o.half_bits)) < rows) o.half_bits++;
    o.first = (uint32_t)(draw->step % per_epoch) * batch;
    o.keys = random_bits(draw->seed, RANDOM_TASK_BATCH, (uint32_t)epoch, epoch >> 32, 0);
    return o;
}

/* One walk through the network, on the numbers that 2 half_bits bits hold. */
CELL_FN uint32_t batch_walk(const batch_order *o, uint32_t at) {
    const uint32_t mask = ((uint32_t)1 << o->half_bits) - 1;
    uint32_t left = at >> o->half_bits, right = at & mask;
    for (int round = 0; round < BATCH_ROUNDS; round++) {
        uint32_t mix = (right ^ o->keys.u[round]) * 0x9E3779B1u;
        mix ^= mix >> 15;
        mix *= 0x85EBCA77u;
        uint32_t next = left ^ ((mix >> 13) & mask);
        left = right;
        right = next;
    }
    return left << o->half_bits | right;
}

/* The row at place `i` of the batch. */
CELL_FN uint32_t batch_row(const batch_order *o, uint32_t i) {
    uint32_t at = o->first + i;
    do at = batch_walk(o, at);
    while (at >= o->rows);
    return at;
}

/* row[k] = batch_row(first + k) for k < count. BATCH_LANES places walk side by side, in vectors, until the last one is inside: up to
 * five times as fast as one after the other. */
CELL_FN void batch_rows(const batch_order *o, uint32_t first, uint32_t count, uint32_t *row) {
    for (uint32_t k = 0; k < count; k += BATCH_LANES) {
        uint32_t at[BATCH_LANES], outside = 1;
        const uint32_t lanes = count - k < (uint32_t)BATCH_LANES ? count - k : (uint32_t)BATCH_LANES;
        for (uint32_t l = 0; l < BATCH_LANES; l++) at[l] = o->first + first + k + (l < lanes ? l : 0);
        for (int all = 1; outside; all = 0) {
            outside = 0;
            for (uint32_t l = 0; l < BATCH_LANES; l++) {
                const uint32_t next = batch_walk(o, at[l]);
                at[l] = all || at[l] >= o->rows ? next : at[l];
                outside |= at[l] >= o->rows;
            }
        }
        memcpy(row + k, at, lanes * sizeof(uint32_t));
    }
}

#endif
