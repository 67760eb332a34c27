// Next-character models against double references written from their formulas, and the text that they read.
#include <fstream>
#include <map>
#include <sstream>

#include "tests/tasks/support.h"

extern "C" {
#include "tasks/data/text.h"
#include "tasks/families/batch.h"
}

namespace {

const int steps = 32, symbols = 64, train_windows = 512, test_windows = 448;
using Matrix = std::vector<std::vector<double>>;

std::string text() { return std::string(reinterpret_cast<const char *>(text_bytes), TEXT_BYTES); }
int symbol(char c) { return int(std::string(TEXT_ALPHABET).find(c)); }

// Takes tensors one after the other from a flat vector.
struct Reader {
    const float *at;
    std::vector<double> vector(int n) {
        std::vector<double> v(at, at + n);
        at += n;
        return v;
    }
    Matrix matrix(int rows, int columns) {
        Matrix m;
        for (int i = 0; i < rows; i++) m.push_back(vector(columns));
        return m;
    }
};
// b + x W
std::vector<double> dense(const std::vector<double> &x, const Matrix &w, std::vector<double> b) {
    for (size_t k = 0; k < x.size(); k++)
        for (size_t o = 0; o < b.size(); o++) b[o] += x[k] * w[k][o];
    return b;
}
std::vector<double> joined(std::vector<double> a, const std::vector<double> &b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}
double sigma(double x) { return 1 / (1 + std::exp(-x)); }

// Logits of each position of a window.
Matrix gru_logits(const float *params, const std::string &window) {
    Reader r{params};
    const Matrix embedding = r.matrix(symbols, 16), gate = r.matrix(48, 64);
    const auto gate_bias = r.vector(64);
    const Matrix candidate = r.matrix(48, 32);
    const auto candidate_bias = r.vector(32);
    const Matrix out = r.matrix(32, symbols);
    const auto out_bias = r.vector(symbols);
    std::vector<double> h(32, 0.0);
    Matrix logits;
    for (int t = 0; t < steps; t++) {
        const auto &x = embedding[symbol(window[t])];
        const auto lin = dense(joined(x, h), gate, gate_bias);
        auto masked = h;
        for (int i = 0; i < 32; i++) masked[i] *= sigma(lin[i]);
        const auto c = dense(joined(x, masked), candidate, candidate_bias);
        for (int i = 0; i < 32; i++) h[i] = sigma(lin[32 + i]) * h[i] + (1 - sigma(lin[32 + i])) * std::tanh(c[i]);
        logits.push_back(dense(h, out, out_bias));
    }
    return logits;
}

std::vector<double> normed(const std::vector<double> &x, const std::vector<double> &gain, const std::vector<double> &bias) {
    double mean = 0, variance = 0;
    for (double v : x) mean += v / double(x.size());
    for (double v : x) variance += (v - mean) * (v - mean) / double(x.size());
    std::vector<double> y;
    for (size_t i = 0; i < x.size(); i++) y.push_back(gain[i] * (x[i] - mean) / std::sqrt(variance + 1e-5) + bias[i]);
    return y;
}
double gelu(double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x))); }
std::vector<double> plus(std::vector<double> a, const std::vector<double> &b) {
    for (size_t i = 0; i < a.size(); i++) a[i] += b[i];
    return a;
}

// What the last position of qkv (q, k, v of 2 heads of 16 each) mixes from all.
std::vector<double> attended(const Matrix &qkv) {
    std::vector<double> mixed(32, 0.0);
    for (int head = 0; head < 2; head++) {
        std::vector<double> p;
        double total = 0;
        for (const auto &other : qkv) {
            double score = 0;
            for (int d = 0; d < 16; d++) score += qkv.back()[size_t(head * 16 + d)] * other[size_t(32 + head * 16 + d)];
            p.push_back(std::exp(score / std::sqrt(16.0)));
            total += p.back();
        }
        for (size_t u = 0; u < qkv.size(); u++)
            for (int d = 0; d < 16; d++) mixed[size_t(head * 16 + d)] += p[u] / total * qkv[u][size_t(64 + head * 16 + d)];
    }
    return mixed;
}

Matrix attention_logits(const float *params, const std::string &window) {
    Reader r{params};
    const Matrix embedding = r.matrix(symbols, 32), positions = r.matrix(steps, 32);
    const auto gain_1 = r.vector(32), bias_1 = r.vector(32);
    const Matrix qkv_kernel = r.matrix(32, 96);
    const auto qkv_bias = r.vector(96);
    const Matrix mix = r.matrix(32, 32);
    const auto mix_bias = r.vector(32), gain_2 = r.vector(32), bias_2 = r.vector(32);
    const Matrix up = r.matrix(32, 128);
    const auto up_bias = r.vector(128);
    const Matrix down = r.matrix(128, 32);
    const auto down_bias = r.vector(32), gain_3 = r.vector(32), bias_3 = r.vector(32);
    const Matrix out = r.matrix(32, symbols);
    const auto out_bias = r.vector(symbols);
    Matrix logits, qkv; // a position sees those before it alone: qkv grows
    for (int t = 0; t < steps; t++) {
        const auto x = plus(embedding[symbol(window[t])], positions[t]);
        qkv.push_back(dense(normed(x, gain_1, bias_1), qkv_kernel, qkv_bias));
        const auto y = plus(x, dense(attended(qkv), mix, mix_bias));
        auto hidden = dense(normed(y, gain_2, bias_2), up, up_bias);
        for (double &h : hidden) h = gelu(h);
        logits.push_back(dense(normed(plus(y, dense(hidden, down, down_bias)), gain_3, bias_3), out, out_bias));
    }
    return logits;
}

