#include "csrc/train/costs.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"

#define NEWEST 0.5 /* share of the newest measurement: they scatter by some 5 % */

lopt_status costs_create(const corpus *tasks, costs *out) {
    void *memory = NULL;
    LOPT_TRY(memory_alloc(2 * tasks->count, sizeof(double), "the costs of tasks", &memory));
    *out = (costs){tasks, memory, (double *)memory + tasks->count};
    return LOPT_OK;
}

void costs_free(costs *c) {
    free(c->step);
    *c = (costs){NULL, NULL, NULL};
}

static void learn(double *seen, double now) {
    if (now > 0.0) *seen = *seen > 0.0 ? *seen + NEWEST * (now - *seen) : now;
}

void costs_learn(costs *c, const particle_report *r, size_t steps) {
    learn(&c->step[r->spec], r->seconds / (double)steps);
    learn(&c->setup[r->spec], r->setup);
}

/* Tasks that are likely to cost about as much, from the most alike on. */
typedef int (*kinship)(const corpus *tasks, size_t a, size_t b);

static int same_spec(const corpus *tasks, size_t a, size_t b) { return strcmp(tasks->spec[a], tasks->spec[b]) == 0; }
static int same_family(const corpus *tasks, size_t a, size_t b) { return strcmp(tasks->family[a], tasks->family[b]) == 0; }
static int any(const corpus *tasks, size_t a, size_t b) { return (void)tasks, (void)a, (void)b, 1; }

static double likely(const corpus *tasks, const double *seen, size_t spec, double otherwise) {
    static const kinship kin[] = {same_spec, same_family, any};
    if (seen[spec] > 0.0) return seen[spec];
    for (size_t k = 0; k < sizeof kin / sizeof kin[0]; k++) {
        double sum = 0.0;
        size_t known = 0;
        for (size_t i = 0; i < tasks->count; i++)
            if (seen[i] > 0.0 && kin[k](tasks, i, spec)) sum += seen[i], known++;
        if (known > 0) return sum / (double)known;
    }
    return otherwise;
}

double costs_step(const costs *c, size_t spec, double otherwise) { return likely(c->tasks, c->step, spec, otherwise); }
double costs_setup(const costs *c, size_t spec, double otherwise) { return likely(c->tasks, c->setup, spec, otherwise); }
