/* Which of the weights a training changes (key weights.trained): fewer are less for evolution strategies to tell apart. */
#ifndef LOPT_TRAIN_TRAINED_H
#define LOPT_TRAIN_TRAINED_H

#include "csrc/train/config.h"
#include "kernels/layout.h"

/* *mask out: [layout->count], 1 for each number of a tensor whose name fits one of the patterns ("learning_rate.*"), else 0; malloc'ed. A pattern
 * can name rows of a tensor ("update.kernel[2:4]": 2 and 3), and take away what those before it have named ("!*.bias"). Fails, naming it,
 * for a pattern that fits none. */
lopt_status trained_mask(const config_list *patterns, const weight_layout *layout, float **mask);
/* values [count] become 0 where mask [count] is. */
void trained_apply(const float *mask, size_t count, float *values);

#endif
