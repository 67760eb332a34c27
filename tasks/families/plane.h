/* Functions of two variables: what they share. A function gives its value, gradient and Hessian at once, in double: two numbers
 * cost nothing, and the textbook formulas cancel badly in float. */
#ifndef LOPT_TASKS_FAMILIES_PLANE_H
#define LOPT_TASKS_FAMILIES_PLANE_H

#include <math.h>

#include "kernels/cell/philox.h"
#include "tasks/family.h"

#define PLANE_PI 3.14159265358979323846

typedef struct plane_point {
    double f, gx, gy;     /* value and gradient */
    double hxx, hxy, hyy; /* Hessian */
} plane_point;

static inline void plane_plan(task_instance *t) {
    t->num_tensors = 1;
    t->counts[0] = t->total = 2;
}

static inline void plane_uniform(uint64_t seed, const double lo[2], const double hi[2], float *params) {
    random4 r = random_bits(seed, RANDOM_TASK_START, 0, 0, 0);
    for (int i = 0; i < 2; i++) params[i] = (float)(lo[i] + (hi[i] - lo[i]) * (double)random_to_uniform(r.u[i]));
}

static inline void plane_product(plane_point p, const float *v, float *out) {
    out[0] = (float)(p.hxx * (double)v[0] + p.hxy * (double)v[1]);
    out[1] = (float)(p.hxy * (double)v[0] + p.hyy * (double)v[1]);
}

/* Defines the family `name` around static plane_point name##_at(const task_instance *, double x, double y) and static void
 * name##_start(const task_instance *, uint64_t, float *). Keys and instances are the arrays named keys_ and instances_. */
#define PLANE_FAMILY_WITH(name, keys_, instances_, summary_, formula_)                                                             \
    static double name##_loss_grad(const task_instance *t, const task_draw *draw, const float *x, float *grad, float *ws) {        \
        plane_point p = name##_at(t, (double)x[0], (double)x[1]);                                                                  \
        (void)draw;                                                                                                                \
        (void)ws;                                                                                                                  \
        if (grad) grad[0] = (float)p.gx, grad[1] = (float)p.gy;                                                                    \
        return p.f;                                                                                                                \
    }                                                                                                                              \
    static void name##_hvp(const task_instance *t, const task_draw *draw, const float *x, const float *v, float *out, float *ws) { \
        (void)draw;                                                                                                                \
        (void)ws;                                                                                                                  \
        plane_product(name##_at(t, (double)x[0], (double)x[1]), v, out);                                                           \
    }                                                                                                                              \
    const task_family ISA_SYMBOL(name##_family) = {{#name, summary_, formula_, sizeof(keys_) / sizeof((keys_)[0]), keys_,          \
                                                    sizeof(instances_) / sizeof((instances_)[0]), instances_, 0, 0},               \
                                                   0,                                                                              \
                                                   plane_plan,                                                                     \
                                                   NULL,                                                                           \
                                                   name##_start,                                                                   \
                                                   name##_loss_grad,                                                               \
                                                   name##_hvp,                                                                     \
                                                   NULL};

/* A textbook function with a uniform start, plain and with noise 1. */
#define PLANE_FAMILY(name, x_lo, x_hi, y_lo, y_hi, summary_, formula_)               \
    static void name##_start(const task_instance *t, uint64_t seed, float *params) { \
        const double lo[2] = {x_lo, y_lo}, hi[2] = {x_hi, y_hi};                     \
        (void)t;                                                                     \
        plane_uniform(seed, lo, hi, params);                                         \
    }                                                                                \
    static const char *const name##_instances[] = {#name, #name ":noise=1"};         \
    PLANE_FAMILY_WITH(name, plane_keys, name##_instances, summary_, formula_)

static const lopt_task_key plane_keys[] = {TASK_TRANSFORM_KEYS};

#endif
