/* A task family: how its instances are drawn, and their loss, gradient and Hessian-vector product, written for a team of workers
 * (kernels/cell/team.h). A family is a file in tasks/families/, alone or with others alike, compiled per instruction set, and one line in
 * TASK_FAMILIES. */
#ifndef LOPT_TASKS_FAMILY_H
#define LOPT_TASKS_FAMILY_H

#include "kernels/cpu/isa.h"
#include "lopt/meta.h"

enum { TASK_KEYS_MAX = 16, TASK_LIST_MAX = 12, TASK_TENSORS_MAX = 2 * TASK_LIST_MAX + 4 };

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
    const float *shared;              /* data from files that instances share (set by load): tasks/data/image_set.h; NULL: none */
    size_t shared_train, shared_test; /* their rows to train and to test */
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
    lopt_status (*load)(task_instance *t); /* after plan: data from files; NULL: none. Fails where there are no such files */
    void (*unload)(task_instance *t);      /* undoes load */
    int signed_batches;                    /* 1: the loss of a minibatch may be negative, so that it has no logarithm */
} task_family;

/* The keys that every family's table ends with, in this order: what is put around a family's functions (tasks/transform.c). */
enum {
    TRANSFORM_SCALE,
    TRANSFORM_MODEL_SPREAD,
    TRANSFORM_TENSOR_SPREAD,
    TRANSFORM_PARAMETER_SPREAD,
    TRANSFORM_LOG,
    TRANSFORM_SPARSE,
    TRANSFORM_NOISE,
    TRANSFORM_DEAD,
    TRANSFORM_KEYS
};
/* Lists that the formatter would take for code. */
/* clang-format off */
#define TRANSFORM_SPREAD_KEY(name, what) \
    {name, what " rescaled by a factor drawn log-uniformly from 1/spread to spread", 1, 1, 1e4, 0, 0, "1"}
#define TASK_TRANSFORM_KEYS                                                                                          \
    {"scale", "rescaled parameters: f(x / scale), start times scale", 1, 1e-6, 1e6, 0, 0, "1"},                      \
        TRANSFORM_SPREAD_KEY("model_spread", "all parameters"), TRANSFORM_SPREAD_KEY("tensor_spread", "each tensor"), \
        TRANSFORM_SPREAD_KEY("parameter_spread", "each parameter"),                                                  \
        {"log", "1: the loss becomes log(f + 1e-6) - log 1e-6", 0, 0, 1, 1, 0, "0"},                                 \
        {"sparse", "probability that a gradient entry is zeroed, drawn at each step", 0, 0, 1, 0, 0, "0"},           \
        {"noise", "standard deviation of the noise added to each gradient entry", 0, 0, 1e6, 0, 0, "0"},             \
        {"dead", "share of the parameters that the loss sees as 0: their gradient is 0 for ever", 0, 0, 1, 0, 0, "0"}

#define TASK_FAMILIES(X)                                                                                              \
    X(quadratic) X(bowl) X(ackley) X(beale) X(booth) X(branin) X(log_sum_exp) X(matyas) X(michalewicz)                \
    X(rosenbrock) X(styblinski_tang) X(softmax_regression) X(mlp) X(digits_softmax) X(digits_mlp) X(outward_snake)    \
    X(sum_of_quadratics) X(projection_quadratic) X(sparse_softmax) X(poisson_regression) X(factorisation)             \
    X(mnist_mlp) X(cifar10_mlp) X(norm) X(dependency_chain) X(min_max_well) X(matmul) X(rosenbrock_100) X(char_rnn)   \
    X(char_attention) X(digits_wide) X(digits_deep) X(digits_conv) X(digits_autoencoder) X(teacher_mlp)
/* clang-format on */

/* The family of this name for this instruction set; NULL beyond the last. */
const task_family *task_family_at(size_t index, cpu_isa isa);
/* Groups: named lists of instances that transforms and sums make of families (tasks/groups.c). NULL beyond the last. */
size_t task_group_count(void);
const lopt_family_info *task_group_get(size_t index);

#endif
