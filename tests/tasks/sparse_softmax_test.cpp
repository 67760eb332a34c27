// sparse_softmax against its formula row by row in double, and against its twin of dense products.
#include "tests/tasks/compare.h"

extern "C" {
#include "tasks/families/batch.h"
}

namespace {

typedef std::vector<double> vec;

struct Row {
    std::vector<int> ids;
    int label;
};

// What was drawn: labels, kinds and their counts, one-hot codes [1000][stride].
std::vector<Row> rows_of(const Corpus &c, size_t features) {
    const float *data = c.task.p->term[0].instance.data, *codes = data + 2000 + 128;
    const size_t stride = (2 * features + 15) / 16 * 16;
    std::vector<Row> rows(1000);
    for (size_t r = 0; r < 1000; r++) {
        rows[r].label = int(data[r]);
        for (size_t f = 0; f < features; f++) {
            rows[r].ids.push_back(int(codes[r * stride + 2 * f + 1]));
            EXPECT_EQ(codes[r * stride + 2 * f] + codes[r * stride + 2 * f + 1], 1);
        }
    }
    return rows;
}

// Mean cross-entropy by looking ids up one after the other, + 1e-3 x mean over the three tensors of |.|^2; gradient out.
double reference(const std::vector<Row> &rows, const std::vector<size_t> &which, size_t width, const vec &p, vec &g) {
    const size_t w = 2 * width, b = w + 2 * width;
    double loss = 0;
    g.assign(p.size(), 0.0);
    for (size_t r : which) {
        vec z(width, 0.0);
        for (int id : rows[r].ids)
            for (size_t u = 0; u < width; u++) z[u] += p[size_t(id) * width + u];
        double logit[2] = {p[b], p[b + 1]};
        for (size_t u = 0; u < width; u++)
            for (size_t o = 0; o < 2; o++) logit[o] += z[u] * p[w + 2 * u + o];
        const double margin = logit[rows[r].label] - logit[1 - rows[r].label], share = 1.0 / double(which.size());
        loss += share * (margin > 0 ? std::log1p(std::exp(-margin)) : -margin + std::log1p(std::exp(margin)));
        const double pull = share / (1 + std::exp(margin)); // how much the wrong class has
        for (size_t o = 0; o < 2; o++) {
            const double d = int(o) == rows[r].label ? -pull : pull;
            g[b + o] += d;
            for (size_t u = 0; u < width; u++) g[w + 2 * u + o] += d * z[u];
            for (int id : rows[r].ids)
                for (size_t u = 0; u < width; u++) g[size_t(id) * width + u] += d * p[w + 2 * u + o];
        }
    }
    for (size_t i = 0; i < p.size(); i++) loss += 1e-3 / 3 * p[i] * p[i], g[i] += 2e-3 / 3 * p[i];
    return loss;
}

std::string spec_of(size_t features, size_t width, int batch, int dense) {
    return "sparse_softmax:features=" + std::to_string(features) + ",width=" + std::to_string(width) +
           ",batch=" + std::to_string(batch) + ",dense=" + std::to_string(dense);
}

class Twin : public ::testing::TestWithParam<int> {};

TEST_P(Twin, IsCrossEntropyOfItsRows) {
    for (size_t features : {5u, 1u, 63u})
        for (size_t width : {5u, 1u, 17u}) {
            Corpus c(spec_of(features, width, 23, GetParam()), 3);
            EXPECT_EQ(c.total, 4 * width + 2);
            const std::vector<Row> rows = rows_of(c, features);
            std::vector<size_t> whole(1000), batch;
            for (size_t r = 0; r < 1000; r++) whole[r] = r;
            const task_draw draw = {4, 50}; // in the second epoch
            const batch_order order = batch_begin(&draw, 1000, 23);
            for (uint32_t i = 0; i < 23; i++) batch.push_back(batch_row(&order, i));
            for (uint64_t seed = 0; seed < 3; seed++) {
                const std::vector<float> x = c.start(seed), v = direction(c.total, unsigned(seed));
                double loss = 0;
                vec g;
                double want = reference(rows, whole, width, widened(x), g);
                expect_close(c.full_gradient(x, &loss), g, 2e-5, "whole gradient");
                EXPECT_NEAR(loss, want, 1e-5 * (1 + want));
                want = reference(rows, batch, width, widened(x), g);
                expect_close(c.gradient(draw.seed, draw.step, x, &loss), g, 2e-5, "minibatch gradient");
                EXPECT_NEAR(loss, want, 1e-5 * (1 + want));
                auto gradient = [&](const vec &at) {
                    vec out;
                    reference(rows, batch, width, at, out);
                    return out;
                };
                expect_close(c.product(draw.seed, draw.step, x, v), product_by_differences(gradient, widened(x), widened(v)), 2e-4,
                             "product");
            }
        }
}

TEST_P(Twin, MinibatchesAverageToTheWhole) {
    Corpus c(spec_of(5, 5, 20, GetParam()), 3);
    expect_epoch_averages_to_whole(c, 50, 1e-5);
}

TEST_P(Twin, LearnsWhatALinearClassifierCan) {
    Corpus c(spec_of(5, 5, 23, GetParam()));
    for (uint64_t seed = 0; seed < 3; seed++) {
        const std::vector<float> x = c.start(seed);
        EXPECT_LT(c.full_loss(descended(c, x, 2000, 0.03)), 0.75); // chance is log 2 = 0.693
        EXPECT_GT(c.full_loss(x), 0.75);
    }
}

INSTANTIATE_TEST_SUITE_P(SparseSoftmax, Twin, ::testing::Values(0, 1),
                         [](const auto &info) { return info.param ? "Dense" : "Sparse"; });

TEST(SparseSoftmax, TwinsAgree) {
    Corpus sparse(spec_of(5, 5, 23, 0), 3), dense(spec_of(5, 5, 23, 1), 3);
    for (uint64_t seed = 0; seed < 5; seed++) {
        const std::vector<float> x = sparse.start(seed), v = direction(x.size(), 8);
        double a = 0, b = 0;
        EXPECT_EQ(x, dense.start(seed));
        expect_close(sparse.full_gradient(x, &a), widened(dense.full_gradient(x, &b)), 1e-5, "whole gradient");
        EXPECT_NEAR(a, b, 2e-6 * (1 + a));
        expect_close(sparse.gradient(6, seed, x, &a), widened(dense.gradient(6, seed, x, &b)), 1e-5, "minibatch gradient");
        EXPECT_NEAR(a, b, 2e-6 * (1 + a));
        expect_close(sparse.product(6, seed, x, v), widened(dense.product(6, seed, x, v)), 1e-4, "product");
    }
}

TEST(SparseSoftmax, LabelsAreTheParityWithAQuarterOfErrors) {
    int errors = 0, ones[5] = {};
    for (uint64_t seed = 0; seed < 10; seed++) {
        Corpus c("sparse_softmax", seed);
        for (const Row &row : rows_of(c, 5)) {
            int parity = 0;
            for (size_t f = 0; f < 5; f++) parity ^= row.ids[f], ones[f] += row.ids[f];
            errors += parity != row.label;
        }
    }
    EXPECT_NEAR(errors, 2500, 220); // five standard deviations
    for (int n : ones) EXPECT_NEAR(n, 5000, 250);
}

TEST(SparseSoftmax, StartsByFirstDimension) {
    Corpus c(spec_of(5, 9, 23, 0));
    double square[3] = {};
    const size_t ends[3] = {18, 36, 38};
    for (uint64_t seed = 0; seed < 500; seed++) {
        const std::vector<float> x = c.start(seed);
        for (size_t t = 0, i = 0; t < 3; t++)
            for (const size_t n = ends[t] - i, end = ends[t]; i < end; i++) square[t] += double(x[i]) * x[i] / double(500 * n);
    }
    const double first[3] = {2, 9, 2};
    for (int t = 0; t < 3; t++) EXPECT_NEAR(std::sqrt(square[t]), 1.2 / std::sqrt(first[t]), 0.06);
}

} // namespace
