// What every family owes whoever trains on it: a step down the gradient lowers the loss, minibatch gradients average to that of all
// data, and Adam makes progress. Walks the registry as registry_test.cpp does.
#include "tests/tasks/registry_instances.h"

namespace {

class EveryInstanceTrained : public ::testing::TestWithParam<std::string> {};

struct Descent {
    double first, last, predicted; // predicted: to first order
};
Descent plain_descent(Corpus &c, std::vector<float> x, double rate, int steps) {
    Descent d = {c.full_loss(x), 0, 0};
    for (int t = 0; t < steps; t++) {
        const std::vector<float> g = c.full_gradient(x);
        d.predicted += rate * dot(g, g);
        x = moved(x, g, -rate);
    }
    d.last = c.full_loss(x);
    return d;
}

// Some fixed rate brings at least a tenth of what the gradients promise (Armijo 1966) and more than rounding can.
TEST_P(EveryInstanceTrained, PlainDescentLowersTheLoss) {
    Corpus c(GetParam());
    const bool large = c.total > LARGE;
    for (uint64_t seed = 1; seed <= (large ? 1 : 3); seed++) {
        const std::vector<float> x = c.start(seed);
        const double unit = std::fmax(norm(x), 1e-3) / norm(c.full_gradient(x));
        double most = 0; // of the first loss
        for (double rate = 0.3 * unit; rate > 1e-7 * unit && most < 1e-3; rate *= 0.3) {
            const Descent d = plain_descent(c, x, rate, large ? 5 : 20);
            const double fall = d.first - d.last;
            if (fall >= 0.1 * d.predicted) most = std::fmax(most, fall / d.first);
        }
        EXPECT_GE(most, 1e-3) << "seed " << seed;
    }
}

// Last whole loss over the first (of a logarithm: what is under it) after Adam (Kingma and Ba 2015), at a rate relative to the size of the
// parameters.
double trained_ratio(Corpus &c, uint64_t seed, int steps, double relative_rate) {
    std::vector<float> x = c.start(seed);
    std::vector<double> m(c.total), v(c.total);
    const double first = c.full_loss(x), rate = relative_rate * std::fmax(norm(x) / std::sqrt(double(c.total)), 1e-3);
    for (int t = 1; t <= steps; t++) {
        const std::vector<float> g = c.gradient(seed, uint64_t(t), x);
        for (size_t i = 0; i < c.total; i++) {
            m[i] = 0.9 * m[i] + 0.1 * g[i], v[i] = 0.999 * v[i] + 0.001 * double(g[i]) * g[i];
            x[i] -= float(rate * m[i] / (1 - std::pow(0.9, t)) / (std::sqrt(v[i] / (1 - std::pow(0.999, t))) + 1e-8));
        }
    }
    return c.task.p->term[0].transform.log ? std::exp(c.full_loss(x) - first) : c.full_loss(x) / first;
}

TEST_P(EveryInstanceTrained, TrainsUnderAdam) {
    Corpus c(GetParam());
    const int steps = c.total > 5000 ? 40 : c.total > 1000 ? 100 : GetParam().find("sparse=0.99") != std::string::npos ? 1500 : 300;
    double best = INFINITY;
    for (uint64_t seed = 1; seed <= 3 && !(best < 0.8); seed++) // a plateau may hold a single start
        for (double rate : {0.1, 0.03, 0.01, 0.3})
            if (!(best < 0.8)) best = std::fmin(best, trained_ratio(c, seed, steps, rate));
    EXPECT_LT(best, 0.9);
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryInstanceTrained, ::testing::ValuesIn(all_instances()), test_name);
INSTANTIATE_TEST_SUITE_P(RegistryOfFiles, EveryInstanceTrained, ::testing::ValuesIn(file_instances()), test_name);

// Instances whose gradients are drawn at each step. With a logarithm around them they do not average to that of log f: the slope of
// the logarithm of a minibatch's loss is not linear in it.
std::vector<std::string> stochastic(const std::vector<std::string> &specs) {
    std::vector<std::string> chosen;
    for (const std::string &spec : specs) {
        Corpus c(spec);
        bool log = c.task.p->transform.log;
        for (size_t i = 0; i < c.task.p->num_terms; i++) log |= bool(c.task.p->term[i].transform.log);
        if (task_is_stochastic(c.task.p) && !log) chosen.push_back(spec);
    }
    return chosen;
}

class EveryStochasticInstance : public ::testing::TestWithParam<std::string> {};

// Running mean and variance of the slopes along a direction (Welford 1962).
struct Slopes {
    double mean = 0, squares = 0;
    size_t n = 0;
    void add(double slope) {
        const double off = slope - mean;
        mean += off / double(++n), squares += off * (slope - mean);
    }
    double standard_error() const { return std::sqrt(squares / double(n - 1) / double(n)); }
};

// The gradient of all data, each entry times the probability that no mask zeroes it.
std::vector<float> expected_gradient(Corpus &c, const std::vector<float> &x) {
    std::vector<float> g = c.full_gradient(x);
    for (size_t k = 0; k < c.task.p->num_terms; k++) {
        const task_term &term = c.task.p->term[k];
        for (size_t i = 0; i < term.instance.total; i++)
            g[term.first + i] *= (1 - term.transform.sparse) * (1 - c.task.p->transform.sparse);
    }
    return g;
}

TEST_P(EveryStochasticInstance, MinibatchGradientsAverageToThatOfAllData) {
    Corpus c(GetParam());
    const std::vector<float> x = c.start(1), want = expected_gradient(c, x), across = direction(c.total, 3);
    const double length = norm(want);
    const size_t least = c.total > LARGE ? 100 : 4000,
                 most = c.total > LARGE ? 300 : 40000; // a mask of 99 % seldom leaves anything
    Slopes along_gradient, along_random;
    do {
        const std::vector<float> g = c.gradient(9, along_gradient.n, x);
        along_gradient.add(dot(g, want) / length), along_random.add(dot(g, across));
    } while (along_gradient.n < most && (along_gradient.n < least || along_gradient.standard_error() > 0.02 * length));
    EXPECT_LE(along_gradient.standard_error(), 0.08 * length) << "too few draws to tell";
    EXPECT_NEAR(along_gradient.mean, length, 4.5 * along_gradient.standard_error() + 1e-4 * length);
    EXPECT_NEAR(along_random.mean, dot(want, across), 4.5 * along_random.standard_error() + 1e-4 * length);
}
INSTANTIATE_TEST_SUITE_P(Registry, EveryStochasticInstance, ::testing::ValuesIn(stochastic(all_instances())), test_name);
INSTANTIATE_TEST_SUITE_P(RegistryOfFiles, EveryStochasticInstance, ::testing::ValuesIn(stochastic(file_instances())), test_name);

} // namespace
