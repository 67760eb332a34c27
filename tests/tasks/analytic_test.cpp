// norm, dependency_chain, min_max_well and rosenbrock_100 against their formulas, and what makes each of them special.
#include <algorithm>

#include "tests/tasks/differences.h"

namespace {

// W [n][n] and y [n] as the instance holds them: rows padded with zeros to 16.
struct Equations {
    size_t n, stride;
    const float *w, *y;
    Equations(const Corpus &c) : n(c.total), stride((n + 15) / 16 * 16), w(c.task.p->term[0].instance.data), y(w + n * stride) {}
    Point sizes(const Point &x) const { // |W x - y| + 1e-6
        Point a(n);
        for (size_t i = 0; i < n; i++) {
            for (size_t j = 0; j < n; j++) a[i] += w[i * stride + j] * x[j];
            a[i] = std::fabs(a[i] - y[i]) + 1e-6L;
        }
        return a;
    }
};

// Nothing taken out: long double holds the thousandth power of 1e4.
long double norm_formula(const Equations &e, long double p, const Point &x) {
    long double sum = 0;
    for (long double a : e.sizes(x)) sum += std::pow(a, p);
    return std::pow(sum, 1 / p);
}

TEST(Norm, IsTheFormulaAtEveryPower) {
    for (const char *p : {"1", "1.001", "1.5", "2", "2.5", "3", "8", "50", "200", "1000"})
        for (uint64_t seed = 0; seed < 3; seed++) {
            Corpus c(std::string("norm:n=18,p=") + p, seed + 5);
            const Equations e(c);
            const long double power = std::stold(p);
            std::vector<float> x = c.start(seed);
            for (double by : {0.0, 10.0, 200.0}) { // from small to large residuals
                SCOPED_TRACE(std::string(p) + " moved by " + std::to_string(by));
                x = moved(x, direction(18, unsigned(seed)), by);
                expect_formula(
                    c, [&](const Point &at) { return norm_formula(e, power, at); }, x, 1e-5L, 4e-6);
            }
        }
}

TEST(Norm, NeitherOverflowsNorUnderflows) {
    for (const char *p : {"1", "1.5", "2", "3", "200", "1000"})
        for (double size : {1e-30, 1e-6, 1e6, 1e15, 1e30}) {
            Corpus c(std::string("norm:n=22,p=") + p);
            std::vector<float> x = c.start(1);
            for (float &v : x) v = float(v * size);
            long double most = 0;
            for (long double a : Equations(c).sizes(point(x))) most = std::fmax(most, a);
            double loss = 0;
            for (float g : c.full_gradient(x, &loss)) EXPECT_TRUE(std::isfinite(g));
            for (float h : c.product(1, 1, x, direction(22, 1))) EXPECT_TRUE(std::isfinite(h));
            EXPECT_GE(loss, double(most) * (1 - 1e-6)) << p << " " << size;
            EXPECT_LE(loss, double(most) * std::pow(22, 1 / std::stod(p)) * (1 + 1e-6)) << p << " " << size;
        }
    for (uint64_t seed = 0; seed < 20; seed++) // one residual beyond the range of floats below the other
        for (const char *p : {"1", "1.5", "1000"}) {
            Corpus c(std::string("norm:n=2,p=") + p, seed);
            const float *w = c.task.p->term[0].instance.data;
            const int up = 126 - std::ilogb(std::fmax(std::fabs(w[0]), std::fabs(w[1])));
            const std::vector<float> x = {std::ldexp(w[1], up), -std::ldexp(w[0], up)};
            double loss = 0;
            for (float g : c.full_gradient(x, &loss)) EXPECT_TRUE(std::isfinite(g)) << p;
            for (float h : c.product(1, 1, x, {1, 0})) EXPECT_TRUE(std::isfinite(h)) << p;
            EXPECT_GT(loss, 1e36);
        }
}

TEST(Norm, OfALargePowerFollowsTheLargestResidual) {
    Corpus c("norm:n=20,p=1000");
    const Equations e(c);
    int seen = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        const std::vector<float> x = c.start(seed), g = c.full_gradient(x);
        const Point a = e.sizes(point(x));
        size_t most = 0;
        for (size_t i = 0; i < 20; i++)
            if (a[i] > a[most]) most = i;
        long double second = 0, residual = -(long double)e.y[most];
        for (size_t i = 0; i < 20; i++)
            if (i != most) second = std::fmax(second, a[i]);
        for (size_t j = 0; j < 20; j++) residual += e.w[most * e.stride + j] * (long double)x[j];
        if (second > 0.98L * a[most]) continue;
        seen++;
        for (size_t j = 0; j < 20; j++) EXPECT_NEAR(g[j], (residual > 0 ? 1 : -1) * e.w[most * e.stride + j], 1e-5);
    }
    EXPECT_GT(seen, 5);
}

