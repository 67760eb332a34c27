// Learning rates that are thrown off between windows: when, how far, and the same for all runs of an episode.
#include "tests/train/estimator_support.h"

namespace {

const std::vector<std::string> ALWAYS = {"shock.share=1", "shock.down=1000", "shock.up=10", "es.pairs=2"};

std::vector<std::string> with(std::vector<std::string> overrides, const std::string &another) {
    overrides.push_back(another);
    return overrides;
}

std::vector<float> exported(const unroll_run *r) {
    std::vector<float> out(unroll_run_floats(r));
    unroll_run_export(r, out.data());
    return out;
}

// Where log learning rates stand in an exported run of one tensor: after theta and phi, last of each parameter's state.
std::vector<bool> is_log_lr(const Bench &b, size_t floats) {
    const size_t n = task_total(b.task.p), C = size_t(dims_state(b.w.p->layout.dims));
    std::vector<bool> out(floats, false);
    for (size_t i = 0; i < n; i++) out[2 * n + i * C + C - 1] = true;
    return out;
}

TEST(Shock, MovesLearningRatesAloneAndNotBeyondTheirBounds) {
    Bench b({});
    Episode e(b, 1);
    e.window(5);
    const std::vector<float> before = exported(e.e->runs[0]);
    const std::vector<bool> log_lr = is_log_lr(b, before.size());
    unroll_run_shift_rates(e.e->runs[0], -2.5);
    std::vector<float> after = exported(e.e->runs[0]);
    for (size_t i = 0; i < before.size(); i++) EXPECT_NEAR(after[i], before[i] - (log_lr[i] ? 2.5f : 0.0f), 1e-5f) << i;
    for (double far : {-1000.0, 1000.0}) {
        unroll_run_shift_rates(e.e->runs[0], far);
        after = exported(e.e->runs[0]);
        for (size_t i = 0; i < before.size(); i++)
            if (log_lr[i]) {
                EXPECT_EQ(after[i], far < 0 ? -33.0f : 33.0f);
            }
    }
}

TEST(Shock, ComesAsOftenAndReachesAsFarAsConfigured) {
    Bench b({"shock.share=0.2", "shock.down=1000", "shock.up=10"});
    Episode e(b, 1);
    EXPECT_EQ(episode_shock(&b.c, e.e), 0.0) << "a run's first learning rates are drawn already";
    size_t count = 0;
    double lowest = 0, highest = 0;
    for (e.e->window = 1; e.e->window <= 5000; e.e->window++) {
        const double shift = episode_shock(&b.c, e.e);
        count += shift != 0.0;
        lowest = std::fmin(lowest, shift), highest = std::fmax(highest, shift);
    }
    EXPECT_NEAR(double(count), 1000, 120);
    EXPECT_GE(lowest, -std::log(1000.0));
    EXPECT_LT(lowest, -0.95 * std::log(1000.0));
    EXPECT_LE(highest, std::log(10.0));
    EXPECT_GT(highest, 0.95 * std::log(10.0));
    Bench off({});
    for (e.e->window = 1; e.e->window <= 100; e.e->window++) EXPECT_EQ(episode_shock(&off.c, e.e), 0.0);
}

// Every run of an episode takes the shock of the window, whatever the estimator keeps of its runs.
class ShockedEstimator : public ::testing::TestWithParam<const char *> {};
TEST_P(ShockedEstimator, TakesTheSameShockInAllRuns) {
    const std::string estimator = std::string("estimator=") + GetParam();
    Bench shocked(with(ALWAYS, estimator)), calm({"es.pairs=2", estimator});
    Episode a(shocked, 1), b(calm, 1);
    a.window(4), b.window(4);
    for (size_t i = 0; i < a.e->num_runs; i++) EXPECT_EQ(exported(a.e->runs[i]), exported(b.e->runs[i])) << "the first window";
    const double shift = episode_shock(&shocked.c, a.e);
    ASSERT_NE(shift, 0.0);
    for (size_t i = 0; i < b.e->num_runs; i++)
        unroll_run_shift_rates(b.e->runs[i], shift); // by hand, where the other does by itself
    EXPECT_EQ(a.window(4), b.window(4));
    for (size_t i = 0; i < a.e->num_runs; i++) EXPECT_EQ(exported(a.e->runs[i]), exported(b.e->runs[i]));
}
INSTANTIATE_TEST_SUITE_P(Estimators, ShockedEstimator, ::testing::Values("tbptt", "es", "pes", "nres", "mix"),
                         [](const auto &info) { return std::string(info.param); });

} // namespace
