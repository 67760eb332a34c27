// A model whose parameters and gradients are in the memory of a device, beside tests/optimizer/support.h's on the host. Which GPU that is says
// LOPT_TEST_GPU: unset, the emulated one; "ptx", that of tests/ptx (there this is the default); "cuda", that of the machine.
#pragma once

#include "tests/cuda/emulated_gpu.h"
#include "tests/optimizer/support.h"

extern "C" {
#include "csrc/optimizer/cuda.h"
}

inline std::string gpu_under_test() {
    const char *name = std::getenv("LOPT_TEST_GPU");
    return name ? name : "";
}
inline const gpu_runtime *device() { return gpu_runtime_current(); }

// The optimizers of a test run on the GPU under test; emulated ones are as they are at their start.
struct OnGpu : ::testing::Test {
    OnGpu() { // before the members of those that derive from it
        emulation::machine = emulation::Machine();
        emulation::schedule = 0;
        gpu_runtime_replace(gpu_under_test().empty() ? emulation::runtime() : nullptr);
    }
    void SetUp() override {
        unsigned multiprocessors = 0;
        ASSERT_NE(device(), nullptr) << "built without CUDA";
        ASSERT_EQ(device()->open(0, &multiprocessors), LOPT_OK) << lopt_last_error();
    }
    ~OnGpu() override { gpu_runtime_replace(nullptr); }
};
struct TwoStreams : OnGpu {
    void *a = nullptr, *b = nullptr;
    TwoStreams() {
        for (void **stream : {&a, &b}) EXPECT_EQ(device()->stream_create(0, stream), LOPT_OK) << lopt_last_error();
    }
    ~TwoStreams() override {
        for (void *stream : {a, b}) device()->stream_destroy(0, stream);
    }
};
// For tests of many parameters, which the default cell would make slow.
#define SMALL_CELL "param=2,scales=1,attention=0"
// For tests that turn emulation::machine: it is what the GPU under test goes by.
#define NEEDS_AN_EMULATED_GPU() \
    if (gpu_under_test() == "cuda") GTEST_SKIP() << "what cannot be asked of a real GPU"

// n numbers of a type in a device's memory, `offset` elements from an aligned address.
template <class T> struct DeviceArray {
    void *memory = nullptr;
    size_t n, offset;
    int on;
    explicit DeviceArray(size_t count, int device_number = 0, size_t off = 0) : n(count), offset(off), on(device_number) {
        if (device()->allocate(on, std::max(n + off, size_t(1)) * sizeof(T), nullptr, &memory) != LOPT_OK) throw std::bad_alloc();
    }
    explicit DeviceArray(const std::vector<T> &v) : DeviceArray(v.size()) { write(v); }
    ~DeviceArray() {
        if (memory) device()->release(on, memory);
    }
    DeviceArray(DeviceArray &&other) noexcept : memory(other.memory), n(other.n), offset(other.offset), on(other.on) {
        other.memory = nullptr;
    }
    DeviceArray(const DeviceArray &) = delete;
    T *data() const { return static_cast<T *>(memory) + offset; }
    // Both after all that the device has been given before.
    void write(const std::vector<T> &v) {
        EXPECT_EQ(device()->wait(on), LOPT_OK) << lopt_last_error();
        EXPECT_EQ(device()->upload(on, data(), v.data(), n * sizeof(T), nullptr), LOPT_OK) << lopt_last_error();
    }
    std::vector<T> read() const {
        std::vector<T> v(n);
        EXPECT_EQ(device()->wait(on), LOPT_OK) << lopt_last_error();
        EXPECT_EQ(device()->download(on, v.data(), data(), n * sizeof(T), nullptr), LOPT_OK) << lopt_last_error();
        return v;
    }
};

