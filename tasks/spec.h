/* Task specs, the names that people give to tasks.
 *
 *   term  = family[:key=value,...]              quadratic:n=20,log=1,sparse=0.99        a list is written hidden=8x5
 *   spec  = term + term + ...                   quadratic:n=11+rosenbrock:noise=1       a sum of independent tasks
 *         | (term + term + ...)[:key=value,...] (quadratic:n=11+rosenbrock):noise=0.1   and the transforms of the sum itself */
#ifndef LOPT_TASKS_SPEC_H
#define LOPT_TASKS_SPEC_H

#include "tasks/family.h"

enum { TASK_TERMS_MAX = 16, TASK_NAME_MAX = 768 };

typedef struct task_spec {
    size_t num_terms;
    struct {
        const task_family *family;
        task_values values;
    } term[TASK_TERMS_MAX];
    task_values sum;          /* transforms of the sum, by TRANSFORM_KEYS; all neutral without parentheses */
    char name[TASK_NAME_MAX]; /* canonical: keys in the table's order, defaults left out */
} task_spec;

/* Strict; on failure `out` means nothing. */
lopt_status task_spec_parse(const char *text, task_spec *out);

#endif
