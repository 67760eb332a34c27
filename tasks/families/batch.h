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

/* One pass of the network, which may land beyond the last row. */
CELL_FN uint32_t batch_pass(const batch_order *o, uint32_t at) {
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
    do at = batch_pass(o, at);
    while (at >= o->rows);
    return at;
}

/* The rows at places [first, first + count): first passes without a branch, so that they are made in vectors; then the few walks. */
CELL_FN void batch_rows(const batch_order *o, uint32_t first, uint32_t count, uint32_t *row) {
    for (uint32_t i = 0; i < count; i++) row[i] = batch_pass(o, o->first + first + i);
    for (uint32_t i = 0; i < count; i++)
        while (row[i] >= o->rows) row[i] = batch_pass(o, row[i]);
}

#endif
