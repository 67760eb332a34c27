/* What the numbers of an optimizer's state may be, whoever wrote them. */
#ifndef LOPT_OPTIMIZER_STATE_CHECK_H
#define LOPT_OPTIMIZER_STATE_CHECK_H

#include <stddef.h>

#include "kernels/state_part.h"
#include "lopt/lopt.h"

/* LOPT_OK where steps can go on from `count` numbers of the part, of the guard whole entries; else `otherwise`, with a sentence that names the tensor.
 * True and attended parameters may be anything: they are the user's. */
lopt_status state_check(state_part part, const char *tensor, const float *values, size_t count, lopt_status otherwise);

#endif
