/* Which rank advances which particle in the next meta-iteration, so that all are busy for equally long: tasks differ in cost by orders of
 * magnitude. No result depends on it. */
#ifndef LOPT_TRAIN_PLAN_H
#define LOPT_TRAIN_PLAN_H

#include "lopt/lopt.h"

enum { PLAN_NO_HOME = -1 };

typedef struct plan_item {
    double window; /* seconds that its window takes */
    double setup;  /* seconds that its task takes to set up, on every rank but its home */
    int home;      /* the rank that has its task and its state; PLAN_NO_HOME: it begins a run, and is at home nowhere */
} plan_item;

/* Where an item stands when those without a home come first, then those of each rank, the dear ones before the cheap ones. */
typedef struct plan_place {
    int home;
    double seconds;
    size_t number;
} plan_place;

typedef struct plan {
    size_t n;
    int ranks;
    plan_item *item;   /* [n] in */
    int *owner;        /* [n] out: of ranks 0 .. ranks - 1 */
    double *load;      /* [ranks] out: seconds of each rank */
    plan_place *order; /* [n] */
    size_t *first;     /* [ranks + 1] where each rank's own begin in that */
} plan;

lopt_status plan_create(size_t n, int ranks, plan *out);
void plan_free(plan *p);
/* A pure function of the items: ranks that have the same ones come to the same plan. What begins goes to the idlest rank, the dearest
 * first. After that, what runs leaves the busiest rank for the idlest one, as long as that makes the two ready earlier by more than
 * `least_gain` seconds, its set-up there included. Returns how many leave their home. */
size_t plan_make(plan *p, double least_gain);

#endif
