// poisson_regression and factorisation against their formulas in double.
#include <set>

#include "tests/tasks/compare.h"

extern "C" {
#include "tasks/families/batch.h"
}

namespace {

typedef std::vector<double> vec;

// ---- poisson_regression: inputs [1024][32], then counts [1024] ----

double poisson(const Corpus &c, const std::vector<size_t> &which, const vec &p, vec &g) {
    const float *x = c.task.p->term[0].instance.data, *counts = x + 32 * 1024;
    double loss = 0;
    g.assign(21, 0.0);
    for (size_t r : which) {
        double z = p[20];
        for (size_t j = 0; j < 20; j++) z += p[j] * x[r * 32 + j];
        const double mu = std::exp(z), y = counts[r], share = 1.0 / double(which.size());
        loss += share * ((y > 0 ? y * std::log(y / mu) : 0) - (y - mu));
        for (size_t j = 0; j < 20; j++) g[j] += share * (mu - y) * x[r * 32 + j];
        g[20] += share * (mu - y);
    }
    return loss;
}

std::vector<size_t> all(size_t n) {
    std::vector<size_t> which(n);
    for (size_t i = 0; i < n; i++) which[i] = i;
    return which;
}
std::vector<size_t> batch_of(task_draw draw, size_t rows, size_t batch) {
    std::vector<size_t> which;
    const batch_order order = batch_begin(&draw, uint32_t(rows), uint32_t(batch));
    for (uint32_t i = 0; i < batch; i++) which.push_back(batch_row(&order, i));
    return which;
}

// Loss, gradient and product, whole and minibatch, against reference(which, params, gradient out).
template <class Reference>
void expect_reference(Corpus &c, size_t rows, size_t batch, const std::vector<float> &x, Reference reference) {
    const task_draw draw = {4, 40};
    const std::vector<size_t> which = batch_of(draw, rows, batch);
    const std::vector<float> v = direction(c.total, 6);
    double loss = 0;
    vec g;
    double want = reference(all(rows), widened(x), g);
    expect_close(c.full_gradient(x, &loss), g, 1e-5, "whole gradient");
    EXPECT_NEAR(loss, want, 1e-5 * (want + 0.01));
    EXPECT_EQ(loss, c.full_loss(x));
    want = reference(which, widened(x), g);
    expect_close(c.gradient(draw.seed, draw.step, x, &loss), g, 1e-5, "minibatch gradient");
    EXPECT_NEAR(loss, want, 1e-5 * (want + 0.01));
    auto gradient = [&](const vec &at) {
        vec out;
        reference(which, at, out);
        return out;
    };
    expect_close(c.product(draw.seed, draw.step, x, v), product_by_differences(gradient, widened(x), widened(v)), 5e-5, "product");
}

TEST(PoissonRegression, IsHalfTheDeviance) {
    for (size_t batch : {64u, 1u, 200u}) {
        Corpus c("poisson_regression:batch=" + std::to_string(batch), 3);
        ASSERT_EQ(c.total, 21u);
        for (uint64_t seed = 0; seed < 3; seed++)
            for (double by : {0.0, 2.0})
                expect_reference(c, 1024, batch, moved(c.start(seed), direction(21, 2), by),
                                 [&](const auto &which, const vec &p, vec &g) { return poisson(c, which, p, g); });
    }
}

TEST(PoissonRegression, CountsHaveTheVarianceOfTheirMean) {
    Corpus c("poisson_regression", 3);
    const float *counts = c.task.p->term[0].instance.data + 32 * 1024;
    for (size_t r = 0; r < 1024; r++) ASSERT_TRUE(counts[r] >= 0 && counts[r] == std::floor(counts[r]) && counts[r] < 1000);
    // at the fitted rates: sum of y is that of mu, and Pearson's statistic that of its degrees of freedom
    const std::vector<float> fit = descended(c, c.start(1), 4000, 0.01);
    double y_sum = 0, mu_sum = 0, pearson = 0;
    for (size_t r = 0; r < 1024; r++) {
        double z = fit[20];
        for (size_t j = 0; j < 20; j++) z += double(fit[j]) * c.task.p->term[0].instance.data[r * 32 + j];
        const double mu = std::exp(z);
        y_sum += counts[r], mu_sum += mu, pearson += (counts[r] - mu) * (counts[r] - mu) / mu;
    }
    EXPECT_NEAR(mu_sum / y_sum, 1, 0.05);
    EXPECT_NEAR(pearson / 1003, 1, 0.2);
    EXPECT_GT(y_sum / 1024, 2);
    EXPECT_LT(y_sum / 1024, 8);
}

TEST(PoissonRegression, StaysFiniteWhereRatesDoNot) {
    Corpus c("poisson_regression");
    double last = 0;
    for (double by : {1e2, 1e3, 1e6, 1e10}) {
        const std::vector<float> x = moved(c.start(1), direction(21, 2), by);
        double loss = 0;
        for (float g : c.full_gradient(x, &loss)) ASSERT_TRUE(std::isfinite(g));
        for (float h : c.product(1, 1, x, direction(21, 3))) ASSERT_TRUE(std::isfinite(h));
        EXPECT_TRUE(std::isfinite(loss));
        EXPECT_GT(loss, last);
        last = loss;
    }
    // the slope is continuous where the straight line begins: b alone from below 20 to beyond
    std::vector<float> below(21, 0.0f), beyond(21, 0.0f);
    below[20] = 19.999f, beyond[20] = 20.5f;
    EXPECT_NEAR(c.full_gradient(beyond)[20] / c.full_gradient(below)[20], 1, 2e-3);
    EXPECT_NEAR(c.full_loss(beyond) / (std::exp(20.0) * 1.5), 1, 1e-4);
    for (float h : c.product(1, 1, beyond, direction(21, 3))) EXPECT_EQ(h, 0);
}

TEST(PoissonRegression, IsLearnt) {
    Corpus c("poisson_regression");
    expect_epoch_averages_to_whole(c, 16, 1e-5);
    for (uint64_t seed = 0; seed < 3; seed++) {
        const std::vector<float> x = c.start(seed);
        const double end = c.full_loss(descended(c, x, 3000, 0.01));
        EXPECT_NEAR(end, 0.55, 0.1); // half of each row's deviance of about 1
        EXPECT_GT(c.full_loss(x), 2 * end);
    }
}

// ---- factorisation: M [60][48], weights, then the list of known entries [960], each i * 48 + j ----

double factorisation(const Corpus &c, const std::vector<size_t> &which, const vec &p, vec &g) {
    const float *m = c.task.p->term[0].instance.data, *list = m + 2 * 60 * 48;
    double loss = 0;
    g.assign(500, 0.0);
    for (size_t e : which) {
        const size_t i = size_t(list[e]) / 48, j = size_t(list[e]) % 48;
        double error = -double(m[i * 48 + j]);
        for (size_t k = 0; k < 5; k++) error += p[i * 5 + k] * p[300 + j * 5 + k];
        loss += error * error / double(which.size());
        for (size_t k = 0; k < 5; k++) {
            g[i * 5 + k] += 2 * error * p[300 + j * 5 + k] / double(which.size());
            g[300 + j * 5 + k] += 2 * error * p[i * 5 + k] / double(which.size());
        }
    }
    return loss;
}

TEST(Factorisation, IsTheMeanSquareOverKnownEntries) {
    for (size_t batch : {64u, 1u, 960u}) {
        Corpus c("factorisation:batch=" + std::to_string(batch), 3);
        ASSERT_EQ(c.total, 500u);
        EXPECT_EQ(task_counts(c.task.p)[0], 300u);
        for (uint64_t seed = 0; seed < 3; seed++)
            for (double by : {0.0, 20.0})
                expect_reference(c, 960, batch, moved(c.start(seed), direction(500, 2), by),
                                 [&](const auto &which, const vec &p, vec &g) { return factorisation(c, which, p, g); });
    }
    Corpus c("factorisation");
    expect_epoch_averages_to_whole(c, 15, 1e-5);
}

// Rank by elimination with full pivots.
size_t rank_of(std::vector<vec> m, double tolerance) {
    size_t rank = 0;
    for (; rank < m.size(); rank++) {
        size_t bi = rank, bj = rank;
        for (size_t i = rank; i < m.size(); i++)
            for (size_t j = rank; j < m[0].size(); j++)
                if (std::fabs(m[i][j]) > std::fabs(m[bi][bj])) bi = i, bj = j;
        if (std::fabs(m[bi][bj]) < tolerance) break;
        std::swap(m[rank], m[bi]);
        for (vec &row : m) std::swap(row[rank], row[bj]);
        for (size_t i = rank + 1; i < m.size(); i++) {
            const double factor = m[i][rank] / m[rank][rank];
            for (size_t j = rank; j < m[0].size(); j++) m[i][j] -= factor * m[rank][j];
        }
    }
    return rank;
}

TEST(Factorisation, KnowsFortyPercentOfAMatrixOfRankFive) {
    Corpus c("factorisation", 5);
    const float *m = c.task.p->term[0].instance.data, *weight = m + 2880, *list = weight + 2880;
    std::vector<vec> matrix(40, vec(60));
    double square = 0, weights = 0;
    for (size_t i = 0; i < 60; i++)
        for (size_t j = 0; j < 40; j++) matrix[j][i] = m[i * 48 + j], square += double(m[i * 48 + j]) * m[i * 48 + j] / 2400;
    EXPECT_EQ(rank_of(matrix, 1e-4), 5u);
    EXPECT_NEAR(square, 1, 0.4);
    std::set<int> seen;
    int of_row[60] = {}, of_column[40] = {};
    for (size_t e = 0; e < 960; e++) {
        const int cell = int(list[e]);
        ASSERT_TRUE(seen.insert(cell).second);
        ASSERT_LT(cell / 48, 60);
        ASSERT_LT(cell % 48, 40);
        of_row[cell / 48]++, of_column[cell % 48]++;
    }
    for (size_t i = 0; i < 2880; i++) {
        weights += weight[i];
        ASSERT_EQ(weight[i] > 0, seen.count(int(i)) == 1);
    }
    EXPECT_NEAR(weights, 1, 1e-5);
    for (int n : of_row) EXPECT_NEAR(n, 16, 14); // at random over the matrix
    for (int n : of_column) EXPECT_NEAR(n, 24, 19);
    Corpus other("factorisation", 6);
    EXPECT_NE(std::memcmp(list, other.task.p->term[0].instance.data + 2 * 2880, 960 * sizeof(float)), 0);
}

TEST(Factorisation, IsLearnt) {
    Corpus c("factorisation");
    for (uint64_t seed = 0; seed < 2; seed++) {
        std::vector<float> x = c.start(seed);
        EXPECT_NEAR(norm(x), 0.1 * std::sqrt(500.0), 0.3);
        const double start = c.full_loss(x);
        for (int t = 0; t < 1500; t++) x = moved(x, c.full_gradient(x), -8);
        EXPECT_LT(c.full_loss(x), 0.02 * start);
    }
}

} // namespace
