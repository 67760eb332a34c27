#include "csrc/train/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"

lopt_status plan_create(size_t n, int ranks, plan *out) {
    plan p = {.n = n, .ranks = ranks};
    lopt_status status = LOPT_OK;
    void *memory = NULL;
    LOPT_TRY_CLEANUP(memory_alloc(n, sizeof *p.item, "a plan", &memory));
    p.item = memory;
    LOPT_TRY_CLEANUP(memory_alloc(n, sizeof *p.owner, "a plan", &memory));
    p.owner = memory;
    LOPT_TRY_CLEANUP(memory_alloc((size_t)ranks, sizeof *p.load, "a plan", &memory));
    p.load = memory;
    LOPT_TRY_CLEANUP(memory_alloc(n, sizeof *p.order, "a plan", &memory));
    p.order = memory;
    LOPT_TRY_CLEANUP(memory_alloc((size_t)ranks + 1, sizeof *p.first, "a plan", &memory));
    p.first = memory;
    *out = p;
    return LOPT_OK;
cleanup:
    plan_free(&p);
    return status;
}

void plan_free(plan *p) {
    free(p->item);
    free(p->owner);
    free(p->load);
    free(p->order);
    free(p->first);
    memset(p, 0, sizeof *p);
}

static int home_then_dearest(const void *a, const void *b) {
    const plan_place *x = a, *y = b;
    if (x->home != y->home) return x->home < y->home ? -1 : 1;
    if (x->seconds != y->seconds) return x->seconds < y->seconds ? 1 : -1;
    return (x->number > y->number) - (x->number < y->number);
}

/* All that runs at its home. */
static void stay(plan *p) {
    memset(p->load, 0, (size_t)p->ranks * sizeof *p->load);
    memset(p->first, 0, ((size_t)p->ranks + 1) * sizeof *p->first);
    for (size_t i = 0; i < p->n; i++) {
        const plan_item *x = &p->item[i];
        const double beginning = x->home == PLAN_NO_HOME ? x->setup : 0.0;
        p->owner[i] = x->home;
        p->order[i] = (plan_place){x->home, x->window + beginning, i};
        p->first[x->home + 1]++; /* those without a home stand before rank 0's */
        if (x->home != PLAN_NO_HOME) p->load[x->home] += x->window;
    }
    for (int r = 0; r < p->ranks; r++) p->first[r + 1] += p->first[r];
    qsort(p->order, p->n, sizeof *p->order, home_then_dearest);
}

static void extremes(const plan *p, int *busiest, int *idlest) {
    *busiest = *idlest = 0;
    for (int r = 1; r < p->ranks; r++) {
        if (p->load[r] > p->load[*busiest]) *busiest = r;
        if (p->load[r] < p->load[*idlest]) *idlest = r;
    }
}

static void begin(plan *p) {
    int busiest, idlest;
    for (size_t k = 0; k < p->first[0]; k++) {
        extremes(p, &busiest, &idlest);
        p->owner[p->order[k].number] = idlest;
        p->load[idlest] += p->order[k].seconds;
    }
}

/* When the later one of two ranks is ready if an item goes from the one to the other. */
static double ready(const plan *p, size_t i, int from, int to) {
    return fmax(p->load[from] - p->item[i].window, p->load[to] + p->item[i].window + p->item[i].setup);
}

/* The item of rank `from` with which both are ready first; of equals the one that is cheapest to set up. n: none is worth it. */
static size_t best_move(const plan *p, int from, int to, double least_gain) {
    size_t best = p->n;
    double earliest = p->load[from] - least_gain;
    for (size_t k = p->first[from]; k < p->first[from + 1]; k++) {
        const size_t i = p->order[k].number;
        const double then = ready(p, i, from, to);
        const int cheaper = best < p->n && then == earliest && p->item[i].setup < p->item[best].setup;
        if (p->owner[i] != from || (then >= earliest && !cheaper)) continue;
        earliest = then;
        best = i;
    }
    return best;
}

size_t plan_make(plan *p, double least_gain) {
    size_t moved = 0;
    int busiest, idlest;
    stay(p);
    begin(p);
    for (; moved < p->n; moved++) {
        extremes(p, &busiest, &idlest);
        const size_t i = best_move(p, busiest, idlest, least_gain);
        if (i == p->n) break;
        p->owner[i] = idlest;
        p->load[busiest] -= p->item[i].window;
        p->load[idlest] += p->item[i].window + p->item[i].setup;
    }
    return moved;
}
