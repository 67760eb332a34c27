// The guard on a GPU: what it does on the CPU, in steps and in state files.
#include "tests/cuda/support.h"
#include "tests/support/guard_file.h"
#include "tests/support/rising_rates.h"

namespace {

lopt_optimizer_options with_guard(const char *device, const char *state) {
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    o.init_lr_min = o.init_lr_max = 1e-3;
    o.device = device;
    o.state_dtype = state;
    o.guard = "on";
    return o;
}

struct CudaGuard : OnGpu {
    ScratchDir dir;
    const std::string path = dir / "s";
    const std::vector<size_t> sizes = {1, 40, 300}; // tensor cores are slow to emulate
};

TEST_F(CudaGuard, LiftsAsOnTheCpu) {
    Model cpu(sizes, "attention=0"), source(sizes, "attention=0");
    for (Model *m : {&cpu, &source}) raise_rates(m->weights.p, -0.12f);
    DeviceModel<> gpu(source);
    const lopt_optimizer_options o = with_guard("cpu", nullptr);
    ASSERT_EQ(cpu.create(&o), LOPT_OK);
    ASSERT_EQ(gpu.create(with_guard("cuda", nullptr)), LOPT_OK) << lopt_last_error();
    cpu.run(0, 125);
    gpu.run(0, 125);
    EXPECT_LT(distance(gpu.read(), cpu.params), 1.0);
    const std::vector<float> guard = state_of(gpu.opt.p)["guard"], want = state_of(cpu.opt.p)["guard"];
    for (size_t i = 0; i < guard.size(); i++) EXPECT_NEAR(guard[i], want[i], 1e-4 * want[i]) << i;
    for (size_t i = 0; i < sizes.size(); i++)
        EXPECT_GT(guard[GUARD_STATE * i + GUARD_SHIFT], 1.0f) << "it has not lifted tensor " << i;
}

TEST_F(CudaGuard, HoldsAsOnTheCpu) {
    Model cpu(sizes, "attention=1"), source(sizes, "attention=1"), free(sizes, "attention=1");
    for (Model *m : {&cpu, &source, &free}) raise_rates(m->weights.p, 0.06f);
    DeviceModel<> gpu(source);
    const lopt_optimizer_options o = with_guard("cpu", nullptr);
    lopt_optimizer_options off = o;
    off.guard = "off";
    ASSERT_EQ(cpu.create(&o), LOPT_OK);
    ASSERT_EQ(free.create(&off), LOPT_OK);
    ASSERT_EQ(gpu.create(with_guard("cuda", nullptr)), LOPT_OK) << lopt_last_error();
    cpu.run(0, 125);
    free.run(0, 125);
    gpu.run(0, 125);
    EXPECT_LT(distance(gpu.true_params(), cpu.true_params()), 1.0);
    EXPECT_LT(distance(gpu.read(), cpu.params), 1.0) << "attended";
    EXPECT_GT(distance(free.true_params(), cpu.true_params()), 100.0) << "it has not held anything";
    expect_close_states(gpu.opt.p, cpu.opt.p);
    EXPECT_EQ(state_of(gpu.opt.p)["guard"].size(), GUARD_STATE * sizes.size());
    EXPECT_EQ(state_of(gpu.opt.p)["guard"][GUARD_STEPS], 125.0f) << "steps that the first tensor took";
}

// By how much the largest log rate of a tensor is above the bound of the step to come.
float excess(std::map<std::string, std::vector<float>> state, size_t tensor) {
    const std::vector<float> &rates = state["log_lr." + std::to_string(tensor)];
    return *std::max_element(rates.begin(), rates.end()) - guard_log_lr_max(state["guard"].data() + GUARD_STATE * tensor);
}

TEST_F(CudaGuard, LowersSingleRates) {
    for (const char *dtype : {"fp32", "mixed"}) {
        Model cpu(sizes, "attention=0"), source(sizes, "attention=0");
        for (Model *m : {&cpu, &source}) raise_rates(m->weights.p, 0.0f);
        DeviceModel<> gpu(source);
        lopt_optimizer_options on_cpu = with_guard("cpu", nullptr), on_gpu = with_guard("cuda", dtype);
        on_cpu.init_lr_min = on_gpu.init_lr_min = 1e-9; // far apart, and rates stay as they are
        on_cpu.init_lr_max = on_gpu.init_lr_max = 1e-1;
        ASSERT_EQ(cpu.create(&on_cpu), LOPT_OK);
        ASSERT_EQ(gpu.create(on_gpu), LOPT_OK) << lopt_last_error();
        cpu.run(0, 100);
        EXPECT_GT(excess(state_of(cpu.opt.p), 2), 1.0f) << "nothing to lower";
        cpu.run(100, 102);
        gpu.run(0, 102);
        EXPECT_LT(excess(state_of(cpu.opt.p), 2), 0.1f) << "not lowered";
        const double close = dtype == std::string("mixed") ? 1e-2 : 1e-4; // rounded averages tell a little less signal from noise
        for (size_t i = 0; i < sizes.size(); i++)
            EXPECT_NEAR(excess(state_of(gpu.opt.p), i), excess(state_of(cpu.opt.p), i), close) << dtype << i;
    }
}

TEST_F(CudaGuard, PassesIntoTheRates) {
    for (const char *dtype : {"fp32", "mixed"})
        for (const char *shape : {"attention=0", "attention=1"}) {
            Model m({5, 70}, shape);
            raise_rates(m.weights.p, 0.1f);
            DeviceModel<> gpu(m);
            ASSERT_EQ(gpu.create(with_guard("cuda", dtype)), LOPT_OK) << lopt_last_error();
            gpu.run(0, 130);
            State before = state_of(gpu.opt.p);
            gpu.run(130, 131);
            State after = state_of(gpu.opt.p);
            for (size_t i = 0; i < 2; i++) {
                const float shift = before["guard"][GUARD_STATE * i + GUARD_SHIFT];
                EXPECT_LT(shift, -1.0f);
                const std::string name = "log_lr." + std::to_string(i);
                for (size_t j = 0; j < before[name].size(); j++)
                    EXPECT_NEAR(after[name][j], before[name][j] + 0.1f + 0.002f * shift, 1e-5f) << dtype << shape << i;
            }
            gpu.host.gradients(131);
            gpu.write_grads();
            ASSERT_EQ(gpu.step({false, true}), LOPT_OK);
            State rested = state_of(gpu.opt.p);
            EXPECT_EQ(rested["log_lr.1"], after["log_lr.1"]) << "rested";
            EXPECT_EQ(rested["guard"][GUARD_STATE + GUARD_SHIFT], after["guard"][GUARD_STATE + GUARD_SHIFT]);
            EXPECT_NE(rested["log_lr.0"], after["log_lr.0"]);
        }
}

TEST_F(CudaGuard, HandsOverAsOnTheCpu) {
    for (const char *dtype : {"fp32", "mixed"})
        for (const char *shape : {"attention=0", "attention=1"}) {
            Model cpu({5, 70}, shape), young({5, 70}, shape), source({5, 70}, shape);
            const lopt_optimizer_options o = with_guard("cpu", nullptr);
            for (Model *m : {&cpu, &young}) ASSERT_EQ(m->create(&o), LOPT_OK);
            cpu.run(0, 20);
            young.run(0, 60);
            ASSERT_EQ(lopt_optimizer_save(cpu.opt.p, path.c_str()), LOPT_OK) << lopt_last_error();
            write_file(path, guard_aged(read_file(path), 5000.0f, 2));
            source.params = cpu.params;
            DeviceModel<> gpu(source);
            ASSERT_EQ(gpu.create(with_guard("cuda", dtype)), LOPT_OK) << lopt_last_error();
            for (lopt_optimizer *opt : {cpu.opt.p, gpu.opt.p})
                ASSERT_EQ(lopt_optimizer_load(opt, path.c_str()), LOPT_OK) << lopt_last_error();
            cpu.run(20, 60);
            gpu.run(20, 60);
            const double close = dtype == std::string("mixed") ? 1.0 : 0.01;
            EXPECT_LT(distance(gpu.true_params(), cpu.true_params()), close) << dtype << shape;
            EXPECT_LT(distance(gpu.read(), cpu.params), close) << dtype << shape << ", attended";
            EXPECT_GT(distance(young.true_params(), cpu.true_params()), 10.0) << "it has not handed over anything";
            EXPECT_EQ(state_of(gpu.opt.p)["guard"][GUARD_STEPS], 5040.0f);
        }
}

TEST_F(CudaGuard, GoesOnWithTheSameBits) {
    Model a(sizes, "attention=0"), b(sizes, "attention=0"), c(sizes, "attention=0");
    for (Model *m : {&a, &b, &c}) raise_rates(m->weights.p, 0.06f);
    DeviceModel<> whole(a), first(b), second(c);
    ASSERT_EQ(whole.create(with_guard("cuda", "mixed")), LOPT_OK);
    ASSERT_EQ(first.create(with_guard("cuda", "mixed")), LOPT_OK);
    whole.run(0, 125);
    first.run(0, 110);
    ASSERT_EQ(lopt_optimizer_save(first.opt.p, path.c_str()), LOPT_OK) << lopt_last_error();
    c.params = first.read();
    ASSERT_EQ(second.create(with_guard("cuda", "mixed")), LOPT_OK);
    ASSERT_EQ(lopt_optimizer_load(second.opt.p, path.c_str()), LOPT_OK) << lopt_last_error();
    second.run(110, 125);
    EXPECT_EQ(second.read(), whole.read());
}

TEST_F(CudaGuard, DoesNotCountStepsThatAreSkippedOrRested) {
    Model m(sizes, "attention=0");
    DeviceModel<> gpu(m);
    ASSERT_EQ(gpu.create(with_guard("cuda", nullptr)), LOPT_OK);
    gpu.run(0, 2);
    m.gradients(2);
    m.grads[1][0] = INFINITY;
    gpu.write_grads();
    ASSERT_EQ(gpu.step(), LOPT_OK);
    m.gradients(3);
    gpu.write_grads();
    ASSERT_EQ(gpu.step({true, false, false}), LOPT_OK);
    const std::vector<float> guard = state_of(gpu.opt.p)["guard"];
    EXPECT_EQ(guard[GUARD_STEPS], 2.0f);
    EXPECT_EQ(guard[GUARD_STATE + GUARD_STEPS], 3.0f);
}

} // namespace
