// The library's steps against the oracle's, and the oracle against the golden files.
#include "tests/oracle/support.h"
#include "tests/support/guard_file.h"
#include "tests/support/rising_rates.h"
#include "tests/support/scratch_dir.h"

namespace {

using oracle::Shape;

Shape shape_of(const GoldenFile &f, const lopt_weights *w) {
    Shape s;
    s.P = int(f.number("param_size")), s.T = int(f.number("tensor_size")), s.G = int(f.number("global_size"));
    s.S = int(f.number("gradient_scales"));
    s.attention = lopt_weights_option(w, "attention"), s.products = lopt_weights_option(w, "grad_products");
    s.relative = lopt_weights_option(w, "relative_lr"), s.shortcut = lopt_weights_option(w, "gradient_shortcut");
    return s;
}

class OracleGolden : public ::testing::TestWithParam<const char *> {};

TEST_P(OracleGolden, Agrees) {
    GoldenFile f(std::string(GetParam()) + ".safetensors");
    Weights w;
    ASSERT_EQ(lopt_weights_load(golden_path(std::string(GetParam()) + ".weights.safetensors").c_str(), &w.p), LOPT_OK);
    const std::vector<float> flat(lopt_weights_data(w.p), lopt_weights_data(w.p) + lopt_weights_count(w.p));
    const size_t tensors = size_t(f.number("tensors"));
    std::vector<std::vector<double>> theta(tensors);
    for (size_t i = 0; i < tensors; i++)
        for (float x : f.floats("theta0." + std::to_string(i))) theta[i].push_back(x);
    oracle::Optimizer<double> o({shape_of(f, w.p), flat, [](double x) { return x; }}, theta, f.number("init_lr"));
    o.lr_scale = f.number("lr_scale"), o.weight_decay = f.number("weight_decay");
    for (size_t k = 0; k < size_t(f.number("steps")); k++) {
        std::vector<std::vector<double>> g(tensors);
        for (size_t i = 0; i < tensors; i++)
            for (float x : f.floats("grad." + std::to_string(k) + "." + std::to_string(i))) g[i].push_back(x);
        o.step(g);
        for (size_t i = 0; i < tensors; i++) {
            const std::vector<float> truth = f.floats("theta." + std::to_string(k) + "." + std::to_string(i)),
                                     attended = f.floats("attended." + std::to_string(k) + "." + std::to_string(i));
            for (size_t j = 0; j < truth.size(); j++) { // both in double; the file rounds to float
                ASSERT_NEAR(o.tensors[i].p[j].theta, truth[j], 2e-7 * std::fabs(truth[j]) + 1e-9);
                ASSERT_NEAR(o.tensors[i].p[j].phi, attended[j], 2e-7 * std::fabs(attended[j]) + 1e-9);
            }
        }
    }
}
INSTANTIATE_TEST_SUITE_P(Files, OracleGolden,
                         ::testing::Values("step_default", "step_minimal", "step_no_attention", "step_code_sizes",
                                           "step_zeros_and_controls"));

// Gradients of every kind that a model produces: sizes that span magnitudes, exact zeros, tiny and huge ones.
double gradient(OracleCase &c, int flavour) {
    const double g = c.normal();
    switch (flavour) {
    case 0: return g;
    case 1: return c.uniform() < 0.5 ? 0 : g;
    case 2: return g * std::pow(10, 8 * c.uniform() - 6);
    case 3: return g * 1e-30;
    default: return g * 1e16;
    }
}

struct StepCase {
    std::vector<size_t> counts;
    int steps, flavour;
    bool defaults;
    double init_lr, lr_scale, weight_decay, resting;
    bool guard, rising, late;
};

class OracleStep : public ::testing::TestWithParam<unsigned> {};

StepCase step_case(unsigned number, OracleCase &c) {
    StepCase s;
    s.defaults = number % 3 == 0;
    const size_t tensors = 1 + c.random() % 4;
    for (size_t i = 0; i < tensors; i++) s.counts.push_back(1 + c.random() % (i == 0 ? 40 : 7));
    if (number % 10 == 9) s.counts.push_back(5000); // more than one chunk
    s.steps = number % 10 == 9 ? 2 : 1 + int(c.random() % 12);
    s.flavour = int(number % 5);
    s.init_lr = std::pow(10, -4 * c.uniform() - 1);
    if (number % 11 == 10) s.init_lr = 2e14; // alpha at the clip
    s.lr_scale = number % 2 ? 1 : 0.5;
    s.weight_decay = number % 4 ? 0 : 0.01;
    s.resting = number % 3 == 1 ? 0.4 : 0;
    s.guard = number % 15 == 0 || number % 15 == 7; // default shapes and others; long enough to be held
    if (s.guard) s.steps = 125, s.flavour = int(number / 15 % 3), s.resting = 0;
    s.rising = number % 2 || c.shape.S == 1;         // with one timescale there is no floor for rates that die
    s.late = s.guard && number / 15 % 2;             // grows old at once, in the midst of the run
    if (s.guard) s.init_lr = s.rising ? 1e-5 : 1e-2; // so that what is held is seen in the parameters, and rounding is not
    return s;
}

// Both take it that the guard has seen 5,000 steps.
void grow_old(oracle::Optimizer<double> &o, lopt_optimizer *opt) {
    ScratchDir dir;
    const std::string path = dir / "state";
    ASSERT_EQ(lopt_optimizer_save(opt, path.c_str()), LOPT_OK) << lopt_last_error();
    write_file(path, guard_aged(read_file(path), 5000.0f, o.tensors.size()));
    for (auto &t : o.tensors) t.guarded = 5000;
    ASSERT_EQ(lopt_optimizer_load(opt, path.c_str()), LOPT_OK) << lopt_last_error();
}

TEST_P(OracleStep, LibraryAgrees) {
    const unsigned number = GetParam();
    OracleCase c(number, number % 3 == 0);
    const StepCase s = step_case(number, c);
    if (s.guard) raise_rates(c.weights.p, s.rising ? 0.05f : -0.15f);
    std::vector<std::vector<double>> theta;
    std::vector<std::vector<float>> params, truth;
    std::vector<float *> p, t;
    for (size_t n : s.counts) {
        theta.emplace_back();
        params.emplace_back();
        for (size_t j = 0; j < n; j++) params.back().push_back(float(c.normal())), theta.back().push_back(params.back().back());
    }
    truth = params;
    for (size_t i = 0; i < params.size(); i++) p.push_back(params[i].data()), t.push_back(truth[i].data());
    oracle::Optimizer<double> o({c.shape, c.flat(), [](double x) { return x; }}, theta, s.init_lr);
    lopt_optimizer_options options = LOPT_OPTIMIZER_OPTIONS_INIT;
    options.init_lr_min = options.init_lr_max = s.init_lr;
    o.lr_scale = options.lr_scale = s.lr_scale;
    o.weight_decay = options.weight_decay = s.weight_decay;
    o.guard = s.guard;
    options.guard = s.guard ? "on" : "off";
    ::Optimizer opt;
    ASSERT_EQ(lopt_optimizer_create(c.weights.p, &options, s.counts.size(), s.counts.data(), p.data(), nullptr, &opt.p), LOPT_OK)
        << lopt_last_error();
    for (int k = 0; k < s.steps; k++) {
        std::vector<std::vector<double>> exact(s.counts.size());
        std::vector<std::vector<float>> grads(s.counts.size());
        std::vector<const float *> g;
        for (size_t i = 0; i < s.counts.size(); i++) {
            const bool rests = c.uniform() < s.resting;
            for (size_t j = 0; j < s.counts[i]; j++) grads[i].push_back(float(gradient(c, s.flavour)));
            if (!rests) exact[i].assign(grads[i].begin(), grads[i].end());
            g.push_back(rests ? nullptr : grads[i].data());
        }
        if (s.late && k == s.steps - 20) grow_old(o, opt.p);
        o.step(exact);
        ASSERT_EQ(lopt_optimizer_step(opt.p, p.data(), g.data(), nullptr), LOPT_OK);
        ASSERT_EQ(lopt_optimizer_skipped(opt.p), 0u);
        ASSERT_EQ(lopt_optimizer_true_params(opt.p, t.data(), nullptr), LOPT_OK);
        for (size_t i = 0; i < s.counts.size(); i++) {
            std::vector<float> want_theta, want_phi;
            for (const auto &q : o.tensors[i].p) want_theta.push_back(float(q.theta)), want_phi.push_back(float(q.phi));
            const std::string at =
                " of tensor " + std::to_string(i) + ", step " + std::to_string(k) + ", case " + std::to_string(number);
            expect_close(truth[i], want_theta, "theta" + at);
            expect_close(params[i], want_phi, "attended" + at);
            if (HasFatalFailure()) return;
        }
    }
    size_t held = 0;
    for (const auto &t : o.tensors) held += t.shift != 0;
    EXPECT_EQ(held > 0, s.guard) << "where it is on, the guard has held a tensor at least";
}
INSTANTIATE_TEST_SUITE_P(Cases, OracleStep, ::testing::Range(0u, 150u));

} // namespace