// A copy of a host model on the device. `make` numbers of type T from float and back, for 16-bit parameters and gradients.
template <class P = float, class G = float> struct DeviceModel {
    Model &host; // weights, sizes, and the gradients of each step
    std::vector<DeviceArray<P>> params;
    std::vector<DeviceArray<G>> grads;
    Optimizer opt;
    void *stream = nullptr;
    int fused = -1; // 1: steps are one launch from phase 1 on; 0: one for each phase; -1: by the model's size
    P (*to_param)(float) = [](float x) { return P(x); };
    G (*to_grad)(float) = [](float x) { return G(x); };

    explicit DeviceModel(Model &m, int number = 0, size_t offset = 0) : host(m) {
        for (size_t n : m.counts) params.emplace_back(n, number, offset), grads.emplace_back(n, number, offset);
    }
    ~DeviceModel() { // before the memory that enqueued work still uses
        lopt_optimizer_free(opt.p);
        opt.p = nullptr;
    }
    template <class T> static std::vector<float *> pointers(const std::vector<DeviceArray<T>> &v) {
        std::vector<float *> p;
        for (auto &x : v) p.push_back(reinterpret_cast<float *>(x.data()));
        return p;
    }
    void write_params() {
        for (size_t i = 0; i < params.size(); i++) {
            std::vector<P> v;
            for (float x : host.params[i]) v.push_back(to_param(x));
            params[i].write(v);
        }
    }
    void write_grads() {
        for (size_t i = 0; i < grads.size(); i++) {
            std::vector<G> v;
            for (float x : host.grads[i]) v.push_back(to_grad(x));
            grads[i].write(v);
        }
    }
    lopt_status create(lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT) {
        lopt_optimizer_free(opt.p);
        opt.p = nullptr;
        if (!o.device) o.device = "cuda";
        write_params();
        const lopt_status status = lopt_optimizer_create(host.weights.p, &o, host.counts.size(), host.counts.data(),
                                                         pointers(params).data(), stream, &opt.p);
        if (status == LOPT_OK && fused >= 0) cuda_set_fused(opt.p, fused);
        return status;
    }
    lopt_status step(const std::vector<bool> &resting = {}) {
        std::vector<float *> p = pointers(params);
        std::vector<const float *> g;
        for (size_t i = 0; i < grads.size(); i++)
            g.push_back(i < resting.size() && resting[i] ? nullptr : reinterpret_cast<const float *>(grads[i].data()));
        return lopt_optimizer_step(opt.p, p.data(), g.data(), stream);
    }
    void run(uint64_t from, uint64_t to) {
        for (uint64_t t = from; t < to; t++) {
            host.gradients(t);
            write_grads();
            ASSERT_EQ(step(), LOPT_OK) << lopt_last_error();
        }
    }
    std::vector<std::vector<P>> read() {
        std::vector<std::vector<P>> out;
        for (auto &p : params) out.push_back(p.read());
        return out;
    }
    std::vector<std::vector<float>> true_params() {
        std::vector<DeviceArray<float>> to;
        std::vector<std::vector<float>> out;
        for (size_t n : host.counts) to.emplace_back(n);
        EXPECT_EQ(device()->wait(0), LOPT_OK) << lopt_last_error(); // they are zeroed, and not in the order of `stream`
        EXPECT_EQ(lopt_optimizer_true_params(opt.p, pointers(to).data(), stream), LOPT_OK) << lopt_last_error();
        for (auto &x : to) out.push_back(x.read());
        return out;
    }
    lopt_status swap() { return lopt_optimizer_swap(opt.p, pointers(params).data(), stream); }
};

// What was enqueued on a stream between its two calls, to be run there again.
struct Graph {
    void *stream, *graph = nullptr;
    explicit Graph(void *s) : stream(s) { EXPECT_EQ(device()->capture_begin(0, stream), LOPT_OK) << lopt_last_error(); }
    ~Graph() {
        if (graph) device()->graph_destroy(0, graph);
    }
    void end() { EXPECT_EQ(device()->capture_end(0, stream, &graph), LOPT_OK) << lopt_last_error(); }
    void replay() { EXPECT_EQ(device()->graph_launch(0, graph, stream), LOPT_OK) << lopt_last_error(); }
};

// Largest difference in units of what golden files allow (1: just allowed).
inline double distance(const std::vector<std::vector<float>> &got, const std::vector<std::vector<float>> &want) {
    double worst = 0.0;
    EXPECT_EQ(got.size(), want.size());
    for (size_t i = 0; i < want.size(); i++) {
        double largest = 0.0;
        EXPECT_EQ(got[i].size(), want[i].size());
        for (float x : want[i]) largest = std::fmax(largest, std::fabs(x));
        for (size_t j = 0; j < want[i].size(); j++) {
            const double error = std::fabs(double(got[i][j]) - double(want[i][j]));
            const double allowed = std::fmax(1e-6, 2e-4 * std::fmax(std::fabs(want[i][j]), 0.02 * largest));
            worst = std::fmax(worst, std::isfinite(error) ? error / allowed : 1e30);
        }
    }
    return worst;
}

// All of the state of two optimizers, by way of their state files, as close as golden files must be.
inline void expect_close_states(lopt_optimizer *got, lopt_optimizer *want) {
    ScratchDir dir;
    safetensors_file *a = nullptr, *b = nullptr;
    ASSERT_EQ(lopt_optimizer_save(got, (dir / "a").c_str()), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(lopt_optimizer_save(want, (dir / "b").c_str()), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(safetensors_open((dir / "a").c_str(), &a), LOPT_OK);
    ASSERT_EQ(safetensors_open((dir / "b").c_str(), &b), LOPT_OK);
    for (size_t k = 0; k < safetensors_num_tensors(b); k++) {
        const safetensors_tensor *t = safetensors_tensor_at(b, k);
        const void *x = nullptr, *y = nullptr;
        ASSERT_EQ(safetensors_data(a, t, &x), LOPT_OK) << lopt_last_error();
        ASSERT_EQ(safetensors_data(b, t, &y), LOPT_OK);
        std::vector<float> got_part(safetensors_count(t)), want_part(got_part.size());
        std::memcpy(got_part.data(), x, got_part.size() * sizeof(float));
        std::memcpy(want_part.data(), y, want_part.size() * sizeof(float));
        expect_close(got_part, want_part, t->name);
    }
    safetensors_close(a);
    safetensors_close(b);
}
