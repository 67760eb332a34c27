/* The estimate of d meta_loss / d weights from one window of an episode, by any of the estimators. */
#ifndef LOPT_TRAIN_ESTIMATE_H
#define LOPT_TRAIN_ESTIMATE_H

#include "csrc/train/episode.h"

typedef struct estimate {
    double meta_loss; /* of the window: the unperturbed run's, or the mean over all perturbed runs; NaN: one of the runs diverged */
    size_t bounded;   /* adjoint entries that were bounded */
} estimate;

/* Scratch of one thread; serves any episode of this configuration and shape. */
typedef struct estimate_workspace {
    unroll_workspace *unroll;
    prepared_weights *perturbed; /* NULL, as the buffers, for an estimator that does not perturb */
    float *trained;              /* [count] which weights are (trained.h) */
    float *noise, *weights;      /* [count] */
    float *exact[2], *exact_sum; /* [count] exact gradients of a pair's runs, and the sum over pairs; NULL unless mixed in */
    float *storage;
} estimate_workspace;

lopt_status estimate_workspace_create(const train_config *c, const weight_layout *layout, estimate_workspace **out);
void estimate_workspace_free(estimate_workspace *ws);

/* Advances the episode by `steps` and leaves the estimate in gradient [count]. After a run has diverged the estimate is void and the
 * episode must be dropped. */
lopt_status estimate_window(const train_config *c, const prepared_weights *w, episode *e, size_t steps, estimate_workspace *ws,
                            float *gradient, estimate *out);

#endif
