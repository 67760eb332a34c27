/* The start of a run: alpha = log lo + (log hi - log lo) (U_tensor + U_parameter) / 2, so that tensors differ in their mean. */
#ifndef LOPT_CELL_START_H
#define LOPT_CELL_START_H

#include "kernels/cell/philox.h"

/* lo: log of the lowest learning rate; width: log of the highest less lo. */
typedef struct start_rates {
    uint64_t seed;
    double lo, width;
} start_rates;

CELL_FN float start_tensor_draw(const start_rates *s, uint32_t tensor) {
    return random_uniform(s->seed, RANDOM_LOG_LR_TENSOR, tensor, 0, 0);
}
/* Four neighbouring parameters share one Philox call: draws of parameters 4 q .. 4 q + 3. */
CELL_FN random4 start_parameter_draws(const start_rates *s, uint32_t tensor, uint64_t q) {
    return random_bits(s->seed, RANDOM_LOG_LR_PARAMETER, tensor, q, 0);
}
CELL_FN float start_log_lr(const start_rates *s, float tensor_draw, uint32_t parameter_draw) {
    return (float)(s->lo + s->width * 0.5 * ((double)tensor_draw + (double)random_to_uniform(parameter_draw)));
}

#endif