// Two residuals within 0.3 % of each other: their share of the gradient is the thousandth power of a ratio near 1, which float alone
// would get wrong by 3e-5.
TEST(Norm, OfALargePowerIsAccurateWhereResidualsCompete) {
    for (uint64_t seed = 0; seed < 10; seed++) {
        Corpus c("norm:n=20,p=1000", seed);
        const Equations e(c);
        auto largest = [&](const std::vector<float> &x) {
            const Point a = e.sizes(point(x));
            return std::max_element(a.begin(), a.end()) - a.begin();
        };
        std::vector<float> x = c.start(seed), other = c.start(seed + 100);
        if (largest(x) == largest(other)) continue;
        for (int halving = 0; halving < 10; halving++) {
            std::vector<float> middle(20);
            for (size_t j = 0; j < 20; j++) middle[j] = (x[j] + other[j]) / 2;
            (largest(middle) == largest(x) ? x : other) = middle;
        }
        expect_formula(
            c, [&](const Point &at) { return norm_formula(e, 1000, at); }, x, 1e-5L, 4e-6);
    }
}

TEST(Norm, DataAreStandardNormal) {
    Corpus c("norm:n=100");
    const Equations e(c);
    double mean = 0, square = 0;
    for (size_t i = 0; i < 100; i++)
        for (size_t j = 0; j < 100; j++)
            mean += e.w[i * e.stride + j] / 1e4, square += double(e.w[i * e.stride + j]) * e.w[i * e.stride + j] / 1e4;
    EXPECT_NEAR(mean, 0, 0.05);
    EXPECT_NEAR(square, 1, 0.08);
    square = 0;
    for (size_t i = 0; i < 100; i++) square += double(e.y[i]) * e.y[i] / 100;
    EXPECT_NEAR(square, 1, 0.6);
}

long double chain_formula(const Point &x) {
    long double sum = 0;
    for (size_t i = 0; i + 1 < x.size(); i++) sum += x[0] * x[0] + x[i + 1] * x[i + 1] / (x[i] * x[i] + 1e-6L);
    return sum;
}

TEST(DependencyChain, IsTheFormula) {
    for (const char *n : {"1", "2", "7", "8", "12", "64"})
        for (uint64_t seed = 0; seed < 5; seed++) {
            Corpus c(std::string("dependency_chain:n=") + n);
            ASSERT_EQ(c.total, std::stoul(n) + 1);
            std::vector<float> x = c.start(seed);
            expect_formula(c, chain_formula, x, 1e-6L, 1e-6);
            x[c.total - 2] = 1e-3f; // the steepest place of the last link
            expect_formula(c, chain_formula, x, 1e-8L, 1e-6);
            x[c.total - 2] = 0; // where it is as good as solved
            expect_formula(c, chain_formula, x, 1e-8L, 1e-6);
        }
}

TEST(DependencyChain, IsSolvedFromItsEnd) {
    Corpus c("dependency_chain:n=3");
    EXPECT_EQ(c.full_loss({0, 0, 0, 0}), 0);
    EXPECT_NEAR(c.full_loss({1, 1, 1, 1}), 6, 1e-5);
    EXPECT_GT(c.full_loss({1, 1e-2f, 1, 1}), 1e3);      // a link that goes to 0 early lifts the next term
    EXPECT_LT(c.full_loss({1, 1e-6f, 1e-9f, 0}), 3.01); // all later ones at once do not
    const std::vector<float> g = c.full_gradient({1, 1, 1, 1});
    EXPECT_NEAR(g[3], 2, 1e-5); // the last link is free to fall
    EXPECT_NEAR(g[2], 0, 1e-5); // the others are held by their successors
    EXPECT_NEAR(g[1], 0, 1e-5);
}

long double well_formula(const Point &x) {
    long double most = 0, least = INFINITY;
    for (long double v : x) most = std::fmax(most, v * v), least = std::fmin(least, v * v);
    return most + 1 / (least + 1e-12L) - 2 + 1e-9L;
}

