// One run, of a task whose loss does not see a parameter that is no number: it has diverged all the same.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/golden.h"

extern "C" {
#include "csrc/eval/runner.h"
}

namespace {

// The second parameter has no part in the loss, and takes its start from `self`.
int start(void *self, uint64_t, float *const *params) {
    params[0][0] = 1.0f, params[0][1] = *static_cast<float *>(self);
    return 0;
}
int loss_grad(void *, uint64_t, uint64_t, const float *const *params, double *loss, float *const *grads) {
    *loss = double(params[0][0]) * params[0][0];
    if (grads) grads[0][0] = 2.0f * params[0][0], grads[0][1] = 0.0f;
    return 0;
}

double last_loss_from(float unseen) {
    const size_t count = 2;
    lopt_task_ops ops = {};
    ops.struct_size = sizeof ops, ops.num_tensors = 1, ops.counts = &count, ops.init = start, ops.loss_grad = loss_grad;
    Task task;
    EXPECT_EQ(lopt_task_from_ops(&ops, &unseen, &task.p), LOPT_OK) << lopt_last_error();
    double loss = -1.0;
    run_request r = {};
    run_outcome out = {&loss, 0.0, 0.0};
    r.task = task.p;
    r.grid = eval_grid_make(10);
    r.baseline = baseline_get(BASELINE_SGD);
    r.rate = 0.1;
    EXPECT_EQ(run_execute(&r, &out), LOPT_OK) << lopt_last_error();
    return loss;
}

TEST(Runner, AParameterThatIsNoNumberIsADivergedRun) {
    EXPECT_NEAR(last_loss_from(3.0f), std::pow(0.8, 20), 1e-6);
    EXPECT_TRUE(std::isnan(last_loss_from(NAN)));
}

} // namespace
