/* Baselines against their formulas, written a second time in double and from the papers' side: whole histories instead of running
 * states. */
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

extern "C" {
#include "csrc/eval/baselines.h"
}

namespace {

constexpr size_t kSteps = 7;
constexpr double kRate = 0.03;
using Vector = std::vector<double>;

double gradient(size_t step, double theta) { return 1.5 * theta - 0.7 + 0.4 * std::sin(3.0 * (double)step); }

/* Weighted sum over the past: sum_k decay^(t-k) values[k]. */
double decayed_sum(const Vector &values, double decay) {
    double sum = 0;
    for (size_t k = 0; k < values.size(); k++) sum += std::pow(decay, (double)(values.size() - 1 - k)) * values[k];
    return sum;
}
Vector squares(Vector v) {
    for (double &x : v) x *= x;
    return v;
}

/* A rule: theta_t from theta_{t-1}, all gradients so far and the rate. */
using Rule = std::function<double(double theta, const Vector &g, double rate)>;

double unbiased_root(const Vector &g) {
    return std::sqrt(0.001 * decayed_sum(squares(g), 0.999) / (1 - std::pow(0.999, (double)g.size()))) + 1e-8;
}
double adam_rule(double theta, const Vector &g, double rate) {
    double m = 0.1 * decayed_sum(g, 0.9) / (1 - std::pow(0.9, (double)g.size()));
    return theta - rate * m / unbiased_root(g);
}
double nadamw_rule(double theta, const Vector &g, double rate) {
    auto mu = [](size_t t) { return 0.9 * (1 - 0.5 * std::pow(0.96, 0.004 * (double)t)); };
    const size_t t = g.size();
    double product = 1;
    for (size_t k = 1; k <= t; k++) product *= mu(k);
    double nesterov = mu(t + 1) * 0.1 * decayed_sum(g, 0.9) / (1 - product * mu(t + 1)) + (1 - mu(t)) * g.back() / (1 - product);
    return theta * (1 - 0.01 * rate) - rate * nesterov / unbiased_root(g);
}

Rule rule_of(baseline_id id) {
    switch (id) {
    case BASELINE_SGD: return [](double theta, const Vector &g, double rate) { return theta - rate * g.back(); };
    case BASELINE_MOMENTUM: return [](double theta, const Vector &g, double rate) { return theta - rate * decayed_sum(g, 0.9); };
    case BASELINE_NESTEROV:
        return [](double theta, const Vector &g, double rate) { return theta - rate * (g.back() + 0.9 * decayed_sum(g, 0.9)); };
    case BASELINE_RMSPROP:
        return [](double theta, const Vector &g, double rate) {
            return theta - rate * g.back() / (std::sqrt(0.01 * decayed_sum(squares(g), 0.99)) + 1e-8);
        };
    case BASELINE_NADAMW: return nadamw_rule;
    case BASELINE_ADAMW:
    case BASELINE_ADAMW_COSINE:
        return [](double theta, const Vector &g, double rate) { return adam_rule(theta * (1 - 0.01 * rate), g, rate); };
    default: return adam_rule;
    }
}

class Baseline : public testing::TestWithParam<int> {};

TEST_P(Baseline, FollowsItsFormulaForSeveralSteps) {
    const auto id = (baseline_id)GetParam();
    const bool cosine = id == BASELINE_ADAM_COSINE || id == BASELINE_ADAMW_COSINE;
    const Rule rule = rule_of(id);
    const size_t n = 19;
    baseline_state *state = nullptr;
    ASSERT_EQ(baseline_state_create(n, &state), LOPT_OK);
    std::vector<float> params(n), grad(n);
    std::vector<double> expected(n);
    std::vector<Vector> history(n);
    for (size_t i = 0; i < n; i++) expected[i] = params[i] = 0.25f * (float)i - 2.0f;
    for (size_t t = 0; t < kSteps; t++) {
        for (size_t i = 0; i < n; i++) {
            grad[i] = (float)gradient(t + i, params[i]);
            history[i].push_back(grad[i]);
            double rate = cosine ? kRate * (1 + std::cos(M_PI * (double)t / kSteps)) / 2 : kRate;
            expected[i] = rule(expected[i], history[i], rate);
        }
        baseline_step(baseline_get(id), state, kRate, kSteps, grad.data(), params.data());
        for (size_t i = 0; i < n; i++)
            EXPECT_NEAR(params[i], expected[i], 3e-6 * std::fmax(1, std::fabs(expected[i]))) << "step " << t;
    }
    baseline_state_free(state);
}

INSTANTIATE_TEST_SUITE_P(All, Baseline, testing::Range(0, (int)BASELINE_COUNT), [](const auto &info) {
    std::string name = baseline_get((baseline_id)info.param)->name;
    for (char &c : name)
        if (c == ' ') c = '_';
    return name;
});

TEST(Baselines, FirstAdamStepIsTheRateWhateverTheGradientsSize) {
    for (float size : {1e-3f, 1.0f, 1e6f}) {
        baseline_state *state = nullptr;
        ASSERT_EQ(baseline_state_create(1, &state), LOPT_OK);
        float theta = 0;
        baseline_step(baseline_get(BASELINE_ADAM), state, 0.01, 10, &size, &theta);
        EXPECT_NEAR(theta, -0.01, 1e-6);
        baseline_state_free(state);
    }
}

} // namespace
