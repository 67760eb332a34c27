// A device that is known by gpu_runtime alone, the GPU of this machine or the emulated one, and a model on it.
#pragma once
#include "tests/cuda/support.h"

class OnDevice : public ::testing::TestWithParam<const char *> {
public:
    const gpu_runtime *gpu = nullptr;
    void SetUp() override {
        const bool real = std::string(GetParam()) == "Gpu";
        unsigned multiprocessors = 0;
        emulation::machine = emulation::Machine();
        gpu_runtime_replace(real ? nullptr : emulation::runtime());
        gpu = gpu_runtime_current();
        if (gpu == nullptr) GTEST_SKIP() << "built without CUDA";
        if (gpu->open(0, &multiprocessors) != LOPT_OK) GTEST_SKIP() << lopt_last_error();
    }
    void TearDown() override { gpu_runtime_replace(nullptr); }
    bool real() const { return std::string(GetParam()) == "Gpu"; }
};

// A copy of a host model on the device, with a stream of its own.
struct Rig {
    const gpu_runtime *gpu;
    Model &host;
    void *stream = nullptr;
    std::vector<float *> params, grads;
    Optimizer opt;
    Rig(const gpu_runtime *g, Model &m) : gpu(g), host(m) {
        EXPECT_EQ(gpu->stream_create(0, &stream), LOPT_OK) << lopt_last_error();
        for (size_t n : m.counts) params.push_back(allocate(n)), grads.push_back(allocate(n));
    }
    ~Rig() {
        lopt_optimizer_free(opt.p);
        opt.p = nullptr;
        for (float *p : params) gpu->release(0, p);
        for (float *p : grads) gpu->release(0, p);
        gpu->stream_destroy(0, stream);
    }
    Rig(const Rig &) = delete;
    float *allocate(size_t n) {
        void *p = nullptr;
        EXPECT_EQ(gpu->allocate(0, n * sizeof(float), stream, &p), LOPT_OK) << lopt_last_error();
        return static_cast<float *>(p);
    }
    void write(const std::vector<float *> &to, const std::vector<std::vector<float>> &from) {
        for (size_t i = 0; i < to.size(); i++)
            ASSERT_EQ(gpu->upload(0, to[i], from[i].data(), from[i].size() * sizeof(float), stream), LOPT_OK);
    }
    std::vector<std::vector<float>> read() {
        std::vector<std::vector<float>> out;
        for (size_t i = 0; i < params.size(); i++) {
            out.emplace_back(host.counts[i]);
            EXPECT_EQ(gpu->download(0, out[i].data(), params[i], out[i].size() * sizeof(float), stream), LOPT_OK)
                << lopt_last_error();
        }
        return out;
    }
    lopt_status create(const char *state = nullptr) {
        lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
        o.state_dtype = state;
        o.weight_decay = 0.01;
        return create(o);
    }
    lopt_status create(lopt_optimizer_options o) {
        o.device = "cuda";
        write(params, host.params);
        return lopt_optimizer_create(host.weights.p, &o, params.size(), host.counts.data(), params.data(), stream, &opt.p);
    }
    lopt_status step() { return lopt_optimizer_step(opt.p, params.data(), grads.data(), stream); }
    void run(uint64_t from, uint64_t to) {
        for (uint64_t t = from; t < to; t++) {
            host.gradients(t);
            write(grads, host.grads);
            ASSERT_EQ(step(), LOPT_OK) << lopt_last_error();
        }
    }
};

inline std::string device_name(const ::testing::TestParamInfo<const char *> &i) { return i.param; }
