/* Which tasks an evaluation looks at. */
#ifndef LOPT_EVAL_SUITE_H
#define LOPT_EVAL_SUITE_H

#include <stddef.h>

#include "lopt/lopt.h"

typedef struct eval_suite {
    char **specs; /* [count] */
    size_t count;
} eval_suite;

/* "quick" (NULL too), "digits", "heldout", "corpus", or specs separated by ';'. LOPT_ERR_ARGUMENT for a name that is none of these
 * nor a family, with the nearest one. The specs themselves are not looked at. */
lopt_status eval_suite_make(const char *text, eval_suite *out);
void eval_suite_release(eval_suite *s);

#endif
