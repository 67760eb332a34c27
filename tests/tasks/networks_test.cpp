// Dense and convolutional networks against a reference in double, written from the formula row by row; and that plain methods train them.
#include "tests/tasks/support.h"

extern "C" {
#include "tasks/data/digits.h"
#include "tasks/families/batch.h"
}

namespace {

enum Units { relu, hyperbolic };
struct Layer {
    int in, out;              // units; channels where it is a convolution
    int side = 0, stride = 0; // of a convolution's input; 0: dense
};
struct Network {
    const char *name;
    Units units;
    bool squares; // squared error instead of cross-entropy
    std::vector<Layer> layers;
};

const Network networks[] = {
    {"digits_mlp", relu, false, {{64, 32}, {32, 10}}},
    {"digits_wide", relu, false, {{64, 512}, {512, 10}}},
    {"digits_deep",
     hyperbolic,
     false,
     {{64, 16}, {16, 16}, {16, 16}, {16, 16}, {16, 16}, {16, 16}, {16, 16}, {16, 16}, {16, 16}, {16, 16}, {16, 10}}},
    {"digits_conv", relu, false, {{1, 8, 8, 1}, {8, 16, 8, 2}, {256, 10}}},
    {"digits_autoencoder", hyperbolic, true, {{64, 32}, {32, 8}, {8, 32}, {32, 64}}},
    {"teacher_mlp", hyperbolic, true, {{12, 48}, {48, 24}, {24, 3}}}};

struct Row {
    std::vector<double> input, target;
    int label;
};

size_t matrix_size(const Layer &l) { return size_t(l.in * l.out * (l.side ? 9 : 1)); }

std::vector<double> dense(const Layer &l, const double *w, const std::vector<double> &a) {
    std::vector<double> z(w + l.in * l.out, w + (l.in + 1) * l.out);
    for (int o = 0; o < l.out; o++)
        for (int k = 0; k < l.in; k++) z[size_t(o)] += w[k * l.out + o] * a[size_t(k)];
    return z;
}
// Weights [y][x][in][out], pixels outside of the image are 0.
std::vector<double> convolve(const Layer &l, const double *w, const std::vector<double> &a) {
    const int across = l.side / l.stride;
    std::vector<double> z;
    for (int o = 0; o < l.out; o++)
        for (int y = 0; y < across; y++)
            for (int x = 0; x < across; x++) {
                double sum = w[9 * l.in * l.out + o];
                for (int dy = -1; dy <= 1; dy++)
                    for (int dx = -1; dx <= 1; dx++)
                        for (int c = 0; c < l.in; c++) {
                            const int yy = y * l.stride + dy, xx = x * l.stride + dx;
                            if (yy < 0 || xx < 0 || yy >= l.side || xx >= l.side) continue;
                            sum += w[(((dy + 1) * 3 + dx + 1) * l.in + c) * l.out + o] * a[size_t((c * l.side + yy) * l.side + xx)];
                        }
                z.push_back(sum);
            }
    return z;
}

std::vector<double> outputs(const Network &n, const std::vector<double> &params, const Row &row) {
    std::vector<double> a = row.input;
    const double *w = params.data();
    for (size_t l = 0; l < n.layers.size(); l++) {
        a = n.layers[l].side ? convolve(n.layers[l], w, a) : dense(n.layers[l], w, a);
        w += matrix_size(n.layers[l]) + size_t(n.layers[l].out);
        if (l + 1 < n.layers.size())
            for (double &v : a) v = n.units == relu ? std::fmax(v, 0) : std::tanh(v);
    }
    return a;
}

double reference(const Network &n, const std::vector<double> &params, const std::vector<Row> &rows, double *accuracy = nullptr) {
    double loss = 0, right = 0;
    for (const Row &row : rows) {
        const std::vector<double> z = outputs(n, params, row);
        if (n.squares) {
            for (size_t o = 0; o < z.size(); o++) loss += (z[o] - row.target[o]) * (z[o] - row.target[o]);
            continue;
        }
        const auto top = std::max_element(z.begin(), z.end());
        double sum = 0;
        for (double v : z) sum += std::exp(v - *top);
        loss += std::log(sum) + *top - z[size_t(row.label)];
        right += top - z.begin() == row.label;
    }
    if (accuracy) *accuracy = right / double(rows.size());
    return loss / double(rows.size());
}

std::vector<Row> digits(int from, int to) {
    std::vector<Row> rows;
    for (int r = from; r < to; r++) {
        std::vector<double> pixels;
        for (int i = 0; i < 64; i++) pixels.push_back(digits_rows[r][i] / 16.0);
        rows.push_back({pixels, pixels, digits_rows[r][64]});
    }
    return rows;
}
// What the task drew: inputs [1000][16], then targets [1000][16], of which 12 and 3 are used.
std::vector<Row> taught(const Corpus &c) {
    const float *inputs = c.task.p->term[0].instance.data, *targets = inputs + 16000;
    std::vector<Row> rows;
    for (int r = 0; r < 1000; r++)
        rows.push_back({{inputs + 16 * r, inputs + 16 * r + 12}, {targets + 16 * r, targets + 16 * r + 3}, 0});
    return rows;
}

std::vector<double> along(const std::vector<double> &x, const std::vector<float> &v, double h) {
    std::vector<double> y = x;
    for (size_t i = 0; i < x.size(); i++) y[i] += h * double(v[i]);
    return y;
}

class NetworkTask : public ::testing::TestWithParam<Network> {
protected:
    Network n = GetParam();
    Corpus c{n.name};
    std::vector<Row> rows = std::string(n.name) == "teacher_mlp" ? taught(c) : digits(0, 1500);