TEST(MinMaxWell, IsTheFormula) {
    for (const char *n : {"2", "12", "13", "64"})
        for (uint64_t seed = 0; seed < 10; seed++) {
            Corpus c(std::string("min_max_well:n=") + n);
            expect_formula(c, well_formula, c.start(seed), 1e-8L, 1e-6);
        }
}

TEST(MinMaxWell, HasAGradientAndCurvatureInTwoEntriesAlone) {
    Corpus c("min_max_well:n=12");
    auto count = [](const std::vector<float> &v) { return std::count_if(v.begin(), v.end(), [](float x) { return x != 0; }); };
    for (uint64_t seed = 0; seed < 20; seed++) {
        const std::vector<float> x = c.start(seed);
        EXPECT_EQ(count(c.full_gradient(x)), 2);
        EXPECT_EQ(count(c.product(1, 1, x, direction(12, 1))), 2);
    }
    const std::vector<float> equal(12, -2.0f), g = c.full_gradient(equal); // of equals, the first and the last
    EXPECT_EQ(count(g), 2);
    EXPECT_EQ(g[0], -4);
    EXPECT_NEAR(g[11], 4.0 / 16, 1e-6);
}

TEST(MinMaxWell, IsNotNegativeAtItsBottom) {
    Corpus c("min_max_well:n=12");
    std::vector<float> x(12);
    for (int i = 0; i < 12; i++) x[size_t(i)] = i % 2 ? 1 : -1;
    EXPECT_NEAR(c.full_loss(x), 1e-9 - 1e-12, 1e-15);
    for (int i = 0; i < 200; i++) EXPECT_GT(c.full_loss(moved(x, direction(12, unsigned(i)), 1e-6 * (i + 1))), 9e-10);
    for (float least : {0.0f, 1e-30f, 1e-9f, 5.8e-7f, 1e-6f, 1e-4f}) { // steep, but never so that a step is skipped
        x[5] = least;
        EXPECT_LE(c.full_loss(x), 1.0000001e12);
        for (float g : c.full_gradient(x)) EXPECT_LT(std::fabs(g), 1e18);
    }
}

TEST(MinMaxWell, StartsAwayFromItsPole) {
    Corpus c("min_max_well:n=64");
    int raised[2] = {}, all = 0;
    double square = 0;
    for (uint64_t seed = 0; seed < 500; seed++)
        for (float v : c.start(seed)) {
            EXPECT_GE(std::fabs(v), 0.01f);
            raised[v > 0] += std::fabs(v) == 0.01f;
            square += double(v) * v;
            all++;
        }
    EXPECT_NEAR(square / all, 1, 0.03);
    EXPECT_NEAR(raised[0], 0.004 * all, 40); // P(0 < x < 0.01) = 0.00399
    EXPECT_NEAR(raised[1], 0.004 * all, 40);
}

long double valley_formula(const Point &x) {
    long double sum = 0;
    for (size_t i = 0; i + 1 < x.size(); i++) sum += 100 * std::pow(x[i + 1] - x[i] * x[i], 2.0L) + std::pow(1 - x[i], 2.0L);
    return sum;
}

TEST(Rosenbrock100, IsTheFormula) {
    Corpus c("rosenbrock_100");
    ASSERT_EQ(c.total, 100u);
    EXPECT_TRUE(c.task.p->term[0].family->info.held_out);
    EXPECT_EQ(c.full_loss(std::vector<float>(100, 1.0f)), 0);
    EXPECT_EQ(c.full_loss(std::vector<float>(100, 0.0f)), 99);
    double square = 0;
    for (uint64_t seed = 0; seed < 5; seed++) {
        const std::vector<float> x = c.start(seed);
        expect_formula(c, valley_formula, x, 1e-5L, 1e-6);
        square += dot(x, x) / 500;
    }
    EXPECT_NEAR(square, 1, 0.25);
}

TEST(Analytic, AdamMakesProgress) {
    const struct {
        const char *spec;
        double left; // of the loss, after 3,000 steps
    } cases[] = {{"norm:n=27,p=1", 0.1},       {"norm:n=25,p=2", 0.1},         {"norm:n=22,p=3", 0.02},
                 {"norm:n=18,p=200", 0.1},     {"dependency_chain:n=12", 0.5}, {"dependency_chain:n=64", 0.2},
                 {"min_max_well:n=12", 0.005}, {"min_max_well:n=64", 0.005},   {"rosenbrock_100", 0.02}};
    for (const auto &one : cases) {
        Corpus c(one.spec);
        EXPECT_LT(adam_progress(c, 0.01, 3000), one.left) << one.spec;
    }
}

} // namespace
