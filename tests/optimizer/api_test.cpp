// Bad arguments of the optimizer's calls: one sentence each, nothing changed, nothing lost.
#include "tests/optimizer/support.h"

extern "C" {
#include "kernels/cuda/gpu.h"
}

namespace {

// Why "cuda" cannot be had here with parameters in the host's memory.
lopt_status cuda_refusal() {
    unsigned multiprocessors = 0;
    const gpu_runtime *gpu = gpu_runtime_current();
    if (gpu == nullptr) return LOPT_ERR_UNSUPPORTED;
    return gpu->open(0, &multiprocessors) == LOPT_OK ? LOPT_ERR_ARGUMENT : LOPT_ERR_DEVICE;
}

struct Api : ::testing::Test {
    Model m{{4, 3}};
    std::vector<float *> p = Model::pointers(m.params);
    lopt_optimizer *out = reinterpret_cast<lopt_optimizer *>(0x1);
    lopt_status create(const lopt_optimizer_options &o) {
        lopt_status s = lopt_optimizer_create(m.weights.p, &o, 2, m.counts.data(), p.data(), nullptr, &out);
        EXPECT_EQ(out, reinterpret_cast<lopt_optimizer *>(0x1));
        EXPECT_STRNE(lopt_last_error(), "");
        return s;
    }
};

TEST(DeviceAvailable, TellsWhyNot) {
    EXPECT_EQ(lopt_device_available(nullptr), LOPT_OK);
    EXPECT_EQ(lopt_device_available("cpu"), LOPT_OK);
    EXPECT_EQ(lopt_device_available("tpu"), LOPT_ERR_ARGUMENT);
    const lopt_status cuda = lopt_device_available("cuda");
    EXPECT_EQ(cuda, cuda_refusal() == LOPT_ERR_ARGUMENT ? LOPT_OK : cuda_refusal());
    if (cuda != LOPT_OK) {
        EXPECT_STRNE(lopt_last_error(), "");
    }
}

TEST_F(Api, CreateRefusesBadArguments) {
    const size_t zero[2] = {4, 0}, huge[2] = {SIZE_MAX / 2, SIZE_MAX / 2};
    float *with_null[2] = {p[0], nullptr};
    int word = 0;
    EXPECT_EQ(lopt_optimizer_create(nullptr, nullptr, 2, m.counts.data(), p.data(), nullptr, &out), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_optimizer_create(m.weights.p, nullptr, 0, m.counts.data(), p.data(), nullptr, &out), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_optimizer_create(m.weights.p, nullptr, 2, nullptr, p.data(), nullptr, &out), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_optimizer_create(m.weights.p, nullptr, 2, m.counts.data(), nullptr, nullptr, &out), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_optimizer_create(m.weights.p, nullptr, 2, m.counts.data(), with_null, nullptr, &out), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_optimizer_create(m.weights.p, nullptr, 2, m.counts.data(), p.data(), nullptr, nullptr), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_optimizer_create(m.weights.p, nullptr, 2, m.counts.data(), p.data(), &word, &out), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_optimizer_create(m.weights.p, nullptr, 2, zero, p.data(), nullptr, &out), LOPT_ERR_ARGUMENT);
    EXPECT_NE(std::string(lopt_last_error()).find("tensor 1"), std::string::npos);
    EXPECT_EQ(lopt_optimizer_create(m.weights.p, nullptr, 2, huge, p.data(), nullptr, &out), LOPT_ERR_MEMORY);
    EXPECT_EQ(out, reinterpret_cast<lopt_optimizer *>(0x1));
}

// The cell's minima and maxima would make numbers of them, and updates that look like any others.
TEST_F(Api, CreateRefusesWeightsThatAreNotFinite) {
    for (const float wrong : {NAN, INFINITY, -INFINITY})
        for (const size_t at : {size_t(0), lopt_weights_count(m.weights.p) - 1}) {
            float *w = lopt_weights_data(m.weights.p) + at;
            const float right = *w;
            *w = wrong;
            EXPECT_EQ(lopt_optimizer_create(m.weights.p, nullptr, 2, m.counts.data(), p.data(), nullptr, &out), LOPT_ERR_ARGUMENT);
            EXPECT_NE(std::string(lopt_last_error()).find("not finite"), std::string::npos) << lopt_last_error();
            EXPECT_EQ(out, reinterpret_cast<lopt_optimizer *>(0x1));
            *w = right;
        }
    EXPECT_EQ(m.create(), LOPT_OK) << lopt_last_error();
}

TEST_F(Api, CreateRefusesBadOptions) {
    auto with = [](auto change) {
        lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
        change(o);
        return o;
    };
    EXPECT_EQ(create(with([](auto &o) { o.struct_size = 0; })), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(create(with([](auto &o) { o.device = "cuda"; })), cuda_refusal());
    EXPECT_EQ(create(with([](auto &o) { o.device = "cuda:999"; })), cuda_refusal());
    EXPECT_EQ(create(with([](auto &o) { o.device = "tpu"; })), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(create(with([](auto &o) { o.init_lr_min = NAN; })), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(create(with([](auto &o) { o.init_lr_min = 0; })), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(create(with([](auto &o) { o.init_lr_max = 1e-9; })), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(create(with([](auto &o) { o.init_lr_max = INFINITY; })), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(create(with([](auto &o) { o.lr_scale = -1; })), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(create(with([](auto &o) { o.lr_scale = NAN; })), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(create(with([](auto &o) { o.weight_decay = -0.1; })), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(create(with([](auto &o) { o.state_dtype = "mixed"; })), LOPT_ERR_UNSUPPORTED);
    EXPECT_EQ(create(with([](auto &o) { o.state_dtype = "fp64"; })), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(create(with([](auto &o) { o.param_dtype = "bf61"; })), LOPT_ERR_ARGUMENT);
    EXPECT_NE(std::string(lopt_last_error()).find("\"bf16\""), std::string::npos) << lopt_last_error();
    EXPECT_EQ(create(with([](auto &o) { o.grad_dtype = "float"; })), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(create(with([](auto &o) { o.nonfinite = "ignore"; })), LOPT_ERR_ARGUMENT);
}

TEST_F(Api, OlderAndNewerCallersAreUnderstood) {
    struct Longer {
        lopt_optimizer_options o;
        double later[8];
    } longer = {LOPT_OPTIMIZER_OPTIONS_INIT, {}};
    longer.o.struct_size = sizeof longer;
    out = nullptr;
    EXPECT_EQ(lopt_optimizer_create(m.weights.p, &longer.o, 2, m.counts.data(), p.data(), nullptr, &out), LOPT_OK);
    lopt_optimizer_free(out);
    lopt_optimizer_options older = LOPT_OPTIMIZER_OPTIONS_INIT;
    older.nonfinite = "nonsense"; // beyond what this caller's struct has
    older.struct_size = offsetof(lopt_optimizer_options, nonfinite);
    EXPECT_EQ(lopt_optimizer_create(m.weights.p, &older, 2, m.counts.data(), p.data(), nullptr, &out), LOPT_OK)
        << lopt_last_error();
    lopt_optimizer_free(out);
}

TEST_F(Api, SizesThatCutAFieldAreRefused) {
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    o.device = "cpu";
    for (size_t size = sizeof(size_t); size <= sizeof o; size++) {
        lopt_optimizer *made = nullptr;
        o.struct_size = size;
        const lopt_status status = lopt_optimizer_create(m.weights.p, &o, 2, m.counts.data(), p.data(), nullptr, &made);
        EXPECT_EQ(status, size % alignof(lopt_optimizer_options) ? LOPT_ERR_ARGUMENT : LOPT_OK) << size;
        lopt_optimizer_free(made);
    }
}

TEST_F(Api, OtherCallsRefuseNull) {
    ASSERT_EQ(m.create(), LOPT_OK);
    lopt_optimizer *o = m.opt.p;
    std::vector<const float *> g = {m.grads[0].data(), m.grads[1].data()};
    float *half_params[2] = {p[0], nullptr};
    int word = 0;
    EXPECT_EQ(lopt_optimizer_step(nullptr, p.data(), g.data(), nullptr), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_optimizer_step(o, nullptr, g.data(), nullptr), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_optimizer_step(o, p.data(), nullptr, nullptr), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_optimizer_step(o, half_params, g.data(), nullptr), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_optimizer_step(o, p.data(), g.data(), &word), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_optimizer_true_params(o, half_params, nullptr), LOPT_ERR_ARGUMENT);
    EXPECT_STREQ(lopt_last_error(), "lopt_optimizer_true_params: out[1] is NULL");
    EXPECT_EQ(lopt_optimizer_true_params(nullptr, p.data(), nullptr), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_optimizer_set_params(o, nullptr, nullptr), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_optimizer_swap(o, half_params, nullptr), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_optimizer_set_rates(nullptr, 1, 0, nullptr), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_optimizer_set_rates(o, NAN, 0, nullptr), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_optimizer_set_rates(o, 1, -1, nullptr), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_optimizer_set_scaler(nullptr, nullptr, nullptr), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_optimizer_save(nullptr, "x"), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_optimizer_save(o, nullptr), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_optimizer_load(o, nullptr), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_optimizer_skipped(nullptr), UINT64_MAX);
    EXPECT_EQ(lopt_optimizer_memory(nullptr), 0u);
    lopt_optimizer_free(nullptr);
}

} // namespace
