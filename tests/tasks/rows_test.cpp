// outward_snake, sum_of_quadratics and projection_quadratic against their formulas, row by row in double.
#include "tests/tasks/compare.h"

extern "C" {
#include "tasks/families/batch.h"
}

namespace {

typedef std::vector<double> vec;
const double pi = std::acos(-1.0);

// One row's loss; its gradient is added to g.
typedef double (*row_loss)(const vec &x, const vec &d, double share, vec &g);

double snake_row(const vec &x, const vec &d, double share, vec &g) {
    double square = 0, f = 0;
    for (double v : x) square += v * v;
    const double r = std::sqrt(square);
    f = d[0] / (r + 1e-6);
    for (size_t i = 0; i < x.size(); i++) g[i] -= share * d[0] / std::pow(r + 1e-6, 2) * x[i] / r;
    for (size_t i = 0; i + 1 < x.size(); i++) {
        const double term = (x[i + 1] - pi * std::cos(x[i])) * d[i + 1];
        f += term * term;
        g[i + 1] += share * 2 * term * d[i + 1];
        g[i] += share * 2 * term * d[i + 1] * pi * std::sin(x[i]);
    }
    return f;
}
double quadratic_row(const vec &x, const vec &d, double share, vec &g) {
    double f = 1e-12;
    for (size_t i = 0; i < x.size(); i++) {
        f += (x[i] - d[i]) * (x[i] - d[i]) - d[i] * d[i];
        g[i] += share * 2 * (x[i] - d[i]);
    }
    return f;
}
double projection_row(const vec &x, const vec &d, double share, vec &g) {
    double f = 0;
    for (size_t i = 0; i < x.size(); i++) {
        f += x[i] * d[i] * x[i] * d[i];
        g[i] += share * 2 * x[i] * d[i] * d[i];
    }
    return f;
}

struct Family {
    const char *name;
    row_loss row;
    bool mirrored;
};
const Family families[] = {{"outward_snake", snake_row, false},
                           {"sum_of_quadratics", quadratic_row, true},
                           {"projection_quadratic", projection_row, true}};

struct Size {
    size_t n, rows, batch;
};

std::string spec_of(const Family &f, Size s) {
    return std::string(f.name) + ":n=" + std::to_string(s.n) + ",rows=" + std::to_string(s.rows) +
           ",batch=" + std::to_string(s.batch);
}

// All rows as the table describes them, from what is stored: column means, then rows of whole 16s.
std::vector<vec> rows_of(const Corpus &c, const Family &f, Size s) {
    const size_t stride = (s.n + 15) / 16 * 16, half = s.rows / 2;
    const float *stored = c.task.p->term[0].instance.data + stride + 16;
    std::vector<vec> rows(s.rows, vec(s.n, 0.0));
    for (size_t r = 0; r < (f.mirrored ? half : s.rows); r++)
        for (size_t j = 0; j < s.n; j++) {
            rows[r][j] = stored[r * stride + j];
            if (f.mirrored) rows[half + r][j] = -rows[r][j];
        }
    return rows;
}

double mean_loss(const Family &f, const std::vector<vec> &rows, const std::vector<size_t> &which, const vec &x, vec &g) {
    double sum = 0;
    g.assign(x.size(), 0.0);
    for (size_t r : which) sum += f.row(x, rows[r], 1.0 / double(which.size()), g);
    return sum / double(which.size());
}

class RowFamily : public ::testing::TestWithParam<Family> {};

void expect_reference(Corpus &c, const Family &f, Size s, const std::vector<float> &x) {
    const std::vector<vec> rows = rows_of(c, f, s);
    std::vector<size_t> whole(s.rows), batch;
    for (size_t r = 0; r < s.rows; r++) whole[r] = r;
    const task_draw draw = {7, 5};
    const batch_order order = batch_begin(&draw, uint32_t(s.rows), uint32_t(s.batch));
    for (uint32_t i = 0; i < s.batch; i++) batch.push_back(batch_row(&order, i));
    double loss = 0, square = 0;
    for (float v : x) square += double(v) * v;
    vec g;
    const double want = mean_loss(f, rows, whole, widened(x), g);
    const std::vector<float> got = c.full_gradient(x, &loss);
    EXPECT_NEAR(loss, want, 3e-6 * (std::fabs(want) + 1e-3)) << spec_of(f, s);
    EXPECT_EQ(loss, c.full_loss(x)); // with or without gradient
    expect_close(got, g, 1e-5, spec_of(f, s));
    const double want_batch = mean_loss(f, rows, batch, widened(x), g);
    const std::vector<float> got_batch = c.gradient(draw.seed, draw.step, x, &loss);
    EXPECT_NEAR(loss, want_batch, 3e-6 * (std::fabs(want_batch) + square + 1e-3)) << spec_of(f, s);
    expect_close(got_batch, g, 1e-5, spec_of(f, s));
    const std::vector<float> v = direction(s.n, 4);
    auto gradient = [&](const vec &at) {
        vec out;
        mean_loss(f, rows, batch, at, out);
        return out;
    };
    expect_close(c.product(draw.seed, draw.step, x, v), product_by_differences(gradient, widened(x), widened(v)), 3e-5,
                 spec_of(f, s));
}

TEST_P(RowFamily, IsTheMeanOverItsRows) {
    const Family f = GetParam();
    // whole vectors and not, all of the default table's widths, rows that a batch does not divide, odd numbers
    for (Size s : {Size{20, 1000, 100}, Size{12, 200, 10}, Size{64, 100, 50}, Size{13, 101, 7}, Size{2, 3, 3}, Size{150, 40, 1},
                   Size{16, 130, 129}}) {
        Corpus c(spec_of(f, s), 3);
        for (uint64_t seed = 0; seed < 3; seed++)
            for (double by : {0.0, 10.0, 3000.0})
                expect_reference(c, f, s, moved(c.start(seed), direction(s.n, unsigned(seed) + 5), by));
    }
}

TEST_P(RowFamily, MinibatchesAverageToTheWhole) {
    for (Size s : {Size{20, 1000, 100}, Size{12, 200, 10}, Size{13, 999, 37}}) {
        Corpus c(spec_of(GetParam(), s), 3);
        expect_epoch_averages_to_whole(c, s.rows / s.batch, 2e-6);
    }
}

TEST_P(RowFamily, ABatchOfMoreThanAllRowsIsTheWhole) {
    Corpus c(spec_of(GetParam(), {20, 30, 100}), 3);
    const std::vector<float> x = c.start(2);
    double whole = 0, loss = 0;
    const std::vector<float> want = c.full_gradient(x, &whole);
    expect_close(c.gradient(1, 9, x, &loss), widened(want), 2e-6, "batch of all rows");
    EXPECT_NEAR(loss, whole, 2e-6 * (1 + whole));
}

TEST_P(RowFamily, StartsAreNormal) {
    Corpus c(spec_of(GetParam(), {64, 10, 5}));
    double mean = 0, square = 0;
    for (uint64_t seed = 0; seed < 100; seed++)
        for (float v : c.start(seed)) mean += v / 6400, square += double(v) * v / 6400;
    EXPECT_NEAR(mean, 0, 0.05);
    EXPECT_NEAR(square, 1, 0.08);
}

INSTANTIATE_TEST_SUITE_P(All, RowFamily, ::testing::ValuesIn(families), [](const auto &info) { return info.param.name; });

TEST(OutwardSnake, RowsAreFairCoins) {
    const Size s = {140, 1000, 50};
    Corpus c(spec_of(families[0], s), 8);
    const std::vector<vec> rows = rows_of(c, families[0], s);
    double covariance = 0, alike = 0;
    for (size_t j = 0; j < s.n; j++) {
        double ones = 0;
        for (const vec &d : rows) {
            ASSERT_TRUE(d[j] == 0 || d[j] == 1);
            ones += d[j];
            covariance += j ? (d[j] - 0.5) * (d[j - 1] - 0.5) : 0;
            alike += j >= 128 ? d[j] == d[j - 128] : 0; // where another draw of bits begins
        }
        EXPECT_NEAR(ones, 500, 80) << j; // five standard deviations
    }
    EXPECT_NEAR(covariance / double(s.n * s.rows), 0, 0.005);
    EXPECT_NEAR(alike, 6000, 300);
}

TEST(OutwardSnake, HasNoDirectionAtTheOrigin) {
    Corpus c("outward_snake");
    const std::vector<float> x(c.total, 0.0f);
    EXPECT_GT(c.full_loss(x), 4e5); // 1e6 d_0
    for (float g : c.full_gradient(x)) EXPECT_TRUE(std::isfinite(g));
    for (float h : c.product(1, 1, x, direction(c.total, 2))) EXPECT_TRUE(std::isfinite(h));
}

TEST(SumOfQuadratics, IsExactlyTheSquareAsAWhole) {
    Corpus c("sum_of_quadratics:n=13,rows=10000,batch=50");
    for (uint64_t seed = 0; seed < 10; seed++) {
        const std::vector<float> x = c.start(seed), g = c.full_gradient(x);
        EXPECT_DOUBLE_EQ(c.full_loss(x), dot(x, x) + 1e-12);
        for (size_t i = 0; i < x.size(); i++) EXPECT_EQ(g[i], 2 * x[i]);
    }
    EXPECT_EQ(c.full_loss(std::vector<float>(13, 0.0f)), 1e-12);
}

TEST(SumOfQuadratics, MinibatchesGoBelowZeroNearTheMinimum) {
    Corpus c("sum_of_quadratics:n=12,rows=200,batch=10");
    const std::vector<float> x = moved(std::vector<float>(12, 0.0f), direction(12, 1), 0.01);
    int below = 0;
    for (uint64_t t = 0; t < 100; t++) {
        double loss = 0;
        c.gradient(1, t, x, &loss);
        below += loss < 0;
    }
    EXPECT_NEAR(below, 50, 25); // the mean of rows is on either side
}

TEST(MirroredRows, AreNormal) {
    for (const Family &f : {families[1], families[2]}) {
        const Size s = {20, 2000, 100};
        Corpus c(spec_of(f, s), 8);
        double mean = 0, square = 0, fourth = 0;
        const std::vector<vec> rows = rows_of(c, f, s);
        for (size_t r = 0; r < 1000; r++)
            for (double d : rows[r]) mean += d / 20000, square += d * d / 20000, fourth += d * d * d * d / 20000;
        EXPECT_NEAR(mean, 0, 0.04);
        EXPECT_NEAR(square, 1, 0.06);
        EXPECT_NEAR(fourth, 3, 0.5);
    }
}

TEST(RowFamilies, PlainGradientDescentLowersThem) {
    Corpus snake("outward_snake"), sum("sum_of_quadratics:n=12,rows=200,batch=100"), projection("projection_quadratic");
    for (uint64_t seed = 0; seed < 3; seed++) {
        EXPECT_LT(snake.full_loss(descended(snake, snake.start(seed), 2000, 0.01)), 0.3 * snake.full_loss(snake.start(seed)));
        EXPECT_LT(sum.full_loss(descended(sum, sum.start(seed), 500, 0.02)), 0.05 * sum.full_loss(sum.start(seed)));
        EXPECT_LT(projection.full_loss(descended(projection, projection.start(seed), 300, 0.1)),
                  1e-10 * projection.full_loss(projection.start(seed)));
    }
}

} // namespace
