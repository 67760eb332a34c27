// Each family against a double reference written from its formula, and known values from textbooks.
#include <map>

#include "tests/tasks/support.h"

extern "C" {
#include "tasks/data/digits.h"
}

namespace {

const double pi = std::acos(-1.0);

struct Plane {
    const char *name;
    double (*f)(double, double);
    double min_x, min_y, minimum; // a known minimiser, and the value there after the shift
    double lo[2], hi[2];          // of the start
};
double sq(double x) { return x * x; }
double ackley(double x, double y) {
    return -20 * std::exp(-0.2 * std::sqrt((x * x + y * y) / 2)) - std::exp((std::cos(2 * pi * x) + std::cos(2 * pi * y)) / 2) +
           20 + std::exp(1.0);
}
double beale(double x, double y) { return sq(1.5 - x + x * y) + sq(2.25 - x + x * y * y) + sq(2.625 - x + x * y * y * y); }
double booth(double x, double y) { return sq(x + 2 * y - 7) + sq(2 * x + y - 5); }
double branin(double x, double y) {
    return sq(y - 5.1 / (4 * pi * pi) * x * x + 5 / pi * x - 6) + 10 * (1 - 1 / (8 * pi)) * std::cos(x) + 10;
}
double log_sum_exp(double x, double y) {
    return std::log(std::exp(x + 3 * y - .1) + std::exp(x - 3 * y - .1) + std::exp(-x - .1) + 1);
}
double matyas(double x, double y) { return 0.26 * (x * x + y * y) - 0.48 * x * y; }
// with the exponent 10 of the corpus; some books have 20, whose minimum is -1.8013
double michalewicz(double x, double y) {
    return 2 - std::sin(x) * std::pow(std::sin(x * x / pi), 10) - std::sin(y) * std::pow(std::sin(2 * y * y / pi), 10);
}
double rosenbrock(double x, double y) { return sq(1 - x) + 100 * sq(y - x * x); }
double styblinski_tang(double x, double y) {
    return 0.5 * (std::pow(x, 4) - 16 * x * x + 5 * x + std::pow(y, 4) - 16 * y * y + 5 * y) + 80;
}

const Plane planes[] = {{"ackley", ackley, 0, 0, 0, {-32.768, -32.768}, {32.768, 32.768}},
                        {"beale", beale, 3, 0.5, 0, {-4.5, -4.5}, {4.5, 4.5}},
                        {"booth", booth, 1, 3, 0, {-10, -10}, {10, 10}},
                        {"branin", branin, pi, 2.275, 0.397887, {-5, 0}, {10, 15}},
                        {"log_sum_exp", log_sum_exp, -0.346574, 0, 1.269555, {-INFINITY, -INFINITY}, {INFINITY, INFINITY}},
                        {"matyas", matyas, 0, 0, 0, {-10, -10}, {10, 10}},
                        {"michalewicz", michalewicz, 2.2029, 1.5708, 0.19596, {0, 0}, {pi, pi}},
                        {"rosenbrock", rosenbrock, 1, 1, 0, {-5, -5}, {10, 10}},
                        {"styblinski_tang", styblinski_tang, -2.903534, -2.903534, 80 - 78.33233, {-5, -5}, {5, 5}}};

class PlaneFunction : public ::testing::TestWithParam<Plane> {};

TEST_P(PlaneFunction, IsTheTextbookOne) {
    const Plane p = GetParam();
    Corpus c(p.name);
    EXPECT_NEAR(c.full_loss({float(p.min_x), float(p.min_y)}), p.minimum, 2e-3);
    for (uint64_t seed = 0; seed < 200; seed++) {
        const std::vector<float> x = c.start(seed);
        const double want = p.f(x[0], x[1]);
        ASSERT_NEAR(c.full_loss(x), want, 1e-6 * std::fmax(1, std::fabs(want)));
        const double h = 1e-5;
        const std::vector<float> g = c.full_gradient(x);
        const double gx = (p.f(x[0] + h, x[1]) - p.f(x[0] - h, x[1])) / (2 * h),
                     gy = (p.f(x[0], x[1] + h) - p.f(x[0], x[1] - h)) / (2 * h);
        ASSERT_NEAR(g[0], gx, 1e-4 * std::fmax(1, std::hypot(gx, gy))) << x[0] << " " << x[1];
        ASSERT_NEAR(g[1], gy, 1e-4 * std::fmax(1, std::hypot(gx, gy)));
        for (int i = 0; i < 2; i++) {
            ASSERT_GE(x[i], p.lo[i] - 1e-5);
            ASSERT_LE(x[i], p.hi[i] + 1e-5);
        }
    }
}
TEST_P(PlaneFunction, StartsCoverTheirRange) {
    const Plane p = GetParam();
    Corpus c(p.name);
    double mean[2] = {}, low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
    for (uint64_t seed = 0; seed < 2000; seed++) {
        const std::vector<float> x = c.start(seed);
        for (int i = 0; i < 2; i++) mean[i] += x[i] / 2000, low[i] = std::fmin(low[i], x[i]), high[i] = std::fmax(high[i], x[i]);
    }
    for (int i = 0; i < 2; i++) {
        if (std::isinf(p.lo[i])) { // N(0, 1)
            EXPECT_NEAR(mean[i], 0, 0.1);
            EXPECT_GT(high[i], 2.5);
            continue;
        }
        const double width = p.hi[i] - p.lo[i];
        EXPECT_NEAR(mean[i], (p.lo[i] + p.hi[i]) / 2, 0.03 * width);
        EXPECT_NEAR(low[i], p.lo[i], 0.01 * width);
        EXPECT_NEAR(high[i], p.hi[i], 0.01 * width);
    }
}
INSTANTIATE_TEST_SUITE_P(All, PlaneFunction, ::testing::ValuesIn(planes), [](const auto &info) { return info.param.name; });

TEST(LogSumExp, DoesNotOverflow) {
    Corpus c("log_sum_exp");
    for (float x : {1e3f, -1e3f, 1e6f}) {
        EXPECT_NEAR(c.full_loss({x, 0}), std::fabs(x) + (x > 0 ? std::log(2.0) : 0) - .1, 1e-3 * std::fabs(x));
        for (float g : c.full_gradient({x, x})) EXPECT_TRUE(std::isfinite(g));
    }
}

TEST(Bowl, IsAStretchedAndTurnedSquare) {
    for (double c : {0.1, 1.0, 5.0})
        for (double angle : {0.0, 45.0}) {
            Corpus task("bowl:c=" + std::to_string(c) + ",angle=" + std::to_string(angle));
            const double a = angle * pi / 180;
            for (uint64_t seed = 0; seed < 20; seed++) {
                const std::vector<float> x = task.start(seed);
                const double u = std::cos(a) * x[0] - std::sin(a) * x[1], v = std::sin(a) * x[0] + std::cos(a) * x[1];
                EXPECT_NEAR(task.full_loss(x), 0.5 * (c * u * u + v * v), 1e-5 * (1 + u * u * c + v * v));
            }
        }
}

// W'(W x - y) in double, and half the square of what W' takes; W [n, n], then y, as tasks/families/quadratic.c keeps them.
std::vector<double> normal_equations(size_t n, const float *w, bool without_y, const std::vector<float> &x, double *loss) {
    std::vector<double> out(n);
    *loss = 0;
    for (size_t i = 0; i < n; i++) {
        double r = without_y ? 0 : -double(w[n * n + i]);
        for (size_t j = 0; j < n; j++) r += double(w[i * n + j]) * x[j];
        for (size_t j = 0; j < n; j++) out[j] += double(w[i * n + j]) * r;
        *loss += 0.5 * r * r;
    }
    return out;
}

// 100 and 200: W is gone through in groups of rows, the last of which is smaller.
TEST(Quadratic, IsThatOfItsData) {
    for (size_t n : {1, 7, 90, 100, 200}) {
        Corpus c("quadratic:n=" + std::to_string(n), 4);
        const float *w = c.task.p->term[0].instance.data;
        for (uint64_t seed = 0; seed < 5; seed++) {
            const std::vector<float> x = c.start(seed), g = c.full_gradient(x), curved = c.product(1, 0, x, x);
            double loss = 0, curvature = 0;
            const std::vector<double> want = normal_equations(n, w, false, x, &loss),
                                      bent = normal_equations(n, w, true, x, &curvature);
            EXPECT_NEAR(c.full_loss(x), loss, 1e-5 * loss);
            for (size_t j = 0; j < n; j++) {
                EXPECT_NEAR(g[j], want[j], 1e-4 * (double(n) + std::fabs(want[j]))) << n;
                EXPECT_NEAR(curved[j], bent[j], 1e-4 * (double(n) + std::fabs(bent[j]))) << n;
            }
        }
    }
    Corpus big("quadratic:n=100", 4); // N(0, 1)
    double square = 0;
    for (size_t i = 0; i < 10100; i++) square += sq(big.task.p->term[0].instance.data[i]) / 10100;
    EXPECT_NEAR(square, 1, 0.05);
}

// Cross-entropy of a dense network in double; layers' weights [in, out], then biases. reg x mean over tensors of the squared norms.
double network_loss(const std::vector<size_t> &size, bool relu, double reg, const std::vector<float> &params,
                    const std::vector<std::vector<float>> &rows, const std::vector<int> &labels, double *accuracy = nullptr) {
    double loss = 0, squares = 0;
    size_t right = 0;
    for (float p : params) squares += double(p) * p;
    for (size_t r = 0; r < rows.size(); r++) {
        std::vector<double> a(rows[r].begin(), rows[r].end());
        size_t at = 0;
        for (size_t l = 0; l + 1 < size.size(); l++) {
            std::vector<double> z(size[l + 1]);
            for (size_t o = 0; o < size[l + 1]; o++) {
                z[o] = params[at + size[l] * size[l + 1] + o];
                for (size_t k = 0; k < size[l]; k++) z[o] += double(params[at + k * size[l + 1] + o]) * a[k];
            }
            at += (size[l] + 1) * size[l + 1];
            const bool last = l + 2 == size.size();
            for (double &v : z) v = last ? v : relu ? std::fmax(v, 0) : 1 / (1 + std::exp(-v));
            a = z;
        }
        double top = -INFINITY, sum = 0;
        size_t best = 0;
        for (size_t o = 0; o < a.size(); o++)
            if (a[o] > top) top = a[o], best = o;
        for (double v : a) sum += std::exp(v - top);
        loss += std::log(sum) + top - a[size_t(labels[r])];
        right += best == size_t(labels[r]);
    }
    if (accuracy) *accuracy = double(right) / double(rows.size());
    return loss / double(rows.size()) + reg * squares / double(2 * (size.size() - 1));
}

void expect_network(Corpus &c, const std::vector<size_t> &size, bool relu, double reg, const std::vector<std::vector<float>> &rows,
                    const std::vector<int> &labels) {
    for (uint64_t seed = 0; seed < 3; seed++) {
        std::vector<float> x = c.start(seed);
        for (double by : {0.0, 5.0}) {
            x = moved(x, direction(c.total, 3), by);
            const double want = network_loss(size, relu, reg, x, rows, labels);
            EXPECT_NEAR(c.full_loss(x), want, 1e-4 * (1 + want));
        }
    }
}

// The rows that a synthetic classifier drew: inputs [1000][stride], then labels.
void rows_of(const Corpus &c, size_t features, std::vector<std::vector<float>> *rows, std::vector<int> *labels) {
    const float *data = c.task.p->term[0].instance.data;
    const size_t stride = (features + 15) / 16 * 16;
    for (size_t r = 0; r < 1000; r++) {
        rows->emplace_back();
        for (size_t j = 0; j < features; j++) rows->back().push_back(data[r * stride + j]);
        labels->push_back(int(data[stride * 1000 + r]));
    }
}

TEST(SoftmaxRegression, IsCrossEntropyOfItsRows) {
    Corpus c("softmax_regression:features=12,sep=1.5,batch=20", 3),
        pulled("softmax_regression:features=12,sep=1.5,batch=20,l2=0.5", 3);
    std::vector<std::vector<float>> rows;
    std::vector<int> labels;
    rows_of(c, 12, &rows, &labels);
    expect_network(c, {12, 2}, false, 1e-3, rows, labels);
    expect_network(pulled, {12, 2}, false, 0.5, rows, labels);
    EXPECT_EQ(c.total, 26u);
    const double start = norm(c.start(0)) / std::sqrt(26.0);
    EXPECT_NEAR(start, 1.2 / std::sqrt(12.0), 0.1);
}

TEST(SoftmaxRegression, ClustersAreWhatTheTableSays) {
    Corpus c("softmax_regression:features=10,sep=50,batch=20", 3);
    std::vector<std::vector<float>> rows;
    std::vector<int> labels;
    rows_of(c, 10, &rows, &labels);
    std::map<std::string, std::map<int, int>> seen; // sign pattern -> label -> rows; centres dominate at this separation
    int ones = 0;
    for (size_t r = 0; r < 1000; r++) {
        std::string signs;
        for (float x : rows[r]) signs += x > 0 ? '+' : '-';
        seen[signs][labels[r]]++;
        ones += labels[r];
    }
    EXPECT_LE(seen.size(), 4u);
    EXPECT_NEAR(ones, 500, 30);
    int flipped = 0;
    for (auto &[signs, of] : seen)
        if (of.size() == 2) flipped += std::min(of[0], of[1]);
    EXPECT_GE(flipped, 2); // 1 % of 1,000, give or take
    EXPECT_LE(flipped, 25);
}

TEST(Mlp, IsCrossEntropyOfASigmoidNetwork) {
    Corpus c("mlp:inputs=5,hidden=4x3,batch=16", 3), plain("mlp:inputs=5,hidden=4x3,batch=16,l2=0", 3),
        pulled("mlp:inputs=5,hidden=4x3,batch=16,l2=0.5", 3);
    std::vector<std::vector<float>> rows;
    std::vector<int> labels;
    rows_of(c, 5, &rows, &labels);
    expect_network(c, {5, 4, 3, 2}, false, 1e-3, rows, labels);
    expect_network(plain, {5, 4, 3, 2}, false, 0, rows, labels);
    expect_network(pulled, {5, 4, 3, 2}, false, 0.5, rows, labels);
    int ones = 0;
    double square = 0;
    for (int l : labels) ones += l;
    for (auto &r : rows)
        for (float x : r) square += sq(x) / 5000;
    EXPECT_GE(ones, 100);
    EXPECT_LE(ones, 900);
    EXPECT_NEAR(square, 1, 0.08);
}

TEST(Mlp, BothClassesHoldTenPercentWhateverTheSeed) {
    for (uint64_t seed = 0; seed < 30; seed++) {
        Corpus c("mlp:inputs=3,hidden=2,batch=16", seed);
        std::vector<std::vector<float>> rows;
        std::vector<int> labels;
        rows_of(c, 3, &rows, &labels);
        int ones = 0;
        for (int l : labels) ones += l;
        EXPECT_GE(ones, 100) << seed;
        EXPECT_LE(ones, 900) << seed;
    }
}

TEST(Digits, DataAreTheRealOnes) {
    int counts[10] = {}, sum = 0;
    for (const auto &row : digits_rows) {
        ASSERT_LE(row[64], 9);
        counts[row[64]]++;
        for (int i = 0; i < 64; i++) {
            ASSERT_LE(row[i], 16);
            sum += row[i];
        }
    }
    const int published[10] = {178, 182, 177, 183, 181, 182, 181, 179, 174, 180};
    for (int d = 0; d < 10; d++) EXPECT_EQ(counts[d], published[d]);
    EXPECT_NEAR(sum / (1797.0 * 64), 4.884, 0.001); // the set's published mean
}

TEST(Digits, AreCrossEntropyOfReluNetworksOnTheTrainingRows) {
    std::vector<std::vector<float>> rows, test_rows;
    std::vector<int> labels, test_labels;
    for (int r = 0; r < DIGITS_ROWS; r++) {
        auto &to = r < DIGITS_TRAIN ? rows : test_rows;
        to.emplace_back();
        for (int i = 0; i < 64; i++) to.back().push_back(float(digits_rows[r][i]) / 16);
        (r < DIGITS_TRAIN ? labels : test_labels).push_back(digits_rows[r][64]);
    }
    EXPECT_EQ(test_rows.size(), 297u);
    Corpus softmax("digits_softmax"), mlp("digits_mlp");
    expect_network(softmax, {64, 10}, true, 0, rows, labels);
    expect_network(mlp, {64, 32, 10}, true, 0, rows, labels);
    for (uint64_t seed = 0; seed < 3; seed++) {
        double want = 0;
        std::vector<float> x = mlp.start(seed);
        network_loss({64, 32, 10}, true, 0, x, test_rows, test_labels, &want);
        EXPECT_NEAR(task_test_accuracy(mlp.task.p, x.data(), mlp.workspace), want, 1.01 / 297);
    }
}

TEST(Digits, PlainGradientDescentLearnsThem) {
    for (const char *name : {"digits_softmax", "digits_mlp"}) {
        Corpus c(name);
        std::vector<float> x = c.start(1);
        for (uint64_t t = 0; t < 1500; t++) x = moved(x, c.gradient(9, t, x), -0.3);
        EXPECT_GT(task_test_accuracy(c.task.p, x.data(), c.workspace), 0.88) << name;
        EXPECT_LT(c.full_loss(x), 0.15) << name;
    }
    Corpus none("quadratic:n=3");
    EXPECT_TRUE(std::isnan(task_test_accuracy(none.task.p, none.start(1).data(), none.workspace)));
}

} // namespace
