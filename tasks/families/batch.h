/* Minibatches without replacement: an epoch is a permutation of the rows that is a pure function of (seed, epoch), a Feistel network
 * on the smallest even number of bits that holds all rows, walked until it lands inside (Black and Rogaway 2002, cycle walking). */
#ifndef LOPT_TASKS_FAMILIES_BATCH_H
#define LOPT_TASKS_FAMILIES_BATCH_H

#include "kernels/cell/philox.h"
#include "tasks/family.h"

enum { BATCH_ROUNDS = 4 };

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

/* The row at place `i` of the batch. */
CELL_FN uint32_t batch_row(const batch_order *o, uint32_t i) {
    const uint32_t mask = ((uint32_t)1 << o->half_bits) - 1;
    uint32_t at = o->first + i;
    do {
        uint32_t left = at >> o->half_bits, right = at & mask;
        for (int round = 0; round < BATCH_ROUNDS; round++) {
            uint32_t mix = (right ^ o->keys.u[round]) * 0x9E3779B1u;
            mix ^= mix >> 15;
            mix *= 0x85EBCA77u;
            uint32_t next = left ^ ((mix >> 13) & mask);
            left = right;
            right = next;
        }
        at = left << o->half_bits | right;
    } while (at >= o->rows);
    return at;
}

#endif
