// The data that softmax_regression and mlp draw, against their formulas in double; and the sums that both are made of, in order.
#include <algorithm>

#include "tests/tasks/support.h"

extern "C" {
#include "kernels/cell/philox.h"
#include "tasks/families/ordered_sums.h"
#include "tests/tasks/ordered_sums_fma.h"
}

namespace {

enum { ROWS = 1000 };
constexpr size_t stride_of(size_t features) { return (features + 15) / 16 * 16; }
const float *data_of(const Corpus &c) { return c.task.p->term[0].instance.data; }
uint64_t seed_of(const Corpus &c) { return c.task.p->term[0].instance.seed; }

// ---- What tasks/families/softmax_regression.c says: x = centre + A z; its DATA_ numbers ----
double softmax_entry(uint64_t seed, size_t features, double separation, size_t row, size_t j) {
    enum { VERTEX, MAP, POINT };
    const uint32_t cluster = uint32_t(row % 4);
    std::vector<float> z(features);
    random_normals(seed, RANDOM_TASK_DATA, POINT, uint32_t(row), features, z.data());
    double x = random_bits(seed, RANDOM_TASK_DATA, VERTEX, uint32_t(j), cluster).u[0] & 1 ? separation : -separation;
    for (size_t k = 0; k < features; k++) {
        const size_t four = k / 4 * 4;
        const uint32_t bits = random_bits(seed, RANDOM_TASK_DATA, MAP, j * features + four, cluster).u[k - four];
        x += (2.0 * random_to_uniform(bits) - 1.0) * double(z[k]);
    }
    return x;
}

TEST(MadeData, SoftmaxRowsAreCentrePlusMapTimesNormal) {
    for (size_t features : {1, 7, 8, 10, 17, 100}) {
        const Corpus c("softmax_regression:features=" + std::to_string(features) + ",sep=1.5,batch=20", 5);
        for (size_t row : {0, 1, 2, 3, 59, 60, 63, 64, 957, 960, 996, 999})
            for (size_t j = 0; j < features; j++)
                ASSERT_NEAR(data_of(c)[row * stride_of(features) + j], softmax_entry(seed_of(c), features, 1.5, row, j), 2e-5)
                    << features << " features, row " << row << ", feature " << j;
    }
}

// ---- What tasks/families/mlp.c says: a ReLU network of six layers, width 20, gain sqrt(2 / in), no biases ----
double teacher(size_t inputs, const float *x, const std::vector<float> &weights) {
    std::vector<double> a(x, x + inputs);
    for (size_t l = 0, at = 0; l < 6; l++) {
        std::vector<double> b(20);
        for (size_t o = 0; o < 20; o++) {
            for (size_t k = 0; k < a.size(); k++) b[o] += double(weights[at + k * 20 + o]) * a[k];
            b[o] *= std::sqrt(2.0 / double(a.size()));
            if (l < 5) b[o] = std::fmax(b[o], 0);
        }
        at += a.size() * 20;
        a = b;
    }
    return a[0];
}

TEST(MadeData, MlpLabelsAreATeachersSigns) {
    enum { TEACHER = 1 };
    for (size_t inputs : {1, 5, 8, 12, 20}) {
        const Corpus c("mlp:inputs=" + std::to_string(inputs) + ",hidden=3,batch=20", 6);
        const float *labels = data_of(c) + stride_of(inputs) * ROWS;
        std::vector<float> weights((inputs + 5 * 20) * 20);
        std::vector<double> outputs(ROWS);
        ptrdiff_t ones = 0;
        for (uint32_t attempt = 0; ones < ROWS / 10 || ones > ROWS - ROWS / 10;
             attempt++) { // the first under which both classes hold 10 %
            ASSERT_LT(attempt, 64u) << inputs << " inputs";
            random_normals(seed_of(c), RANDOM_TASK_DATA, TEACHER, attempt, weights.size(), weights.data());
            for (size_t r = 0; r < ROWS; r++) outputs[r] = teacher(inputs, data_of(c) + r * stride_of(inputs), weights);
            ones = std::count_if(outputs.begin(), outputs.end(), [](double y) { return y > 0; });
        }
        for (size_t r = 0; r < ROWS; r++) {
            const double sign = std::fabs(outputs[r]) > 1e-5 ? outputs[r] : labels[r] - 0.5; // too near to 0 to tell
            EXPECT_EQ(labels[r], sign > 0 ? 1.0f : 0.0f) << inputs << " inputs, row " << r;
        }
    }
}

// ---- Order: any other one, or sums of parts, would give other bits ----
TEST(MadeData, SumsAreInTheOrderOfK) {
    for (size_t ks : {0, 1, 7, 8, 9, 20, 33})
        for (size_t outs : {1, 3, 4, 5, 11}) {
            std::vector<float> w(outs * ks + 1), x(ks * ORDERED_ROWS + 1), out(outs * ORDERED_ROWS + 1);
            random_normals(1, RANDOM_TASK_DATA, 0, uint32_t(ks), w.size(), w.data());
            random_normals(2, RANDOM_TASK_DATA, 0, uint32_t(ks), x.size(), x.data());
            random_normals(3, RANDOM_TASK_DATA, 0, uint32_t(ks), out.size(), out.data());
            std::vector<float> by_rows = out, by_columns = out;
            ordered_sums(outs, ks, w.data(), ks, 1, x.data(), by_rows.data());
            ordered_sums(outs, ks, w.data(), 1, outs, x.data(), by_columns.data());
            EXPECT_EQ(by_rows.back(), out.back()); // nothing is written behind
            for (size_t o = 0; o < outs; o++)
                for (size_t r = 0; r < ORDERED_ROWS; r++) {
                    volatile float rows = out[o * ORDERED_ROWS + r], columns = rows, product; // volatile: rounded where it stands
                    for (size_t k = 0; k < ks; k++) {
                        const float xk = x[k * ORDERED_ROWS + r];
                        product = w[o * ks + k] * xk;
                        rows = rows + product;
                        product = w[k * outs + o] * xk;
                        columns = columns + product;
                    }
                    EXPECT_EQ(by_rows[o * ORDERED_ROWS + r], rows) << ks << " " << outs;
                    EXPECT_EQ(by_columns[o * ORDERED_ROWS + r], columns) << ks << " " << outs;
                }
        }
}

// The rounding that the shipped weights' data were made with: products of whole groups of eight by themselves, the rest fused.
TEST(MadeData, OnlyWhatIsLeftOfEightIsFused) {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) GTEST_SKIP() << "this processor has no AVX2 with FMA";
    for (size_t ks : {3, 8, 10, 20, 100}) {
        std::vector<float> w(ks), x(ks * ORDERED_ROWS), out(ORDERED_ROWS);
        random_normals(1, RANDOM_TASK_DATA, 1, uint32_t(ks), w.size(), w.data());
        random_normals(2, RANDOM_TASK_DATA, 1, uint32_t(ks), x.size(), x.data());
        ordered_sums_fma(1, ks, w.data(), ks, 1, x.data(), out.data());
        for (size_t r = 0; r < ORDERED_ROWS; r++) {
            volatile float sum = 0, product;
            for (size_t k = 0; k < ks; k++) {
                product = w[k] * x[k * ORDERED_ROWS + r];
                sum = k < ks / 8 * 8 ? sum + product : std::fma(w[k], x[k * ORDERED_ROWS + r], sum);
            }
            EXPECT_EQ(out[r], sum) << ks << " " << r;
        }
    }
}

} // namespace
