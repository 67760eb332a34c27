// The golden steps (made in float64 by others) on the (emulated) GPU: parameters after every step, all state at the end.
#include <filesystem>

#include "tests/cuda/support.h"

namespace {

class CudaGolden : public OnGpu, public ::testing::WithParamInterface<const char *> {};

std::vector<DeviceArray<float>> to_device(const GoldenFile &golden, const std::string &prefix, size_t tensors) {
    std::vector<DeviceArray<float>> v;
    for (size_t i = 0; i < tensors; i++) v.emplace_back(golden.floats(prefix + std::to_string(i)));
    return v;
}

TEST_P(CudaGolden, Agrees) {
    const std::string name = GetParam();
    GoldenFile golden(name + ".safetensors");
    const size_t tensors = size_t(golden.number("tensors")), steps = size_t(golden.number("steps"));
    Weights w;
    ASSERT_EQ(lopt_weights_load(golden_path(name + ".weights.safetensors").c_str(), &w.p), LOPT_OK) << lopt_last_error();
    auto params = to_device(golden, "theta0.", tensors), truth = to_device(golden, "theta0.", tensors);
    const std::vector<float *> p = DeviceModel<>::pointers(params), t = DeviceModel<>::pointers(truth);
    std::vector<size_t> counts;
    for (auto &x : params) counts.push_back(x.n);
    Optimizer opt; // after the parameters, and so gone before them
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    o.device = "cuda";
    o.init_lr_min = o.init_lr_max = golden.number("init_lr");
    o.lr_scale = golden.number("lr_scale");
    o.weight_decay = golden.number("weight_decay");
    ASSERT_EQ(lopt_optimizer_create(w.p, &o, tensors, counts.data(), p.data(), nullptr, &opt.p), LOPT_OK) << lopt_last_error();
    const std::string state = golden_path(name + ".state.safetensors");
    if (std::filesystem::exists(state)) {
        ASSERT_EQ(lopt_optimizer_load(opt.p, state.c_str()), LOPT_OK) << lopt_last_error();
    }
    for (size_t k = 0; k < steps; k++) {
        auto grads = to_device(golden, "grad." + std::to_string(k) + ".", tensors);
        const std::vector<float *> g = DeviceModel<>::pointers(grads);
        ASSERT_EQ(lopt_optimizer_step(opt.p, p.data(), g.data(), nullptr), LOPT_OK) << lopt_last_error();
        ASSERT_EQ(lopt_optimizer_true_params(opt.p, t.data(), nullptr), LOPT_OK) << lopt_last_error();
        for (size_t i = 0; i < tensors; i++) {
            const std::string at = std::to_string(k) + "." + std::to_string(i);
            expect_close(truth[i].read(), golden.floats("theta." + at), name + " theta." + at);
            expect_close(params[i].read(), golden.floats("attended." + at), name + " attended." + at);
        }
    }
    ScratchDir dir;
    ASSERT_EQ(lopt_optimizer_save(opt.p, (dir / "state").c_str()), LOPT_OK) << lopt_last_error();
    expect_golden_state(golden, dir / "state", name);
}
INSTANTIATE_TEST_SUITE_P(Files, CudaGolden, GOLDEN_STEPS);

} // namespace
