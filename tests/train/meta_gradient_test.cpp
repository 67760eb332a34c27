// lopt_meta_gradient against golden files, against differences of the meta-loss, and with bad input.
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "tests/support/golden.h"
#include "tests/support/quadratic_task.h"

namespace {

double norm_of_difference(const std::vector<float> &a, const std::vector<float> &b) {
    double sum = 0.0;
    for (size_t i = 0; i < a.size(); i++) sum += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
    return std::sqrt(sum);
}
double norm(const std::vector<float> &a) { return norm_of_difference(a, std::vector<float>(a.size(), 0.0f)); }

class MetaGolden : public ::testing::TestWithParam<std::tuple<const char *, int>> {};

TEST_P(MetaGolden, Agrees) {
    const std::string name = std::get<0>(GetParam());
    const int second = std::get<1>(GetParam());
    GoldenFile golden(name + ".safetensors");
    Weights w;
    ASSERT_EQ(lopt_weights_load(golden_path(name + ".weights.safetensors").c_str(), &w.p), LOPT_OK) << lopt_last_error();
    QuadraticTask quadratic(golden.floats("W"), golden.floats("y"), golden.floats("theta0"));
    lopt_task_ops ops = quadratic.ops();
    Task task;
    ASSERT_EQ(lopt_task_from_ops(&ops, &quadratic, &task.p), LOPT_OK);
    lopt_unroll_options o = LOPT_UNROLL_OPTIONS_INIT;
    o.steps = size_t(golden.number("steps"));
    o.init_lr_min = o.init_lr_max = golden.number("init_lr");
    o.second_derivatives = second;
    double loss = 0.0;
    std::vector<float> gradient(lopt_weights_count(w.p)), want = golden.floats(second ? "gradient" : "gradient_first_order");
    ASSERT_EQ(lopt_meta_gradient(w.p, task.p, &o, &loss, gradient.data()), LOPT_OK) << lopt_last_error();
    EXPECT_NEAR(loss, golden.floats("meta_loss")[0], 1e-4);
    ASSERT_EQ(gradient.size(), want.size());
    EXPECT_LE(norm_of_difference(gradient, want), 5e-3 * norm(want));
    double forward_loss = 0.0;
    ASSERT_EQ(lopt_meta_gradient(w.p, task.p, &o, &forward_loss, nullptr), LOPT_OK);
    EXPECT_EQ(loss, forward_loss);
    if (HasFailure()) { // which weights are wrong
        const char *tensor;
        size_t offset, shape[2];
        for (size_t i = 0; lopt_weights_tensor(w.p, i, &tensor, &offset, shape); i++) {
            std::vector<float> a(gradient.begin() + offset, gradient.begin() + offset + shape[0] * shape[1]);
            std::vector<float> b(want.begin() + offset, want.begin() + offset + shape[0] * shape[1]);
            printf("%-32s difference %.3g of %.3g\n", tensor, norm_of_difference(a, b), norm(b));
        }
    }
}
INSTANTIATE_TEST_SUITE_P(Files, MetaGolden,
                         ::testing::Combine(::testing::Values("meta_default", "meta_no_attention"), ::testing::Values(0, 1)));

// J along a direction by central differences, against gradient . direction. The direction is the gradient's own, so that the derivative
// is large beside the float32 noise of J.
struct Difference {
    const char *spec, *options;
    size_t steps;
};
void PrintTo(const Difference &d, std::ostream *out) { *out << d.spec << " / " << d.options << " / " << d.steps; }

class MetaDifference : public ::testing::TestWithParam<Difference> {};

TEST_P(MetaDifference, AgreesAlongTheGradient) {
    Weights w;
    Task task;
    ASSERT_EQ(lopt_weights_init(GetParam().options, 5, &w.p), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(lopt_task_create(GetParam().spec, 3, &task.p), LOPT_OK) << lopt_last_error();
    lopt_unroll_options o = LOPT_UNROLL_OPTIONS_INIT;
    o.steps = GetParam().steps;
    o.seed = 11;
    o.init_lr_min = 1e-3;
    o.init_lr_max = 1e-1;
    double loss = 0.0, plus = 0.0, minus = 0.0;
    std::vector<float> gradient(lopt_weights_count(w.p));
    ASSERT_EQ(lopt_meta_gradient(w.p, task.p, &o, &loss, gradient.data()), LOPT_OK) << lopt_last_error();
    ASSERT_TRUE(std::isfinite(loss));
    float *data = lopt_weights_data(w.p);
    const std::vector<float> center(data, data + gradient.size());
    const double length = norm(gradient);
    ASSERT_GT(length, 0.0);
    const double h = std::fmin(3e-3, 0.02 / length);
    auto at = [&](double t) {
        for (size_t i = 0; i < center.size(); i++) data[i] = float(center[i] + t * gradient[i] / length);
        double value = 0.0;
        EXPECT_EQ(lopt_meta_gradient(w.p, task.p, &o, &value, nullptr), LOPT_OK);
        return value;
    };
    plus = at(h), minus = at(-h);
    const double slope = (plus - minus) / (2 * h);
    EXPECT_NEAR(slope / length, 1.0, 0.03) << "difference " << slope << ", adjoint " << length;
}
INSTANTIATE_TEST_SUITE_P(
    Tasks, MetaDifference,
    ::testing::Values(Difference{"quadratic:n=20", nullptr, 1}, Difference{"quadratic:n=20", nullptr, 2},
                      Difference{"quadratic:n=20", nullptr, 12}, Difference{"quadratic:n=20", "attention=0", 12},
                      Difference{"quadratic:n=17,noise=0.5", nullptr, 6},
                      Difference{"quadratic:n=9,scale=3", "grad_products=0,relative_lr=0,gradient_shortcut=0", 9},
                      Difference{"bowl:c=5", "param=6,tensor=7,global=5,scales=3", 10}, Difference{"rosenbrock", nullptr, 8},
                      Difference{"booth", nullptr, 8}, Difference{"beale", "attention=0", 4}, Difference{"log_sum_exp", nullptr, 8},
                      Difference{"softmax_regression:features=10,sep=2,batch=100", nullptr, 8},
                      Difference{"mlp:inputs=8,hidden=8x5,batch=10", "attention=0", 8},
                      Difference{"mlp:inputs=7,hidden=8x5,batch=16,tensor_spread=3", nullptr, 6}));

TEST(MetaGradient, RefusesBadInput) {
    Weights w;
    Task task;
    ASSERT_EQ(lopt_weights_init(nullptr, 1, &w.p), LOPT_OK);
    ASSERT_EQ(lopt_task_create("quadratic:n=4", 1, &task.p), LOPT_OK);
    double loss = 42.0;
    std::vector<float> gradient(lopt_weights_count(w.p), 3.0f);
    lopt_unroll_options o = LOPT_UNROLL_OPTIONS_INIT;
    EXPECT_EQ(lopt_meta_gradient(nullptr, task.p, &o, &loss, gradient.data()), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_meta_gradient(w.p, nullptr, &o, &loss, gradient.data()), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_meta_gradient(w.p, task.p, &o, nullptr, gradient.data()), LOPT_ERR_ARGUMENT);
    auto refused = [&](void (*change)(lopt_unroll_options *), lopt_status status) {
        lopt_unroll_options bad = LOPT_UNROLL_OPTIONS_INIT;
        change(&bad);
        EXPECT_EQ(lopt_meta_gradient(w.p, task.p, &bad, &loss, gradient.data()), status) << lopt_last_error();
        EXPECT_STRNE(lopt_last_error(), "");
    };
    refused([](lopt_unroll_options *b) { b->steps = 0; }, LOPT_ERR_ARGUMENT);
    refused([](lopt_unroll_options *b) { b->steps = SIZE_MAX; }, LOPT_ERR_MEMORY);
    refused([](lopt_unroll_options *b) { b->init_lr_min = NAN; }, LOPT_ERR_ARGUMENT);
    refused([](lopt_unroll_options *b) { b->init_lr_min = 1.0, b->init_lr_max = 0.1; }, LOPT_ERR_ARGUMENT);
    refused([](lopt_unroll_options *b) { b->device = "cuda"; }, LOPT_ERR_UNSUPPORTED);
    refused([](lopt_unroll_options *b) { b->device = "tpu"; }, LOPT_ERR_ARGUMENT);
    refused([](lopt_unroll_options *b) { b->struct_size = 0; }, LOPT_ERR_ARGUMENT);
    lopt_weights_data(w.p)[7] = NAN;
    refused([](lopt_unroll_options *) {}, LOPT_ERR_ARGUMENT);
    EXPECT_NE(std::string(lopt_last_error()).find("not finite"), std::string::npos) << lopt_last_error();
    EXPECT_EQ(loss, 42.0);
    for (float x : gradient) ASSERT_EQ(x, 3.0f);
}

TEST(MetaGradient, FailingCallbackLeavesOutputsAlone) {
    QuadraticTask quadratic({1, 0, 0, 1}, {0, 0}, {1, 1});
    quadratic.fail_at = 3;
    lopt_task_ops ops = quadratic.ops();
    Weights w;
    Task task;
    ASSERT_EQ(lopt_weights_init(nullptr, 1, &w.p), LOPT_OK);
    ASSERT_EQ(lopt_task_from_ops(&ops, &quadratic, &task.p), LOPT_OK);
    double loss = 42.0;
    std::vector<float> gradient(lopt_weights_count(w.p), 3.0f);
    EXPECT_EQ(lopt_meta_gradient(w.p, task.p, nullptr, &loss, gradient.data()), LOPT_ERR_TASK);
    EXPECT_NE(std::string(lopt_last_error()).find("loss_grad callback failed with 7"), std::string::npos);
    EXPECT_EQ(loss, 42.0);
    for (float x : gradient) ASSERT_EQ(x, 3.0f);
}

void expect_the_end(QuadraticTask &quadratic, const lopt_task_ops &ops) {
    Weights w;
    Task task;
    ASSERT_EQ(lopt_weights_init(nullptr, 1, &w.p), LOPT_OK);
    ASSERT_EQ(lopt_task_from_ops(&ops, &quadratic, &task.p), LOPT_OK);
    double loss = 0.0;
    std::vector<float> gradient(lopt_weights_count(w.p), 3.0f);
    EXPECT_EQ(lopt_meta_gradient(w.p, task.p, nullptr, &loss, gradient.data()), LOPT_OK);
    EXPECT_TRUE(std::isnan(loss));
    for (float x : gradient) ASSERT_EQ(x, 0.0f);
}
TEST(MetaGradient, NonFiniteEndsTheRun) {
    QuadraticTask quadratic({1, 0, 0, 1}, {0, 0}, {1, 1}), bad_gradient = quadratic;
    bad_gradient.poison = INFINITY;
    expect_the_end(bad_gradient, bad_gradient.ops());
    bad_gradient.poison = 2e18f;
    expect_the_end(bad_gradient, bad_gradient.ops());
    lopt_task_ops bad_loss = quadratic.ops(); // of a minibatch alone
    bad_loss.full_loss_grad = QuadraticTask::whole;
    bad_loss.loss_grad = [](void *self, uint64_t seed, uint64_t step, const float *const *params, double *loss,
                            float *const *grads) {
        const int failed = QuadraticTask::loss_grad(self, seed, step, params, loss, grads);
        if (step == 3) *loss = NAN;
        return failed;
    };
    expect_the_end(quadratic, bad_loss);
    // Losses and minibatch gradients are numbers, but not what they are differentiated through.
    lopt_task_ops bad_product = quadratic.ops(), bad_pull = quadratic.ops();
    bad_product.hvp = [](void *, uint64_t, uint64_t, const float *const *, const float *const *, float *const *out) {
        return out[0][0] = NAN, out[0][1] = 0.0f, 0;
    };
    expect_the_end(quadratic, bad_product);
    bad_pull.full_loss_grad = [](void *self, const float *const *params, double *loss, float *const *grads) {
        const int failed = QuadraticTask::whole(self, params, loss, grads);
        if (grads) grads[0][1] = INFINITY;
        return failed;
    };
    expect_the_end(quadratic, bad_pull);
}

// The pull of the loss after the only step, and so the gradient, is beyond what a step would take.
TEST(MetaGradient, MayBeLarge) {
    QuadraticTask quadratic({1, 0, 0, 1}, {0, 0}, {1, 1});
    lopt_task_ops ops = quadratic.ops();
    ops.full_loss_grad = [](void *self, const float *const *params, double *loss, float *const *grads) {
        const int failed = QuadraticTask::whole(self, params, loss, grads);
        if (grads) grads[0][0] = 1e25f;
        return failed;
    };
    Weights w;
    Task task;
    ASSERT_EQ(lopt_weights_init(nullptr, 1, &w.p), LOPT_OK);
    ASSERT_EQ(lopt_task_from_ops(&ops, &quadratic, &task.p), LOPT_OK);
    double alone = 0.0, loss = 0.0;
    std::vector<float> gradient(lopt_weights_count(w.p));
    lopt_unroll_options o = LOPT_UNROLL_OPTIONS_INIT;
    o.steps = 1;
    ASSERT_EQ(lopt_meta_gradient(w.p, task.p, &o, &alone, nullptr), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(lopt_meta_gradient(w.p, task.p, &o, &loss, gradient.data()), LOPT_OK) << lopt_last_error();
    EXPECT_EQ(loss, alone);
    EXPECT_GT(norm(gradient), 1e19);
    EXPECT_LT(norm(gradient), 1e30);
}

#ifdef __x86_64__
// Whether the caller's program reads subnormal numbers as 0 does not matter: here the start itself is made of them.
TEST(MetaGradient, IsTheSameWhateverTheProgramsRounding) {
    const size_t count = 1;
    lopt_task_ops ops = {};
    ops.struct_size = sizeof ops, ops.num_tensors = 1, ops.counts = &count;
    ops.init = [](void *, uint64_t, float *const *params) { return params[0][0] = 6e-39f, 0; };
    ops.loss_grad = [](void *, uint64_t, uint64_t, const float *const *params, double *loss, float *const *grads) {
        const float large = params[0][0] * 1e38f;
        *loss = double(large) * double(large);
        if (grads) grads[0][0] = 0.0f;
        return 0;
    };
    Weights w;
    Task task;
    ASSERT_EQ(lopt_weights_init(nullptr, 1, &w.p), LOPT_OK);
    ASSERT_EQ(lopt_task_from_ops(&ops, nullptr, &task.p), LOPT_OK);
    double kept = 0.0, flushed = 0.0;
    ASSERT_EQ(lopt_meta_gradient(w.p, task.p, nullptr, &kept, nullptr), LOPT_OK) << lopt_last_error();
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);
    const lopt_status status = lopt_meta_gradient(w.p, task.p, nullptr, &flushed, nullptr);
    _mm_setcsr(before);
    ASSERT_EQ(status, LOPT_OK);
    EXPECT_TRUE(std::isfinite(kept));
    EXPECT_EQ(kept, flushed);
}
#endif

TEST(MetaGradient, NoHessianMeansFirstOrderOnly) {
    QuadraticTask quadratic({1, 0, 0, 1}, {0, 0}, {1, 1});
    lopt_task_ops ops = quadratic.ops();
    ops.hvp = nullptr;
    Weights w;
    Task task;
    ASSERT_EQ(lopt_weights_init(nullptr, 1, &w.p), LOPT_OK);
    ASSERT_EQ(lopt_task_from_ops(&ops, &quadratic, &task.p), LOPT_OK);
    double loss = 0.0;
    std::vector<float> gradient(lopt_weights_count(w.p));
    lopt_unroll_options o = LOPT_UNROLL_OPTIONS_INIT;
    EXPECT_EQ(lopt_meta_gradient(w.p, task.p, &o, &loss, gradient.data()), LOPT_ERR_UNSUPPORTED);
    o.second_derivatives = 0;
    EXPECT_EQ(lopt_meta_gradient(w.p, task.p, &o, &loss, gradient.data()), LOPT_OK) << lopt_last_error();
}

// 0.5 sum c x^2 over one tensor, in which the same parameters stand again and again.
struct RepeatedTask {
    static constexpr size_t period = 4096;
    size_t count;
    static float curvature(size_t i) { return 1.5f + std::sin(float(i % period)); }
    static int init(void *self, uint64_t, float *const *params) {
        for (size_t i = 0; i < static_cast<RepeatedTask *>(self)->count; i++)
            params[0][i] = std::cos(1.3f * float(i % period)) + 0.1f;
        return 0;
    }
    static int loss_grad(void *self, uint64_t, uint64_t, const float *const *params, double *loss, float *const *grads) {
        *loss = 0.0;
        for (size_t i = 0; i < static_cast<RepeatedTask *>(self)->count; i++) {
            const float x = params[0][i], g = curvature(i) * x;
            *loss += 0.5 * double(g) * x;
            if (grads) grads[0][i] = g;
        }
        return 0;
    }
};

std::vector<float> gradient_of_repeated(size_t count, double *loss) {
    RepeatedTask repeated = {count};
    lopt_task_ops ops = {};
    ops.struct_size = sizeof ops, ops.num_tensors = 1, ops.counts = &repeated.count;
    ops.init = RepeatedTask::init, ops.loss_grad = RepeatedTask::loss_grad;
    Weights w;
    Task task;
    EXPECT_EQ(lopt_weights_init("param=2,tensor=2,global=2,scales=2,attention=0", 5, &w.p), LOPT_OK) << lopt_last_error();
    EXPECT_EQ(lopt_task_from_ops(&ops, &repeated, &task.p), LOPT_OK) << lopt_last_error();
    lopt_unroll_options o = LOPT_UNROLL_OPTIONS_INIT;
    o.steps = 3;
    o.second_derivatives = 0;
    o.init_lr_min = o.init_lr_max = 1e-3;
    std::vector<float> gradient(lopt_weights_count(w.p));
    EXPECT_EQ(lopt_meta_gradient(w.p, task.p, &o, loss, gradient.data()), LOPT_OK) << lopt_last_error();
    return gradient;
}

// All means are the same then, and what they are differentiated through: a sum of floats over so many would not be.
TEST(MetaGradient, IsAsExactForLongTensors) {
    double expected = 0.0, loss = 0.0;
    const std::vector<float> once = gradient_of_repeated(RepeatedTask::period, &expected);
    const std::vector<float> often = gradient_of_repeated(300 * RepeatedTask::period, &loss);
    EXPECT_NEAR(loss, expected, 2e-6 * std::fabs(expected));
    EXPECT_LT(norm_of_difference(often, once), 1.5e-4 * norm(once)); // what is left are the sums of the weights' gradients
}

} // namespace