struct Model {
    const char *name;
    Matrix (*logits)(const float *, const std::string &);
    size_t total;
};
const Model models[] = {{"char_rnn", gru_logits, 7840}, {"char_attention", attention_logits, 17952}};

// Loss of windows, one after the other, that begin at these places.
double reference_loss(const Model &m, const std::vector<float> &x, const std::vector<size_t> &begins, int *right = nullptr) {
    const std::string all = text();
    double loss = 0;
    for (size_t begin : begins) {
        const std::string window = all.substr(begin, steps + 1);
        const Matrix logits = m.logits(x.data(), window);
        for (int t = 0; t < steps; t++) {
            double top = -INFINITY, total = 0;
            int best = 0;
            for (int o = 0; o < symbols; o++) {
                if (logits[t][o] > top) top = logits[t][o], best = o;
            }
            for (double z : logits[t]) total += std::exp(z - top);
            loss += std::log(total) - (logits[t][symbol(window[t + 1])] - top);
            if (right) *right += best == symbol(window[t + 1]);
        }
    }
    return loss / (double(begins.size()) * steps);
}
std::vector<size_t> train_begins() {
    std::vector<size_t> b;
    for (size_t w = 0; w < train_windows; w++) b.push_back(w * (TEXT_BYTES / 10 * 9 / train_windows));
    return b;
}
std::vector<size_t> test_begins() {
    std::vector<size_t> b;
    for (size_t w = 0; w < test_windows; w++) b.push_back(TEXT_BYTES / 10 * 9 + w * steps);
    return b;
}

TEST(Text, IsTheFileByteByByte) {
    std::ifstream file(LOPT_SOURCE_DIR "/data/text/pride-and-prejudice.txt", std::ios::binary);
    std::stringstream content;
    content << file.rdbuf();
    EXPECT_EQ(content.str().size(), size_t(TEXT_BYTES));
    EXPECT_TRUE(content.str() == text());
}

TEST(Text, HasSixtyFourSymbolsAtMost) {
    EXPECT_EQ(std::string(TEXT_ALPHABET).size(), size_t(TEXT_SYMBOLS));
    std::map<char, int> seen;
    for (char c : text()) seen[c]++;
    for (auto [c, n] : seen) EXPECT_TRUE(symbol(c) >= 0 && symbol(c) < symbols) << int(c);
    EXPECT_GT(seen.size(), 50u);
    EXPECT_GE(TEXT_BYTES, 100000);
    EXPECT_EQ(text().substr(11, 36), "It is a truth universally acknowledg");
}

class TextModel : public ::testing::TestWithParam<Model> {};

TEST_P(TextModel, WindowsLieApartWithinTheirPartOfTheText) {
    const std::vector<size_t> train = train_begins(), test = test_begins();
    for (size_t w = 1; w < train.size(); w++) EXPECT_GT(train[w], train[w - 1] + steps);
    EXPECT_LT(train.back() + steps, test[0]);
    EXPECT_LT(test.back() + steps, size_t(TEXT_BYTES));
    Corpus c(GetParam().name);
    const float *data = c.task.p->term[0].instance.data;
    std::vector<size_t> both = train;
    both.insert(both.end(), test.begin(), test.end());
    for (size_t w = 0; w < both.size(); w++)
        for (int i = 0; i <= steps; i++) ASSERT_EQ(data[w * (steps + 1) + size_t(i)], float(symbol(text()[both[w] + size_t(i)])));
}

TEST_P(TextModel, LossAndAccuracyAreThoseOfTheFormula) {
    const Model &m = GetParam();
    Corpus c(m.name);
    ASSERT_EQ(c.total, m.total);
    for (uint64_t seed = 0; seed < 2; seed++) {
        // away from the start, where biases are 0
        const std::vector<float> x = moved(c.start(seed), direction(c.total, unsigned(seed)), 5.0);
        const double want = reference_loss(m, x, train_begins());
        EXPECT_NEAR(c.full_loss(x), want, 2e-6 * want);
        double with_gradient = 0;
        c.full_gradient(x, &with_gradient);
        EXPECT_EQ(with_gradient, c.full_loss(x));
        int right = 0;
        reference_loss(m, x, test_begins(), &right);
        EXPECT_NEAR(task_test_accuracy(c.task.p, x.data(), c.workspace), right / double(test_windows * steps), 3e-4); // near ties
    }
}

