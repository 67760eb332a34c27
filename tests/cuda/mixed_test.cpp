// state_dtype "mixed": fp16 hidden states and bf16 averages against fp32; half the memory, the same descent.
#include "tests/cuda/support.h"

namespace {

struct Mixed : OnGpu {
    lopt_optimizer_options options() {
        lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
        o.state_dtype = "mixed";
        return o;
    }
};

// |got - want| / |want - start| over all parameters.
double relative_error(const std::vector<std::vector<float>> &got, const std::vector<std::vector<float>> &want,
                      const std::vector<std::vector<float>> &start) {
    double error = 0.0, moved = 0.0;
    for (size_t i = 0; i < want.size(); i++)
        for (size_t j = 0; j < want[i].size(); j++) {
            error += std::pow(double(got[i][j]) - double(want[i][j]), 2);
            moved += std::pow(double(want[i][j]) - double(start[i][j]), 2);
        }
    return std::sqrt(error / moved);
}

TEST_F(Mixed, FollowsFp32) {
    for (const char *weights :
         {"attention=1", "attention=0", "param=7,scales=3,tensor=9", "param=7,scales=3,tensor=9,attention=0"}) {
        Model cpu({1, 31, 33, 5000, 64}, weights), source({1, 31, 33, 5000, 64}, weights);
        const auto start = cpu.params;
        DeviceModel<> gpu(source);
        ASSERT_EQ(cpu.create(), LOPT_OK);
        ASSERT_EQ(gpu.create(options()), LOPT_OK) << lopt_last_error();
        for (uint64_t t = 0; t < 12; t++) {
            cpu.run(t, t + 1);
            gpu.run(t, t + 1);
        }
        const double error = relative_error(gpu.true_params(), cpu.true_params(), start);
        EXPECT_LT(error, 1e-2) << weights;
        EXPECT_GT(error, 1e-7) << weights << ": this was fp32";
    }
}

TEST_F(Mixed, SameBitsForAnyNumberOfBlocksAnyOrderAndAfterResuming) {
    const std::vector<size_t> sizes = {1, 31, 12000, 33, 4097};
    std::vector<std::vector<std::vector<float>>> results;
    ScratchDir dir;
    const std::vector<std::pair<unsigned, uint64_t>> machines = {{1, 0}, {2, 3}, {1000, 7}};
    for (auto [multiprocessors, schedule] : machines) {
        Model a(sizes), b(sizes);
        DeviceModel<> first(a), second(b);
        emulation::machine.multiprocessors = multiprocessors;
        emulation::schedule = schedule;
        ASSERT_EQ(first.create(options()), LOPT_OK);
        first.run(0, 2);
        ASSERT_EQ(lopt_optimizer_save(first.opt.p, (dir / "s").c_str()), LOPT_OK) << lopt_last_error();
        b.params = first.read();
        ASSERT_EQ(second.create(options()), LOPT_OK);
        ASSERT_EQ(lopt_optimizer_load(second.opt.p, (dir / "s").c_str()), LOPT_OK) << lopt_last_error();
        first.run(2, 4);
        second.run(2, 4);
        results.push_back(first.read());
        results.push_back(second.read());
    }
    for (size_t i = 1; i < results.size(); i++) EXPECT_EQ(results[i], results[0]) << i;
}

// A badly scaled quadratic, 0.5 sum c_i x_i^2, as far as it goes in a thousand steps.
double descend(const lopt_optimizer_options &o, const char *weights, double *first) {
    const size_t n = 100;
    Model source({n});
    Weights shipped;
    EXPECT_EQ(lopt_weights_load(weights, &shipped.p), LOPT_OK) << lopt_last_error();
    std::swap(shipped.p, source.weights.p);
    for (size_t j = 0; j < n; j++) source.params[0][j] = noise(5, 0, j) * 0.01f + 1.0f;
    DeviceModel<> gpu(source);
    EXPECT_EQ(gpu.create(o), LOPT_OK) << lopt_last_error();
    double loss = 0.0;
    for (int t = 0; t <= 1000; t++) {
        const std::vector<float> x = gpu.read()[0];
        loss = 0.0;
        for (size_t j = 0; j < n; j++) {
            const float c = std::pow(10.0f, float(j % 4) - 2.0f);
            loss += 0.5 * double(c) * double(x[j]) * double(x[j]);
            source.grads[0][j] = c * x[j];
        }
        if (t == 0) *first = loss;
        gpu.write_grads();
        EXPECT_EQ(gpu.step(), LOPT_OK);
    }
    return loss;
}

TEST_F(Mixed, DescendsAsFp32DoesOverAThousandSteps) {
#ifdef LOPT_SANITIZE_ADDRESS
    GTEST_SKIP() << "long, on code that shorter tests go through";
#endif
    const char *weights = LOPT_SOURCE_DIR "/weights/hrnn-10-30-20.safetensors";
    double first = 0.0;
    const double fp32 = descend(LOPT_OPTIMIZER_OPTIONS_INIT, weights, &first), mixed = descend(options(), weights, &first);
    EXPECT_LT(fp32, 1e-2 * first);
    EXPECT_LT(mixed, 1e-2 * first);
    EXPECT_LT(std::fabs(std::log(mixed / first) / std::log(fp32 / first) - 1), 0.15) << first << " to " << fp32 << " and " << mixed;
}

TEST_F(Mixed, MemoryIsAsDocumented) {
    const size_t n = 4000000;
    for (const char *type : {"fp32", "bf16"}) {
        Model source({n});
        DeviceModel<> gpu(source);
        lopt_optimizer_options o = options();
        o.param_dtype = type;
        ASSERT_EQ(gpu.create(o), LOPT_OK) << lopt_last_error();
        EXPECT_LE(double(lopt_optimizer_memory(gpu.opt.p)) / n, 48.3) << type;
        EXPECT_GE(double(lopt_optimizer_memory(gpu.opt.p)) / n, 48.0) << type;
    }
}

} // namespace
