/* Instances that are made of families by transforms and sums: data, not code. */
#include "tasks/family.h"

static const char *const log_instances[] = {"quadratic:n=20,log=1", "quadratic:n=50,log=1", "quadratic:n=100,log=1",
                                            "bowl:c=0.1,log=1",     "bowl:log=1",           "bowl:c=5,log=1"};

static const char *const rescale_instances[] = {
    "norm:n=18,p=2.5,scale=0.123", "norm:n=18,p=1.5,scale=8",  "norm:n=18,scale=50",
    "norm:n=18,p=3,scale=200",     "norm:n=18,p=1,scale=1000", "quadratic:scale=0.1",
    "quadratic:n=25,scale=10",     "quadratic:n=50,scale=350", "quadratic:n=100,scale=132"};

static const char *const sparse_instances[] = {"quadratic:n=20,sparse=0.99",
                                               "quadratic:n=50,sparse=0.99",
                                               "quadratic:n=100,sparse=0.99",
                                               "bowl:c=0.1,sparse=0.99",
                                               "bowl:sparse=0.99",
                                               "bowl:c=5,sparse=0.99",
                                               "mlp:inputs=8,hidden=8x5,batch=10,sparse=0.99",
                                               "mlp:inputs=12,hidden=8x5x3,batch=200,sparse=0.99",
                                               "mlp:inputs=5,hidden=4x4x4x4,batch=100,sparse=0.99"};

#define SEVEN_QUADRATICS "quadratic:n=11+quadratic:n=3+quadratic:n=9+quadratic:n=7+quadratic:n=5+quadratic:n=13+quadratic:n=12"
#define NINE_FUNCTIONS "ackley+beale+booth+branin+log_sum_exp+matyas+michalewicz+rosenbrock+styblinski_tang"
static const char *const sum_instances[] = {SEVEN_QUADRATICS,
                                            "norm:n=18,p=3+quadratic:n=25+rosenbrock",
                                            NINE_FUNCTIONS,
                                            NINE_FUNCTIONS "+quadratic:n=5+quadratic:n=13",
                                            "quadratic:n=11+quadratic:n=3",
                                            "rosenbrock+log_sum_exp+ackley",
                                            "(" SEVEN_QUADRATICS "):noise=0.1",
                                            NINE_FUNCTIONS "+quadratic:n=5+quadratic:n=13,noise=0.5"};

#define GROUP(name, summary, formula, instances) \
    { name, summary, formula, 0, NULL, sizeof instances / sizeof instances[0], instances, 0, 0, NULL }
static const lopt_family_info groups[] = {
    GROUP("log_objective", "the logarithm of another task: key log", "log(f + 1e-6) - log 1e-6", log_instances),
    GROUP("rescale", "another task with its parameters rescaled: key scale", "f(x / scale), start times scale", rescale_instances),
    GROUP("sparse_gradient", "another task whose gradient is mostly zeroed: key sparse",
          "f, each gradient entry zeroed with probability `sparse`", sparse_instances),
    GROUP("sum", "independent tasks, losses added: task+task", "sum of the terms' losses, each with its own tensors",
          sum_instances)};
enum { GROUP_COUNT = sizeof groups / sizeof groups[0] };

size_t task_group_count(void) { return GROUP_COUNT; }
const lopt_family_info *task_group_get(size_t index) { return index < GROUP_COUNT ? &groups[index] : NULL; }