// The gradient of single parameters of each tensor, by differences of the reference, on few windows: those of a minibatch.
TEST_P(TextModel, GradientIsThatOfTheFormula) {
    const Model &m = GetParam();
    Corpus c(m.name);
    const std::vector<float> x = moved(c.start(4), direction(c.total, 9), 3.0);
    std::vector<size_t> begins;
    double loss = 0;
    const std::vector<float> g = c.gradient(1, 2, x, &loss);
    const task_draw draw = {1, 2};
    const batch_order order = batch_begin(&draw, train_windows, 16);
    for (uint32_t i = 0; i < 16; i++) begins.push_back(train_begins()[batch_row(&order, i)]);
    EXPECT_NEAR(loss, reference_loss(m, x, begins), 2e-6 * loss);
    size_t at = 0;
    for (size_t i = 0; i < task_num_tensors(c.task.p); at += task_counts(c.task.p)[i++]) {
        const size_t n = task_counts(c.task.p)[i];
        const std::vector<float> part(g.begin() + long(at), g.begin() + long(at + n)), along = direction(n, unsigned(i));
        double scale = std::sqrt(dot(part, part)), slope = 0;
        std::vector<float> v(c.total, 0.0f);
        for (size_t j = 0; j < n; j++) v[at + j] = along[j], slope += double(along[j]) * part[j];
        const double h = 1e-2;
        const double difference =
            (reference_loss(m, moved(x, v, h), begins) - reference_loss(m, moved(x, v, -h), begins)) / (2 * h);
        EXPECT_NEAR(slope, difference, 1e-3 * scale + 1e-6) << "tensor " << i;
        EXPECT_GT(scale, 0) << "tensor " << i;
    }
}

// Tensor by tensor, so that a term that is missing in a small one cannot hide behind a large one.
TEST_P(TextModel, ProductIsTheChangeOfTheGradientInEachTensor) {
    Corpus c(GetParam().name);
    const std::vector<float> x = moved(c.start(4), direction(c.total, 9), 3.0), v = direction(c.total, 3),
                             hv = c.product(1, 2, x, v);
    const double h = 0.1;
    const std::vector<float> ahead = c.gradient(1, 2, moved(x, v, h)), behind = c.gradient(1, 2, moved(x, v, -h));
    size_t at = 0;
    for (size_t i = 0; i < task_num_tensors(c.task.p); at += task_counts(c.task.p)[i++]) {
        double error = 0, scale = 0;
        for (size_t j = at; j < at + task_counts(c.task.p)[i]; j++) {
            error += std::pow((double(ahead[j]) - behind[j]) / (2 * h) - hv[j], 2);
            scale += double(hv[j]) * hv[j];
        }
        EXPECT_LT(std::sqrt(error), 2e-3 * std::sqrt(scale) + 1e-6) << "tensor " << i;
    }
}

TEST_P(TextModel, AnEpochOfMinibatchesIsTheWhole) {
    Corpus c(GetParam().name);
    const std::vector<float> x = c.start(1);
    double full = 0, mean = 0;
    const std::vector<float> want = c.full_gradient(x, &full);
    std::vector<double> sum(c.total);
    for (uint64_t t = 0; t < train_windows / 16; t++) {
        double loss = 0;
        const std::vector<float> g = c.gradient(2, t, x, &loss);
        mean += loss / (train_windows / 16);
        for (size_t i = 0; i < c.total; i++) sum[i] += g[i] / (train_windows / 16.0);
    }
    EXPECT_NEAR(mean, full, 1e-5);
    for (size_t i = 0; i < c.total; i++) ASSERT_NEAR(sum[i], want[i], 2e-6) << i;
}

TEST_P(TextModel, LearnsWithAdam) {
    Corpus c(GetParam().name);
    std::vector<float> x = c.start(1);
    std::vector<double> m(c.total), s(c.total);
    const double start = c.full_loss(x), rate = 1e-2;
    EXPECT_NEAR(start, std::log(64.0), 1.0);
    for (int t = 1; t <= 400; t++) {
        const std::vector<float> g = c.gradient(7, uint64_t(t), x);
        for (size_t i = 0; i < c.total; i++) {
            m[i] += 0.1 * (g[i] - m[i]);
            s[i] += 0.001 * (double(g[i]) * g[i] - s[i]);
            x[i] -= float(rate * m[i] / (1 - std::pow(0.9, t)) / (std::sqrt(s[i] / (1 - std::pow(0.999, t))) + 1e-8));
        }
    }
    int spaces = 0;
    for (size_t begin : test_begins())
        for (int t = 1; t <= steps; t++) spaces += text()[begin + size_t(t)] == ' ';
    EXPECT_LT(c.full_loss(x), 2.3);
    EXPECT_GT(task_test_accuracy(c.task.p, x.data(), c.workspace), 1.5 * spaces / double(test_windows * steps));
}

INSTANTIATE_TEST_SUITE_P(All, TextModel, ::testing::ValuesIn(models),
                         [](const auto &info) { return std::string(info.param.name); });

} // namespace
