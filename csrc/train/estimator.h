/* How the meta-gradient of one window of one run is estimated. An estimator is one entry of the table in estimator.c and one choice of
 * the configuration key "estimator", in the same order. */
#ifndef LOPT_TRAIN_ESTIMATOR_H
#define LOPT_TRAIN_ESTIMATOR_H

#include "csrc/train/config.h"
#include "tasks/engine/unroll.h"

typedef struct estimate {
    double meta_loss; /* of the window; NaN: diverged */
    size_t bounded;   /* adjoint entries that were bounded */
} estimate;

typedef struct estimator {
    const char *name;
    /* Advances the run by `steps` and leaves the estimate of d meta_loss / d weights in gradient [count]. */
    lopt_status (*window)(const train_config *c, const prepared_weights *w, unroll_run *run, size_t steps, unroll_workspace *ws,
                          float *gradient, estimate *out);
} estimator;

const estimator *estimator_at(int index);

#endif
