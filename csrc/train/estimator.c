#include "csrc/train/estimator.h"

#include "base/status.h"

/* Truncated backpropagation through time: exact within the window, state carried across windows without gradient. */
static lopt_status tbptt_window(const train_config *c, const prepared_weights *w, unroll_run *run, size_t steps, unroll_workspace *ws,
                                float *gradient, estimate *out) {
    const unroll_window_args args = {steps, c->second_derivatives, gradient, NULL};
    unroll_result result;
    LOPT_TRY(unroll_window(run, w, &args, ws, &result));
    *out = (estimate){result.meta_loss, result.bounded};
    return LOPT_OK;
}

static const estimator estimators[] = {{"tbptt", tbptt_window}};

const estimator *estimator_at(int index) { return &estimators[index]; }