    std::vector<Row> batch(uint64_t seed, uint64_t step) const {
        const task_draw draw = {seed, step};
        const batch_order order = batch_begin(&draw, uint32_t(rows.size()), 64);
        std::vector<Row> some;
        for (uint32_t i = 0; i < 64; i++) some.push_back(rows[batch_row(&order, i)]);
        return some;
    }
};

TEST_P(NetworkTask, HasTheTensorsOfItsLayers) {
    ASSERT_EQ(task_num_tensors(c.task.p), 2 * n.layers.size());
    for (size_t l = 0; l < n.layers.size(); l++) {
        EXPECT_EQ(task_counts(c.task.p)[2 * l], matrix_size(n.layers[l]));
        EXPECT_EQ(task_counts(c.task.p)[2 * l + 1], size_t(n.layers[l].out));
    }
}

TEST_P(NetworkTask, LossIsTheReference) {
    for (uint64_t seed = 0; seed < 2; seed++)
        for (double by : {0.0, 5.0}) {
            const std::vector<float> x = moved(c.start(seed), direction(c.total, 3), by);
            const std::vector<double> exact(x.begin(), x.end());
            double want = reference(n, exact, rows);
            EXPECT_NEAR(c.full_loss(x), want, 1e-5 * (1 + want));
            double loss = 0;
            c.gradient(5, seed, x, &loss);
            want = reference(n, exact, batch(5, seed));
            EXPECT_NEAR(loss, want, 1e-5 * (1 + want));
        }
}

TEST_P(NetworkTask, GradientIsThatOfTheReference) {
    const std::vector<float> x = moved(c.start(1), direction(c.total, 3), 1);
    const std::vector<double> exact(x.begin(), x.end());
    const std::vector<Row> some = batch(5, 3);
    const std::vector<float> g = c.gradient(5, 3, x);
    for (unsigned k = 0; k < 12; k++) { // directions through all parameters, and single ones from every part of the vector
        std::vector<float> v = direction(c.total, k);
        if (k >= 4) v.assign(c.total, 0), v[(c.total - 1) * (k - 4) / 7] = 1;
        const double h = 1e-6, slope = (reference(n, along(exact, v, h), some) - reference(n, along(exact, v, -h), some)) / (2 * h);
        EXPECT_NEAR(dot(g, v), slope, 1e-5 * norm(g)) << k;
    }
}

// w'Hv by differences of the reference; the step is so small that it meets no kink of ReLU.
TEST_P(NetworkTask, HessianProductIsThatOfTheReference) {
    const std::vector<float> x = moved(c.start(1), direction(c.total, 3), 1);
    const std::vector<double> exact(x.begin(), x.end());
    const std::vector<Row> some = batch(5, 3);
    for (unsigned k = 0; k < 4; k++) {
        const std::vector<float> v = direction(c.total, k + 20), w = k % 2 ? v : direction(c.total, k + 30),
                                 hv = c.product(5, 3, x, v);
        auto f = [&](double a, double b) { return reference(n, along(along(exact, v, a), w, b), some); };
        const double h = 1e-5, want = (f(h, h) - f(h, -h) - f(-h, h) + f(-h, -h)) / (4 * h * h);
        EXPECT_NEAR(dot(w, hv), want, 1e-4 * norm(hv) + 2e-5) << k;
    }
}

TEST_P(NetworkTask, StartsAreScaledByTheFanIn) {
    const std::vector<float> x = c.start(7);
    const float *w = x.data();
    for (const Layer &l : n.layers) {
        const double fan_in = l.in * (l.side ? 9 : 1), gain = n.units == relu ? std::sqrt(2.0) : 1;
        double square = 0;
        for (size_t i = 0; i < matrix_size(l); i++) square += double(w[i]) * double(w[i]) / double(matrix_size(l));
        EXPECT_NEAR(std::sqrt(square * fan_in) / gain, 1, 4 / std::sqrt(2.0 * double(matrix_size(l))));
        for (int o = 0; o < l.out; o++) EXPECT_EQ(w[int(matrix_size(l)) + o], l.side ? 0.01f : 0.0f);
        w += int(matrix_size(l)) + l.out;
    }
}

TEST_P(NetworkTask, AccuracyIsThatOfTheTestRows) {
    const std::vector<float> x = c.start(2);
    const double got = task_test_accuracy(c.task.p, x.data(), c.workspace);
    EXPECT_EQ(task_has_hvp(c.task.p), 1);
    EXPECT_EQ(std::isnan(got), n.squares);
    if (n.squares) return;
    double want = 0;
    reference(n, {x.begin(), x.end()}, digits(1500, 1797), &want);
    EXPECT_NEAR(got, want, 1.01 / 297); // a tie may fall either way
}

INSTANTIATE_TEST_SUITE_P(All, NetworkTask, ::testing::ValuesIn(networks), [](const auto &info) { return info.param.name; });

// Adam (Kingma and Ba 2015), with its usual decays.
void adam(Corpus &c, std::vector<float> *x, uint64_t steps, double rate) {
    std::vector<double> m(c.total), s(c.total);
    for (uint64_t t = 0; t < steps; t++) {
        const std::vector<float> g = c.gradient(9, t, *x);
        const double down = 1 - std::pow(0.9, double(t + 1)), square_down = 1 - std::pow(0.999, double(t + 1));
        for (size_t i = 0; i < c.total; i++) {
            m[i] += 0.1 * (double(g[i]) - m[i]);
            s[i] += 0.001 * (double(g[i]) * double(g[i]) - s[i]);
            (*x)[i] -= float(rate * m[i] / down / (std::sqrt(s[i] / square_down) + 1e-8));
        }
    }
}

TEST(Networks, AdamTrainsThem) {
    const struct {
        const char *name;
        double loss, accuracy; // at most, at least
    } bounds[] = {{"digits_wide", 0.02, 0.88},
                  {"digits_deep", 0.2, 0.85},
                  {"digits_conv", 0.03, 0.88},
                  {"digits_autoencoder", 1.6, NAN},
                  {"teacher_mlp", 0.1, NAN}};
    for (const auto &b : bounds) {
        Corpus c(b.name);
        std::vector<float> x = c.start(1);
        const double before = c.full_loss(x);
        adam(c, &x, 1500, 3e-3);
        const double after = c.full_loss(x), accuracy = task_test_accuracy(c.task.p, x.data(), c.workspace);
        EXPECT_LT(after, b.loss) << b.name << " from " << before;
        if (!std::isnan(b.accuracy)) {
            EXPECT_GT(accuracy, b.accuracy) << b.name;
        }
    }
}

TEST(TeacherMlp, TargetsAreOfANetworkOfTheSameShape) {
    Corpus c("teacher_mlp", 3), other("teacher_mlp", 4);
    double mean[3] = {}, square[3] = {};
    const std::vector<Row> rows = taught(c), others = taught(other);
    for (const Row &r : rows)
        for (size_t o = 0; o < 3; o++) mean[o] += r.target[o] / 1000, square[o] += r.target[o] * r.target[o] / 1000;
    for (size_t o = 0; o < 3; o++) { // neither constant nor out of what a student starts with
        EXPECT_GT(square[o] - mean[o] * mean[o], 0.1);
        EXPECT_LT(square[o], 10);
    }
    EXPECT_NE(rows[0].input, others[0].input);
    EXPECT_NE(rows[0].target, others[0].target);
}

} // namespace
