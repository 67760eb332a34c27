// What the tests of data families compare: vectors with a double reference, an epoch's minibatches with the whole.
#pragma once
#include "tests/tasks/support.h"

// |got - want| <= tolerance * (|want| + 1e-3), vectors as a whole
inline void expect_close(const std::vector<float> &got, const std::vector<double> &want, double tolerance,
                         const std::string &what) {
    ASSERT_EQ(got.size(), want.size()) << what;
    double error = 0, size = 0;
    for (size_t i = 0; i < got.size(); i++) error += (got[i] - want[i]) * (got[i] - want[i]), size += want[i] * want[i];
    EXPECT_LE(std::sqrt(error), tolerance * (std::sqrt(size) + 1e-3)) << what;
}

// Central differences of a reference gradient (x -> double vector) along v: what a Hessian-vector product must be.
template <class Gradient>
std::vector<double> product_by_differences(Gradient gradient, const std::vector<double> &x, const std::vector<double> &v) {
    const double h = 1e-5;
    std::vector<double> up = x, down = x;
    for (size_t i = 0; i < x.size(); i++) up[i] += h * v[i], down[i] -= h * v[i];
    std::vector<double> plus = gradient(up);
    const std::vector<double> minus = gradient(down);
    for (size_t i = 0; i < x.size(); i++) plus[i] = (plus[i] - minus[i]) / (2 * h);
    return plus;
}

inline std::vector<double> widened(const std::vector<float> &x) { return {x.begin(), x.end()}; }

// The mean over an epoch of `batches` minibatches is the whole loss and gradient.
inline void expect_epoch_averages_to_whole(Corpus &c, size_t batches, double tolerance) {
    const std::vector<float> x = c.start(1);
    double whole = 0, mean = 0;
    const std::vector<float> want = c.full_gradient(x, &whole);
    std::vector<double> sum(c.total);
    for (size_t t = 0; t < batches; t++) {
        double loss = 0;
        const std::vector<float> g = c.gradient(2, 3 * batches + t, x, &loss);
        mean += loss / double(batches);
        for (size_t i = 0; i < c.total; i++) sum[i] += g[i] / double(batches);
    }
    EXPECT_NEAR(mean, whole, tolerance * (1 + whole)) << task_name(c.task.p);
    expect_close(want, sum, tolerance, std::string("epoch of ") + task_name(c.task.p));
}

// Where plain gradient descent on minibatches leads.
inline std::vector<float> descended(Corpus &c, std::vector<float> x, size_t steps, double rate) {
    for (size_t t = 0; t < steps; t++) x = moved(x, c.gradient(9, t, x), -rate);
    return x;
}
