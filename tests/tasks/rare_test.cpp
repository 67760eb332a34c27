// Rare features: a share of the inputs of mlp and softmax_regression that nearly all rows have at 0, so that their weights' gradients are 0
// for many steps and then are not.
#include "tests/tasks/support.h"

namespace {

struct Case {
    const char *spec;
    size_t inputs, outputs, batch;
};
void PrintTo(const Case &c, std::ostream *out) { *out << c.spec; }
class Rare : public ::testing::TestWithParam<Case> {};

// Share of the minibatches in which a feature's weights have a gradient.
std::vector<double> seen(const Case &k, const std::string &spec, uint64_t seed) {
    const int steps = 400;
    Corpus c(spec, seed);
    std::vector<float> x = c.start(1);
    std::vector<double> out(k.inputs, 0);
    for (int t = 0; t < steps; t++) {
        const std::vector<float> g = c.gradient(5, uint64_t(t), x);
        for (size_t j = 0; j < k.inputs; j++) {
            bool any = false;
            for (size_t o = 0; o < k.outputs; o++) any = any || g[j * k.outputs + o] != 0.0f;
            out[j] += double(any) / steps;
        }
    }
    return out;
}

TEST_P(Rare, ShareOfTheFeaturesIsSeenInFewBatches) {
    const Case k = GetParam();
    const double expected = 1.0 - std::pow(1.0 - 0.005, double(k.batch));
    size_t rare = 0;
    double mean = 0;
    for (double share : seen(k, std::string(k.spec) + ",rare=0.5", 2)) {
        if (share > 0.5) continue;
        rare++;
        mean += share;
    }
    EXPECT_NEAR(double(rare), 0.5 * double(k.inputs), 3 * std::sqrt(0.25 * double(k.inputs)));
    EXPECT_NEAR(mean / double(rare), expected, 0.3 * expected) << "a feature keeps its value in one row of 200";
    for (double share : seen(k, k.spec, 2)) EXPECT_GT(share, 0.99) << "none is rare by default";
}

TEST_P(Rare, FeaturesAreDrawnWithTheInstance) {
    const Case k = GetParam();
    const std::string spec = std::string(k.spec) + ",rare=0.5";
    EXPECT_NE(seen(k, spec, 2), seen(k, spec, 3));
    EXPECT_EQ(seen(k, spec, 2), seen(k, spec, 2));
}

INSTANTIATE_TEST_SUITE_P(Families, Rare,
                         ::testing::Values(Case{"softmax_regression:features=80,sep=2,batch=10,l2=0", 80, 2, 10},
                                           Case{"mlp:inputs=80,hidden=6,batch=8,l2=0", 80, 6, 8}));

} // namespace
