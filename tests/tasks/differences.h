// A family against its formula, written again in long double and differentiated by differences; and Adam, to see that it can be trained on.
#pragma once
#include <functional>

#include "tests/tasks/support.h"

using Point = std::vector<long double>;
using Formula = std::function<long double(const Point &)>;

inline Point point(const std::vector<float> &x) { return Point(x.begin(), x.end()); }

// f at x + a u + b v
inline long double at(const Formula &f, const Point &x, const Point &u, long double a, const Point &v, long double b) {
    Point y(x.size());
    for (size_t i = 0; i < x.size(); i++) y[i] = x[i] + a * u[i] + b * v[i];
    return f(y);
}

// Loss, gradient and Hessian-vector product at x, by central differences of width h, to `tolerance` of the loss and of the largest entry
// beside the rounding of the differences themselves. Of long vectors every `every`-th entry is looked at.
inline void expect_formula(Corpus &c, const Formula &f, const std::vector<float> &x, long double h, double tolerance,
                           size_t every = 1) {
    const std::vector<float> v = direction(c.total, 11);
    double loss = 0;
    const std::vector<float> gradient = c.full_gradient(x, &loss), product = c.product(1, 2, x, v);
    const Point from = point(x), along = point(v);
    const long double want = f(from);
    EXPECT_NEAR(loss, double(want), tolerance * double(want) + 1e-13);
    EXPECT_EQ(loss, c.full_loss(x));                                     // with and without a gradient
    const double rounding = 2e-18 * std::fabs(double(want)) / double(h); // twenty units in the last place of f
    double g_size = 0, p_size = 0;
    for (float g : gradient) g_size = std::fmax(g_size, std::fabs(g));
    for (float p : product) p_size = std::fmax(p_size, std::fabs(p));
    for (size_t i = 0; i < c.total; i += every) {
        Point unit(c.total);
        unit[i] = 1;
        const long double slope = (at(f, from, unit, h, along, 0) - at(f, from, unit, -h, along, 0)) / (2 * h);
        const long double bend = (at(f, from, unit, h, along, h) - at(f, from, unit, h, along, -h) -
                                  at(f, from, unit, -h, along, h) + at(f, from, unit, -h, along, -h)) /
                                 (4 * h * h);
        ASSERT_NEAR(gradient[i], double(slope), tolerance * g_size + rounding) << "gradient, entry " << i;
        ASSERT_NEAR(product[i], double(bend), 10 * tolerance * p_size + rounding / double(h)) << "product, entry " << i;
    }
}

// The whole loss after `steps` of Adam on minibatches, over the loss at the start.
inline double adam_progress(Corpus &c, double rate, uint64_t steps) {
    std::vector<float> x = c.start(1);
    std::vector<double> mean(c.total), square(c.total);
    const double first = c.full_loss(x);
    for (uint64_t t = 1; t <= steps; t++) {
        const std::vector<float> g = c.gradient(7, t, x);
        for (size_t i = 0; i < c.total; i++) {
            mean[i] += 0.1 * (g[i] - mean[i]);
            square[i] += 0.001 * (double(g[i]) * g[i] - square[i]);
            const double m = mean[i] / (1 - std::pow(0.9, double(t))), s = square[i] / (1 - std::pow(0.999, double(t)));
            x[i] -= float(rate * m / (std::sqrt(s) + 1e-8));
        }
    }
    return c.full_loss(x) / first;
}
