// Bias and scatter of the estimators against the exact gradient of a whole episode: pes and nres must be unbiased, es and tbptt in short
// windows must not; and lopt_estimator_measure, which says so to users.
#include "tests/train/estimator_support.h"

namespace {

constexpr size_t horizon = 24, short_window = 4;

Vector exact_gradient() {
    Bench b({"estimator=tbptt"});
    return Episode(b, 0).whole(horizon, horizon);
}
Vector truncated_gradient() {
    Bench b({"estimator=tbptt"});
    return Episode(b, 0).whole(horizon, short_window);
}

// Mean and standard error of (estimate - truth) along `direction`, and the largest |mean| / standard error over the weights.
struct Bias {
    double along = 0, along_error = 0, worst = 0;
};
Bias bias_of(const char *name, size_t samples, const Vector &truth, const Vector &direction, size_t window = short_window) {
    Bench b({std::string("estimator=") + name, "es.pairs=8", "es.sigma=0.01"});
    Vector sum(b.count(), 0.0), square(b.count(), 0.0);
    double along = 0.0, along_square = 0.0;
    const double n = double(samples);
    for (size_t s = 0; s < samples; s++) {
        const Vector d = minus(Episode(b, 1000 + s).whole(horizon, window), truth);
        const double p = dot(d, direction) / dot(direction, direction);
        along += p / n, along_square += p * p / n;
        for (size_t i = 0; i < d.size(); i++) sum[i] += d[i] / n, square[i] += d[i] * d[i] / n;
    }
    Bias out = {along, std::sqrt((along_square - along * along) / (n - 1)), 0};
    for (size_t i = 0; i < sum.size(); i++) {
        const double error = std::sqrt(std::fmax(0.0, square[i] - sum[i] * sum[i]) / (n - 1));
        if (error > 0) out.worst = std::fmax(out.worst, std::fabs(sum[i]) / error);
    }
    return out;
}

// Along what tbptt misses, an estimator as blind as tbptt is off by 1, an unbiased one by 0.
class Unbiased : public ::testing::TestWithParam<const char *> {};
TEST_P(Unbiased, WithinItsStandardError) {
    const Vector truth = exact_gradient(), missed = minus(truncated_gradient(), truth);
    for (const Vector &direction : {missed, truth}) {
        const Bias bias = bias_of(GetParam(), 1500, truth, direction);
        EXPECT_LT(std::fabs(bias.along), 3.5 * bias.along_error) << bias.along << " +- " << bias.along_error;
        EXPECT_LT(bias.along_error, 0.08);
        EXPECT_LT(bias.worst, 4.5);
    }
}
INSTANTIATE_TEST_SUITE_P(All, Unbiased, ::testing::Values("pes", "nres"));

TEST(Biased, ShortWindowsOfTbpttAndEs) {
    const Vector truth = exact_gradient(), missed = minus(truncated_gradient(), truth);
    EXPECT_GT(norm(missed), 0.3 * norm(truth));
    const Bias es = bias_of("es", 300, truth, missed);
    EXPECT_GT(es.along, 20 * es.along_error) << es.along << " +- " << es.along_error;
    EXPECT_NEAR(es.along, 1.0, 4 * es.along_error + 0.02); // it misses just what tbptt misses
    EXPECT_GT(es.worst, 20.0);
}

TEST(Biased, MixLiesBetweenItsParts) {
    const Vector truth = exact_gradient(), missed = minus(truncated_gradient(), truth);
    const Bias mix = bias_of("mix", 100, truth, missed);
    EXPECT_GT(mix.along, -3.5 * mix.along_error);
    EXPECT_LT(mix.along, 1.0 + 3.5 * mix.along_error + 0.02);
}

TEST(Biased, NobodyIsInOneWindow) {
    const Vector truth = exact_gradient();
    for (const char *name : {"es", "pes", "nres", "mix"}) {
        const Bias bias = bias_of(name, 200, truth, truth, horizon);
        EXPECT_LT(std::fabs(bias.along), 3.5 * bias.along_error + 2e-3) << name << ": " << bias.along << " +- " << bias.along_error;
    }
}

// ---- The public measure -----------------------------------------------------------------------------------------------------

lopt_estimator_quality measure(std::vector<const char *> overrides, size_t window, size_t samples) {
    overrides.insert(overrides.end(),
                     {"weights.options=param=2,tensor=2,global=2", "es.pairs=8", "init_lr.min=1e-3", "init_lr.max=0.1"});
    lopt_estimator_options o = LOPT_ESTIMATOR_OPTIONS_INIT;
    o.task = "quadratic:n=3";
    o.steps = horizon;
    o.window = window;
    o.samples = samples;
    o.overrides = overrides.data();
    o.num_overrides = overrides.size();
    lopt_estimator_quality q = {};
    EXPECT_EQ(lopt_estimator_measure(&o, &q), LOPT_OK) << lopt_last_error();
    return q;
}

TEST(Quality, BackpropagationInOneWindowIsTheTruth) {
    const lopt_estimator_quality q = measure({"estimator=tbptt"}, horizon, 3);
    EXPECT_EQ(q.bias, 0.0);
    EXPECT_DOUBLE_EQ(q.cosine, 1.0);
    EXPECT_EQ(q.variance, 0.0);
    EXPECT_EQ(q.steps, double(horizon));
    EXPECT_EQ(q.diverged, 0u);
}

// With a loss linear over the width of the perturbations z, an estimate is the mean of z (z.g) over pairs: its covariance has the trace
// (d + 1) |g|^2 / pairs.
TEST(Quality, ScatterOfEvolutionIsKnown) {
    const lopt_estimator_quality q = measure({"estimator=nres", "es.sigma=0.003"}, horizon, 2000);
    EXPECT_NEAR(q.variance, double(q.weights + 1) / 8, 0.06 * double(q.weights) / 8);
    EXPECT_LT(q.bias, 4 * q.bias_error + 1e-3);
    EXPECT_EQ(q.steps, 16.0 * horizon);
}

TEST(Quality, TellsBiasFromNoise) {
    const lopt_estimator_quality tbptt = measure({"estimator=tbptt"}, short_window, 3),
                                 es = measure({"estimator=es"}, short_window, 300);
    const lopt_estimator_quality pes = measure({"estimator=pes"}, short_window, 1000);
    EXPECT_GT(tbptt.bias, 0.3);
    EXPECT_NEAR(es.bias, tbptt.bias, 5 * es.bias_error);
    EXPECT_LT(es.bias_error, 0.05 * es.bias);
    EXPECT_LT(pes.bias, 3 * pes.bias_error); // upwards from 0 the error is the square root of that of bias^2
    EXPECT_LT(pes.bias_error, 0.3 * tbptt.bias);
    EXPECT_GT(pes.variance, 1.0);
}

TEST(Quality, RefusesBadInput) {
    lopt_estimator_quality q = {};
    q.bias = 42;
    auto refused = [&](void (*change)(lopt_estimator_options *), lopt_status status) {
        lopt_estimator_options o = LOPT_ESTIMATOR_OPTIONS_INIT;
        change(&o);
        EXPECT_EQ(lopt_estimator_measure(&o, &q), status) << lopt_last_error();
    };
    static const char *unknown[] = {"estimator=pess"}, *one_pair[] = {"estimator=mix", "es.pairs=1"};
    refused([](lopt_estimator_options *o) { o->steps = 0; }, LOPT_ERR_ARGUMENT);
    refused([](lopt_estimator_options *o) { o->window = 0; }, LOPT_ERR_ARGUMENT);
    refused([](lopt_estimator_options *o) { o->samples = 2; }, LOPT_ERR_ARGUMENT);
    refused([](lopt_estimator_options *o) { o->samples = SIZE_MAX; }, LOPT_ERR_ARGUMENT);
    refused([](lopt_estimator_options *o) { o->struct_size = 0; }, LOPT_ERR_ARGUMENT);
    refused([](lopt_estimator_options *o) { o->num_overrides = 1; }, LOPT_ERR_ARGUMENT);
    refused([](lopt_estimator_options *o) { o->task = "quadratik"; }, LOPT_ERR_ARGUMENT);
    refused([](lopt_estimator_options *o) { o->overrides = unknown, o->num_overrides = 1; }, LOPT_ERR_CONFIG);
    refused([](lopt_estimator_options *o) { o->overrides = one_pair, o->num_overrides = 2; }, LOPT_ERR_CONFIG);
    lopt_estimator_options o = LOPT_ESTIMATOR_OPTIONS_INIT;
    EXPECT_EQ(lopt_estimator_measure(&o, nullptr), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_estimator_measure(nullptr, &q), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(q.bias, 42);
}

} // namespace
