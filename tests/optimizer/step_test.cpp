// What a step promises beyond its formulas: threads, resting tensors, non-finite gradients, scaling, 16-bit numbers, swapping.
#ifdef _OPENMP
#include <omp.h>
#endif
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "tests/optimizer/support.h"

extern "C" {
#include "kernels/cell/half.h"
}

namespace {

bool same_bits(const std::vector<float> &a, const std::vector<float> &b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

#ifdef _OPENMP
TEST(Step, SameBitsForAnyNumberOfThreads) {
    const int before = omp_get_max_threads();
    std::vector<std::vector<std::vector<float>>> results;
    for (int threads : {1, 2, 3, 8}) {
        omp_set_num_threads(threads);
        Model m({1, 300000, 5, 8192, 4097, 270000, 17});
        ASSERT_EQ(m.create(), LOPT_OK);
        m.run(0, 3);
        results.push_back(m.params);
        results.push_back(m.true_params());
    }
    omp_set_num_threads(before);
    for (size_t i = 2; i < results.size(); i++) EXPECT_EQ(results[i], results[i % 2]) << i;
}
#endif

#ifdef __x86_64__
// Programs may have subnormals read as 0 (-ffast-math sets that at the start, torch.set_flush_denormal on demand), and the threads that share the
// work may be from before: neither may decide about bits.
TEST(Step, SameBitsWhateverTheProgramDoesWithSubnormals) {
    const size_t n = 20000;
    for (const char *type : {"fp32", "fp16"}) {
        std::vector<std::vector<float>> results;
        for (unsigned mode : {0u, 0x8040u}) {
            Model m({n});
            std::vector<uint16_t> halves(n), grads(n);
            for (size_t i = 0; i < n; i++) {
                m.params[0][i] = i % 3 ? 1e-39f * float(i % 7) : 0.5f;
                halves[i] = uint16_t(i % 2048); // half of them subnormal
                grads[i] = uint16_t(i % 1000);
                m.grads[0][i] = i % 5 ? 1e-40f : 1e-3f;
            }
            const bool fp16 = strcmp(type, "fp16") == 0;
            lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
            o.param_dtype = o.grad_dtype = type;
            if (!fp16) o.lr_scale = 1e-30;
            float *const params = fp16 ? reinterpret_cast<float *>(halves.data()) : m.params[0].data();
            const float *const g = fp16 ? reinterpret_cast<const float *>(grads.data()) : m.grads[0].data();
            std::vector<float> theta(n);
            float *const out = theta.data();
            const unsigned before = _mm_getcsr();
            _mm_setcsr(before | mode);
            lopt_status status = lopt_optimizer_create(m.weights.p, &o, 1, &n, &params, nullptr, &m.opt.p);
            for (int t = 0; t < 3 && status == LOPT_OK; t++) status = lopt_optimizer_step(m.opt.p, &params, &g, nullptr);
            if (status == LOPT_OK) status = lopt_optimizer_true_params(m.opt.p, &out, nullptr);
            const unsigned after = _mm_getcsr();
            _mm_setcsr(before);
            ASSERT_EQ(status, LOPT_OK) << lopt_last_error();
            EXPECT_EQ((after ^ before) & 0x8040u, mode) << "the program's mode was not put back";
            results.push_back(theta);
            results.push_back(m.params[0]);
            results.emplace_back(halves.begin(), halves.end());
        }
        for (size_t i = 0; i < 3; i++) EXPECT_TRUE(same_bits(results[i], results[i + 3])) << type << ", " << i;
    }
}
#endif

// One tensor of three is left out in some steps: as if the model did not have it then.
TEST(Step, RestingTensorsAreLeftAloneAndOutOfTheMeans) {
    Model all({50, 30, 7}), two({50, 7});
    for (size_t j = 0; j < 7; j++) two.params[1][j] = all.params[2][j];
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    o.init_lr_min = o.init_lr_max = 1e-3; // the draws differ with the tensors' numbers
    ASSERT_EQ(all.create(&o), LOPT_OK);
    ASSERT_EQ(two.create(&o), LOPT_OK);
    const std::vector<float> resting = all.params[1];
    for (uint64_t t = 0; t < 4; t++) {
        all.gradients(t);
        two.gradients(t);
        two.grads[1] = all.grads[2];
        ASSERT_EQ(all.step({false, true, false}), LOPT_OK);
        ASSERT_EQ(two.step(), LOPT_OK);
        EXPECT_EQ(all.params[0], two.params[0]) << t;
        EXPECT_EQ(all.params[2], two.params[1]) << t;
        EXPECT_EQ(all.params[1], resting);
    }
    all.gradients(9);
    ASSERT_EQ(all.step(), LOPT_OK);
    EXPECT_NE(all.params[1], resting);
    for (float x : all.params[1]) EXPECT_TRUE(std::isfinite(x));
}

TEST(Step, FirstStepOfATensorThatRestedIsAFirstStep) {
    // mean over one tensor is that tensor, whoever rested before: the late one begins as it would have at once
    Model late({20, 20}, nullptr, 5), at_once({20, 20}, nullptr, 5);
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    o.init_lr_min = o.init_lr_max = 1e-3;
    ASSERT_EQ(late.create(&o), LOPT_OK);
    ASSERT_EQ(at_once.create(&o), LOPT_OK);
    late.gradients(0);
    at_once.gradients(0);
    // with zero weights from the global RNN, nothing but the first-step rule could make a difference
    ASSERT_EQ(at_once.step({true, false}), LOPT_OK);
    ScratchDir dir;
    ASSERT_EQ(lopt_optimizer_save(at_once.opt.p, (dir / "s").c_str()), LOPT_OK);
    ASSERT_EQ(late.step({false, true}), LOPT_OK);
    ASSERT_EQ(late.step({true, false}), LOPT_OK);
    // gradient averages after a first step are the gradients themselves: decays 0
    ASSERT_EQ(lopt_optimizer_save(late.opt.p, (dir / "l").c_str()), LOPT_OK);
    for (const char *name : {"s", "l"}) {
        safetensors_file *f = nullptr;
        ASSERT_EQ(safetensors_open((dir / name).c_str(), &f), LOPT_OK);
        const safetensors_tensor average = {"gradient_average.1", SAFETENSORS_F32, 2, {4, 20}};
        const void *data = nullptr;
        ASSERT_EQ(safetensors_data(f, &average, &data), LOPT_OK) << lopt_last_error();
        std::vector<float> got(80);
        std::memcpy(got.data(), data, 320);
        safetensors_close(f);
        for (size_t j = 0; j < 80; j++) EXPECT_EQ(got[j], late.grads[1][j % 20]) << name << j;
    }
}

TEST(Step, AllRestingChangesNothing) {
    Model m({5, 6});
    ASSERT_EQ(m.create(), LOPT_OK);
    m.run(0, 2);
    const auto before = m.params, truth = m.true_params();
    ASSERT_EQ(m.step({true, true}), LOPT_OK);
    EXPECT_EQ(m.params, before);
    EXPECT_EQ(m.true_params(), truth);
}

TEST(Step, NonFiniteGradientsSkipTheStep) {
    for (float bad : {NAN, INFINITY, -INFINITY, 2e18f, -3e38f}) {
        for (size_t place : {size_t(0), size_t(4999)}) {
            Model m({10, 5000}), clean({10, 5000});
            ASSERT_EQ(m.create(), LOPT_OK);
            ASSERT_EQ(clean.create(), LOPT_OK);
            m.run(0, 2);
            clean.run(0, 2);
            const auto before = m.params;
            m.gradients(2);
            m.grads[1][place] = bad;
            ASSERT_EQ(m.step(), LOPT_OK);
            EXPECT_EQ(m.params, before);
            EXPECT_EQ(lopt_optimizer_skipped(m.opt.p), 1u);
            m.run(3, 5);
            clean.run(3, 5);
            EXPECT_EQ(m.params, clean.params) << bad; // neither parameters nor state had changed
        }
    }
    Model big({100});
    ASSERT_EQ(big.create(), LOPT_OK);
    big.gradients(0);
    big.grads[0][5] = 9e17f; // large, but allowed
    ASSERT_EQ(big.step(), LOPT_OK);
    EXPECT_EQ(lopt_optimizer_skipped(big.opt.p), 0u);
    for (float x : big.params[0]) EXPECT_TRUE(std::isfinite(x));
}

TEST(Step, NonFiniteEntriesReadAsZeroWhenAsked) {
    Model m({10, 5000}), zeros({10, 5000});
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    o.nonfinite = "zero";
    ASSERT_EQ(m.create(&o), LOPT_OK);
    ASSERT_EQ(zeros.create(), LOPT_OK);
    for (uint64_t t = 0; t < 3; t++) {
        m.gradients(t);
        zeros.gradients(t);
        m.grads[1][7] = NAN, m.grads[1][4999] = -INFINITY, m.grads[0][t] = 1.1e18f;
        zeros.grads[1][7] = zeros.grads[1][4999] = zeros.grads[0][t] = 0.0f;
        ASSERT_EQ(m.step(), LOPT_OK);
        ASSERT_EQ(zeros.step(), LOPT_OK);
    }
    EXPECT_EQ(m.params, zeros.params);
    EXPECT_EQ(lopt_optimizer_skipped(m.opt.p), 0u);
}

TEST(Step, GradientScaleDividesAndFoundInfSkips) {
    Model m({10, 5000}), plain({10, 5000});
    float scale = 1024.0f, found = 0.0f;
    ASSERT_EQ(m.create(), LOPT_OK);
    ASSERT_EQ(plain.create(), LOPT_OK);
    ASSERT_EQ(lopt_optimizer_set_scaler(m.opt.p, &scale, &found), LOPT_OK);
    for (uint64_t t = 0; t < 4; t++) {
        m.gradients(t);
        plain.gradients(t);
        for (auto &g : m.grads)
            for (float &x : g) x *= scale;
        if (t == 2) {
            const auto before = m.params;
            found = 1.0f;
            ASSERT_EQ(m.step(), LOPT_OK);
            EXPECT_EQ(m.params, before);
            found = 0.0f;
        }
        ASSERT_EQ(m.step(), LOPT_OK);
        ASSERT_EQ(plain.step(), LOPT_OK);
        scale *= 2;
    }
    EXPECT_EQ(m.params, plain.params);
    EXPECT_EQ(lopt_optimizer_skipped(m.opt.p), 1u);
    // without found_inf lopt looks itself, after the division
    ASSERT_EQ(lopt_optimizer_set_scaler(m.opt.p, &scale, nullptr), LOPT_OK);
    scale = 0.0f;
    ASSERT_EQ(m.step(), LOPT_OK);
    EXPECT_EQ(lopt_optimizer_skipped(m.opt.p), 2u);
}

struct HalfCase {
    const char *params, *grads, *options;
};
class Halves : public ::testing::TestWithParam<HalfCase> {};

// 16-bit buffers are the fp32 run's, rounded: true parameters stay fp32 inside.
TEST_P(Halves, FollowTheFloatRun) {
    const HalfCase c = GetParam();
    const bool bf_params = !std::strcmp(c.params, "bf16"), bf_grads = !std::strcmp(c.grads, "bf16");
    auto to_params = [&](float x) { return bf_params ? float_to_bf16(x) : float_to_fp16(x); };
    auto to_grads = [&](float x) { return bf_grads ? float_to_bf16(x) : float_to_fp16(x); };
    Model m({33, 5000}, c.options);
    std::vector<std::vector<uint16_t>> params, grads(2);
    std::vector<float *> p;
    for (size_t i = 0; i < 2; i++) {
        params.emplace_back();
        for (float &x : m.params[i]) {
            params[i].push_back(to_params(x));
            x = bf_params ? bf16_to_float(params[i].back()) : fp16_to_float(params[i].back());
        }
        p.push_back(reinterpret_cast<float *>(params[i].data()));
    }
    ASSERT_EQ(m.create(), LOPT_OK);
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    o.param_dtype = c.params;
    o.grad_dtype = c.grads;
    Optimizer half;
    ASSERT_EQ(lopt_optimizer_create(m.weights.p, &o, 2, m.counts.data(), p.data(), nullptr, &half.p), LOPT_OK) << lopt_last_error();
    for (uint64_t t = 0; t < 4; t++) {
        m.gradients(t);
        std::vector<const float *> g;
        for (size_t i = 0; i < 2; i++) {
            grads[i].clear();
            for (float &x : m.grads[i]) {
                grads[i].push_back(to_grads(x));
                x = bf_grads ? bf16_to_float(grads[i].back()) : fp16_to_float(grads[i].back());
            }
            g.push_back(reinterpret_cast<const float *>(grads[i].data()));
        }
        ASSERT_EQ(m.step(), LOPT_OK);
        ASSERT_EQ(lopt_optimizer_step(half.p, p.data(), g.data(), nullptr), LOPT_OK) << lopt_last_error();
        for (size_t i = 0; i < 2; i++)
            for (size_t j = 0; j < m.counts[i]; j++)
                ASSERT_EQ(params[i][j], to_params(m.params[i][j])) << t << " " << i << " " << j;
    }
    auto truth = m.true_params(), got = truth;
    ASSERT_EQ(lopt_optimizer_true_params(half.p, Model::pointers(got).data(), nullptr), LOPT_OK);
    EXPECT_EQ(got, truth);
    // swap shows the true parameters, rounded, and gives the attended ones back
    const auto attended = params;
    ASSERT_EQ(lopt_optimizer_swap(half.p, p.data(), nullptr), LOPT_OK);
    for (size_t j = 0; j < 5000; j++) ASSERT_EQ(params[1][j], to_params(truth[1][j]));
    ASSERT_EQ(lopt_optimizer_swap(half.p, p.data(), nullptr), LOPT_OK);
    EXPECT_EQ(params, attended);
}
INSTANTIATE_TEST_SUITE_P(All, Halves,
                         ::testing::Values(HalfCase{"bf16", "bf16", nullptr}, HalfCase{"fp16", "fp16", nullptr},
                                           HalfCase{"bf16", "fp16", "attention=0"}, HalfCase{"fp16", "bf16", "attention=0"}));

TEST(Step, SwapExchangesAndBlocksSteps) {
    Model m({40, 4100});
    ASSERT_EQ(m.create(), LOPT_OK);
    m.run(0, 3);
    const auto attended = m.params, truth = m.true_params();
    EXPECT_NE(attended, truth);
    const size_t bytes = lopt_optimizer_memory(m.opt.p);
    ASSERT_EQ(m.swap(), LOPT_OK);
    EXPECT_EQ(m.params, truth);
    EXPECT_EQ(m.true_params(), truth);
    EXPECT_EQ(m.step(), LOPT_ERR_ARGUMENT);
    EXPECT_NE(std::string(lopt_last_error()).find("swap"), std::string::npos);
    ASSERT_EQ(m.swap(), LOPT_OK);
    EXPECT_EQ(m.params, attended);
    EXPECT_EQ(lopt_optimizer_memory(m.opt.p), bytes);
    Model same({40, 4100});
    ASSERT_EQ(same.create(), LOPT_OK);
    same.run(0, 5);
    m.run(3, 5);
    EXPECT_EQ(m.params, same.params);
}

TEST(Step, SetParamsReplacesTrueAndAttended) {
    Model m({40});
    ASSERT_EQ(m.create(), LOPT_OK);
    m.run(0, 2);
    for (float &x : m.params[0]) x = 5.0f;
    const auto mine = m.params;
    ASSERT_EQ(lopt_optimizer_set_params(m.opt.p, Model::pointers(m.params).data(), nullptr), LOPT_OK);
    EXPECT_EQ(m.true_params(), mine);
    ASSERT_EQ(m.swap(), LOPT_OK);
    EXPECT_EQ(m.params, mine);
    ASSERT_EQ(m.swap(), LOPT_OK);
    EXPECT_EQ(m.params, mine);
}

TEST(Step, RatesScaleTheUpdateAndDecayIsDecoupled) {
    Model plain({40}, "attention=0"), half({40}, "attention=0"), decayed({40}, "attention=0");
    ASSERT_EQ(plain.create(), LOPT_OK);
    ASSERT_EQ(half.create(), LOPT_OK);
    ASSERT_EQ(decayed.create(), LOPT_OK);
    ASSERT_EQ(lopt_optimizer_set_rates(half.opt.p, 0.5, 0.0, nullptr), LOPT_OK);
    ASSERT_EQ(lopt_optimizer_set_rates(decayed.opt.p, 1.0, 0.01, nullptr), LOPT_OK);
    const std::vector<float> start = plain.params[0];
    plain.run(0, 1);
    half.run(0, 1);
    decayed.run(0, 1);
    for (size_t j = 0; j < 40; j++) {
        EXPECT_NEAR(half.params[0][j] - start[j], 0.5 * (plain.params[0][j] - start[j]), 1e-6 * (1 + std::fabs(start[j])));
        EXPECT_NEAR(decayed.params[0][j], plain.params[0][j] - 0.01 * start[j], 1e-6 * (1 + std::fabs(start[j])));
    }
    ASSERT_EQ(lopt_optimizer_set_rates(half.opt.p, 0.0, 0.5, nullptr), LOPT_OK);
    const auto frozen = half.params;
    half.run(1, 2);
    EXPECT_EQ(half.params, frozen);
}

TEST(Step, MemoryIsAsDocumented) {
    const size_t n = 4000000;
    for (const char *options : {"attention=1", "attention=0"}) {
        Model one({n}, options), many(std::vector<size_t>(16, n / 16), options);
        ASSERT_EQ(one.create(), LOPT_OK);
        ASSERT_EQ(many.create(), LOPT_OK);
        const double own = double(lopt_optimizer_memory(one.opt.p)) / n, shared = double(lopt_optimizer_memory(many.opt.p)) / n;
        EXPECT_LE(own, options[10] == '1' ? 84.3 : 80.3); // 84 and what does not grow with n
        EXPECT_LE(shared, options[10] == '1' ? 81.4 : 80.3);
        EXPECT_GE(shared, 80.0);
    }
}

} // namespace
