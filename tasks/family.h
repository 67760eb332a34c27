/* A task family: how its instances are drawn, and their loss, gradient and Hessian-vector product, written for a team of workers
 * (kernels/cell/team.h). A family is one file in tasks/families/, compiled per instruction set, and one line in TASK_FAMILIES. */
#ifndef LOPT_TASKS_FAMILY_H
#define LOPT_TASKS_FAMILY_H

#include "kernels/cpu/isa.h"
#include "lopt/meta.h"

enum { TASK_KEYS_MAX = 12, TASK_LIST_MAX = 12, TASK_TENSORS_MAX = 2 * TASK_LIST_MAX + 4 };

/* The knobs of a spec, by position in the family's key table. A family has at most one list. */
typedef struct task_values {
    double number[TASK_KEYS_MAX];
    int given[TASK_KEYS_MAX]; /* 1: stands in the spec with another value than the default */
    size_t list[TASK_LIST_MAX];
    size_t list_count;
} task_values;

typedef struct task_instance {
    task_values values;
    uint64_t seed; /* of the data */
    size_t num_tensors, counts[TASK_TENSORS_MAX];
    size_t total;
    size_t data_floats, workspace_floats; /* set by plan */
    float *data;                          /* [data_floats], 64-byte aligned, written by make, read-only afterwards */
    const float *shared;                  /* data that all instances of a family share (real data sets) */
} task_instance;

/* Which minibatch. */
typedef struct task_draw {
    uint64_t seed, step;
} task_draw;

typedef struct task_family {
    lopt_family_info info;
    int stochastic;                 /* 1: loss_grad depends on the draw */
    void (*plan)(task_instance *t); /* counts, total, sizes from values */
    void (*make)(task_instance *t); /* data from seed; NULL: none */
    void (*start)(const task_instance *t, uint64_t seed, float *params);
    /* Loss at params, its gradient unless grad is NULL; draw NULL: whole data. params, grad [total] */
    double (*loss_grad)(const task_instance *t, const task_draw *draw, const float *params, float *grad, float *workspace);
    /* out [total] = H v of the minibatch loss */
    void (*hvp)(const task_instance *t, const task_draw *draw, const float *params, const float *v, float *out, float *workspace);
    double (*accuracy)(const task_instance *t, const float *params, float *workspace); /* NULL: no labels */
} task_family;

/* The keys that every family's table ends with: the transforms of tasks/transform.c, in this order. */
enum { TRANSFORM_NOISE, TRANSFORM_SCALE, TRANSFORM_SPREAD, TRANSFORM_KEYS };
#define TASK_TRANSFORM_KEYS                                                                                              \
    {"noise", "standard deviation of the noise added to each gradient entry", 0, 0, 1e6, 0, 0, "0"},                    \
        {"scale", "rescaled parameters: f(x / scale), start times scale", 1, 1e-6, 1e6, 0, 0, "1"},                     \
        {"scale_spread", "each tensor rescaled by a factor drawn log-uniformly from 1/spread to spread", 1, 1, 1e4, 0, 0, "1"}

#define TASK_FAMILIES(X)                                                                                       \
    X(quadratic) X(bowl) X(ackley) X(beale) X(booth) X(branin) X(log_sum_exp) X(matyas) X(michalewicz)         \
    X(rosenbrock) X(styblinski_tang) X(softmax_regression) X(mlp) X(digits_softmax) X(digits_mlp)              \
    X(digits_wide) X(digits_deep) X(digits_conv) X(digits_autoencoder) X(teacher_mlp)

/* The family of this name for this instruction set; NULL beyond the last. */
const task_family *task_family_at(size_t index, cpu_isa isa);
/* Parses "family:key=value,..." strictly. family, values, name [name_size] (canonical spec) out. */
lopt_status task_spec_parse(const char *spec, const task_family **family, task_values *values, char *name, size_t name_size);

#endif
