/* What turns averaged meta-gradients into updates of the weights: RMSProp, Adam, AdamW, with warm-up and decay of the rate. */
#ifndef LOPT_TRAIN_META_OPTIMIZER_H
#define LOPT_TRAIN_META_OPTIMIZER_H

#include "csrc/train/config.h"

/* [count] each; `average` is the moving average of the weights that is saved for use; `trained` 1, or 0 for a weight that is not decayed. */
typedef struct meta_state {
    size_t count;
    float *weights, *average, *moment, *square, *trained;
    float *storage;
} meta_state;

/* Starts from `weights` [count]; all are trained. */
lopt_status meta_state_create(size_t count, const float *weights, meta_state *out);
void meta_state_free(meta_state *s);

/* The rate of meta-iteration `iteration` = 0, 1, ... */
double meta_rate(const train_config *c, uint64_t iteration);
/* One update from gradient [count], and of the average. */
void meta_step(const train_config *c, uint64_t iteration, const float *gradient, meta_state *s);
/* Clips a particle's gradient in place. */
void meta_clip(const train_config *c, float *gradient, size_t count);

#endif
