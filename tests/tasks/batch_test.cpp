// Minibatches, gradient noise and the transforms around a family.
#include <set>

#include "tests/tasks/support.h"

extern "C" {
#include "tasks/families/batch.h"
}

namespace {

TEST(Batches, AnEpochTakesEachRowOnce) {
    for (uint32_t rows : {1u, 2u, 7u, 64u, 1000u, 1500u}) {
        for (uint32_t batch : {1u, 3u, 20u, 64u}) {
            if (batch > rows) continue;
            for (uint64_t epoch = 0; epoch < 3; epoch++) {
                std::set<uint32_t> seen;
                for (uint32_t b = 0; b < rows / batch; b++) {
                    const task_draw draw = {5, epoch * (rows / batch) + b};
                    const batch_order o = batch_begin(&draw, rows, batch);
                    for (uint32_t i = 0; i < batch; i++) {
                        const uint32_t row = batch_row(&o, i);
                        ASSERT_LT(row, rows);
                        ASSERT_TRUE(seen.insert(row).second);
                    }
                }
                ASSERT_EQ(seen.size(), rows / batch * batch);
            }
        }
    }
}

TEST(Batches, OrdersDifferAndEveryRowComesFirstNowAndThen) {
    std::vector<int> first(50);
    for (uint64_t epoch = 0; epoch < 5000; epoch++) {
        const task_draw draw = {3, epoch * 5};
        const batch_order o = batch_begin(&draw, 50, 10);
        first[batch_row(&o, 0)]++;
    }
    for (int n : first) EXPECT_NEAR(n, 100, 60);
}

// Mean over an epoch's minibatches = the whole loss and gradient, where the batch divides the rows.
TEST(Batches, GradientsAreUnbiased) {
    for (const char *spec : {"softmax_regression:features=6,sep=1,batch=50", "mlp:inputs=5,hidden=4,batch=8"}) {
        Corpus c(spec);
        const std::vector<float> x = c.start(1);
        double full = 0, mean = 0;
        const std::vector<float> want = c.full_gradient(x, &full);
        std::vector<double> sum(c.total);
        const size_t batches = std::string(spec).find("batch=50") != std::string::npos ? 20 : 125;
        for (size_t t = 0; t < batches; t++) {
            double loss = 0;
            const std::vector<float> g = c.gradient(2, t, x, &loss);
            mean += loss / double(batches);
            for (size_t i = 0; i < c.total; i++) sum[i] += g[i] / double(batches);
        }
        EXPECT_NEAR(mean, full, 1e-5);
        for (size_t i = 0; i < c.total; i++) EXPECT_NEAR(sum[i], want[i], 2e-5) << spec;
    }
}

TEST(Noise, HasItsDeviationAndIsFreshEachStep) {
    Corpus c("quadratic:n=20,noise=0.5"), plain("quadratic:n=20");
    const std::vector<float> x = c.start(1), base = plain.gradient(1, 0, x);
    double mean = 0, square = 0;
    const int steps = 2000;
    std::vector<float> last;
    for (int t = 0; t < steps; t++) {
        const std::vector<float> g = c.gradient(1, uint64_t(t), x);
        EXPECT_NE(g, last);
        last = g;
        for (size_t i = 0; i < 20; i++) {
            const double e = double(g[i]) - base[i];
            mean += e / (20 * steps), square += e * e / (20 * steps);
        }
    }
    EXPECT_NEAR(mean, 0, 0.02);
    EXPECT_NEAR(std::sqrt(square), 0.5, 0.01);
    EXPECT_EQ(c.full_gradient(x), plain.full_gradient(x)); // the whole loss has none
    EXPECT_EQ(c.product(1, 0, x, x), plain.product(1, 0, x, x));
}

TEST(Scale, RescalesParametersAndStart) {
    Corpus plain("quadratic:n=6"), scaled("quadratic:n=6,scale=4");
    const std::vector<float> x = plain.start(3), z = scaled.start(3);
    std::vector<float> g = plain.full_gradient(x), h = scaled.full_gradient(z), v = direction(6, 1);
    EXPECT_NEAR(plain.full_loss(x), scaled.full_loss(z), 1e-5 * plain.full_loss(x));
    const std::vector<float> p = plain.product(1, 1, x, v), q = scaled.product(1, 1, z, v);
    for (size_t i = 0; i < 6; i++) {
        EXPECT_FLOAT_EQ(z[i], 4 * x[i]);
        EXPECT_NEAR(h[i], g[i] / 4, 1e-5 * (1 + std::fabs(g[i])));
        EXPECT_NEAR(q[i], p[i] / 16, 1e-5 * (1 + std::fabs(p[i])));
    }
}

TEST(ScaleSpread, DrawsAFactorPerTensorWithinItsBounds) {
    double least = INFINITY, most = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        Corpus plain("mlp:inputs=3,hidden=2,batch=10", seed), spread("mlp:inputs=3,hidden=2,batch=10,tensor_spread=5", seed);
        const std::vector<float> x = plain.start(3), z = spread.start(3);
        size_t at = 0;
        for (size_t i = 0; i < task_num_tensors(plain.task.p); at += task_counts(plain.task.p)[i++]) {
            const double factor = z[at] / x[at];
            least = std::fmin(least, factor), most = std::fmax(most, factor);
            for (size_t j = 0; j < task_counts(plain.task.p)[i]; j++) EXPECT_NEAR(z[at + j] / x[at + j], factor, 1e-4 * factor);
        }
    }
    EXPECT_GE(least, 0.2 * 0.999);
    EXPECT_LE(most, 5 * 1.001);
    EXPECT_LT(least, 0.25);
    EXPECT_GT(most, 4);
}

} // namespace
