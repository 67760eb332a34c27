// Streams, devices, and what is refused: the host's side of the cuda device.
#include "kernels/cuda/architecture.h"
#include "tests/cuda/support.h"

namespace {

struct CudaStream : TwoStreams {};

TEST_F(CudaStream, SeveralOptimizersOnSeveralStreams) {
    const std::vector<size_t> sizes = {5, 3000, 33};
    Model s1(sizes, nullptr, 3), s2(sizes, "attention=0", 4), s3(sizes, nullptr, 3), s4(sizes, "attention=0", 4);
    DeviceModel<> one(s1), two(s2), alone1(s3), alone2(s4);
    one.stream = a;
    two.stream = b;
    one.fused = two.fused = 1;
    for (auto *m : {&one, &two, &alone1, &alone2}) ASSERT_EQ(m->create(), LOPT_OK);
    alone1.run(0, 3);
    alone2.run(0, 3);
    for (uint64_t t = 0; t < 3; t++) { // launches of the two stand in their queues at the same time
        s1.gradients(t);
        s2.gradients(t);
        one.write_grads();
        two.write_grads();
        ASSERT_EQ(one.step(), LOPT_OK);
        ASSERT_EQ(two.step(), LOPT_OK);
    }
    EXPECT_EQ(one.read(), alone1.read());
    EXPECT_EQ(two.read(), alone2.read());
}

TEST_F(CudaStream, DefaultStreamsMayBeNamed) {
    Model plain({33, 300});
    DeviceModel<> unnamed(plain);
    ASSERT_EQ(unnamed.create(), LOPT_OK);
    unnamed.run(0, 2);
    for (uintptr_t handle : {1, 2}) { // cudaStreamLegacy, cudaStreamPerThread
        Model source({33, 300});
        DeviceModel<> gpu(source);
        gpu.stream = reinterpret_cast<void *>(handle);
        ASSERT_EQ(gpu.create(), LOPT_OK) << lopt_last_error();
        gpu.run(0, 2);
        EXPECT_EQ(gpu.read(), unnamed.read()) << handle;
    }
}

TEST_F(CudaStream, OtherDevicesWork) {
    NEEDS_AN_EMULATED_GPU();
    Model source({5, 300}), same({5, 300});
    DeviceModel<> on_second(source, 1), on_first(same);
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    o.device = "cuda:1";
    ASSERT_EQ(on_second.create(o), LOPT_OK) << lopt_last_error();
    o.device = "cuda:0";
    ASSERT_EQ(on_first.create(o), LOPT_OK) << lopt_last_error();
    on_second.run(0, 2);
    on_first.run(0, 2);
    EXPECT_EQ(on_second.read(), on_first.read());
}

// ---- What is refused, in one sentence

struct CudaRefusal : TwoStreams {
    Model source{{40, 70}};
    DeviceModel<> gpu{source};
    std::vector<float *> p = DeviceModel<>::pointers(gpu.params), g = DeviceModel<>::pointers(gpu.grads);
    std::vector<const float *> grads{g.begin(), g.end()};
    void expect(lopt_status got, lopt_status want, const char *words) {
        EXPECT_EQ(got, want) << lopt_last_error();
        EXPECT_NE(std::string(lopt_last_error()).find(words), std::string::npos) << lopt_last_error();
    }
    lopt_status step() { return lopt_optimizer_step(gpu.opt.p, p.data(), grads.data(), nullptr); }
    // nothing is lost: it goes on as if nothing had been
    void expect_usable() {
        Model same({40, 70});
        DeviceModel<> other(same);
        ASSERT_EQ(other.create(), LOPT_OK);
        other.run(0, 2);
        gpu.run(0, 2);
        EXPECT_EQ(gpu.read(), other.read());
    }
};

TEST_F(CudaRefusal, AtTheStart) {
    NEEDS_AN_EMULATED_GPU();
    emulation::machine.has_driver = false;
    expect(gpu.create(), LOPT_ERR_DEVICE, "driver");
    emulation::machine.has_driver = true;
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    o.device = "cuda:2";
    expect(gpu.create(o), LOPT_ERR_ARGUMENT, "this machine has 2");
    for (const char *device : {"cuda:", "cuda:-1", "cuda:1x", "cuda1", "cuda:99999999999"}) {
        o.device = device;
        expect(gpu.create(o), LOPT_ERR_ARGUMENT, "unknown");
    }
    o.device = "cuda:1";
    expect(gpu.create(o), LOPT_ERR_ARGUMENT, "params[0]: memory of device \"cuda:0\"");
    emulation::machine.memory_left = 1000;
    expect(gpu.create(), LOPT_ERR_MEMORY, "no memory left");
    emulation::machine.memory_left = size_t(1) << 40;
    emulation::machine.fail_launches = 700;
    expect(gpu.create(), LOPT_ERR_DEVICE, "lopt_optimizer_create: launching");
    emulation::machine.fail_launches = 0;
    Graph graph(a);
    o.device = "cuda";
    expect(lopt_optimizer_create(source.weights.p, &o, p.size(), source.counts.data(), p.data(), a, &gpu.opt.p), LOPT_ERR_ARGUMENT,
           "captured");
    graph.end();
    void *foreign = nullptr;
    ASSERT_EQ(device()->stream_create(1, &foreign), LOPT_OK);
    gpu.stream = foreign;
    expect(gpu.create(), LOPT_ERR_ARGUMENT, "stream is of device \"cuda:1\"");
    gpu.stream = nullptr;
    device()->stream_destroy(1, foreign);
    EXPECT_EQ(gpu.opt.p, nullptr);
    ASSERT_EQ(gpu.create(), LOPT_OK) << lopt_last_error();
    expect_usable();
}

TEST_F(CudaRefusal, PointersOfTheWrongKind) {
    ASSERT_EQ(gpu.create(), LOPT_OK);
    float *const good = p[1];
    p[1] = source.params[1].data();
    expect(step(), LOPT_ERR_ARGUMENT, "lopt_optimizer_step: params[1]: memory of the host");
    p[1] = reinterpret_cast<float *>(reinterpret_cast<char *>(good) + 2);
    expect(step(), LOPT_ERR_ARGUMENT, "params[1]: not a multiple of 4 bytes");
    p[1] = good;
    grads[0] = source.grads[0].data();
    expect(step(), LOPT_ERR_ARGUMENT, "grads[0]: memory of the host");
    if (gpu_under_test() != "cuda") {
        DeviceArray<float> foreign(40, 1);
        grads[0] = foreign.data();
        expect(step(), LOPT_ERR_ARGUMENT, "grads[0]: memory of device \"cuda:1\"");
    }
    expect(lopt_optimizer_true_params(gpu.opt.p, Model::pointers(source.params).data(), nullptr), LOPT_ERR_ARGUMENT,
           "out[0]: memory of the host");
    expect(lopt_optimizer_set_params(gpu.opt.p, Model::pointers(source.params).data(), nullptr), LOPT_ERR_ARGUMENT, "params[0]");
    expect(lopt_optimizer_swap(gpu.opt.p, Model::pointers(source.params).data(), nullptr), LOPT_ERR_ARGUMENT, "params[0]");
    expect(lopt_optimizer_set_scaler(gpu.opt.p, source.params[0].data(), nullptr), LOPT_ERR_ARGUMENT,
           "grad_scale: memory of the host");
    expect(lopt_optimizer_set_scaler(gpu.opt.p, nullptr, source.params[0].data()), LOPT_ERR_ARGUMENT,
           "found_inf: memory of the host");
    expect_usable();
}

TEST_F(CudaRefusal, StreamsOfAnotherDeviceAndLaunchesThatFail) {
    NEEDS_AN_EMULATED_GPU();
    ASSERT_EQ(gpu.create(), LOPT_OK);
    void *foreign = nullptr;
    ASSERT_EQ(device()->stream_create(1, &foreign), LOPT_OK);
    expect(lopt_optimizer_step(gpu.opt.p, p.data(), grads.data(), foreign), LOPT_ERR_ARGUMENT,
           "lopt_optimizer_step: the stream is of device");
    expect(lopt_optimizer_set_rates(gpu.opt.p, 1, 0, foreign), LOPT_ERR_ARGUMENT, "lopt_optimizer_set_rates: the stream");
    expect(lopt_optimizer_true_params(gpu.opt.p, p.data(), foreign), LOPT_ERR_ARGUMENT, "lopt_optimizer_true_params: the stream");
    device()->stream_destroy(1, foreign);
    emulation::machine.fail_launches = 719;
    expect(step(), LOPT_ERR_DEVICE, "lopt_optimizer_step: launching a kernel: ");
    emulation::machine.fail_launches = 0;
    expect_usable();
}

// ---- What fails half way: nothing goes on from it but a load

struct CudaHalf : TwoStreams {
    Model source{{40, 70}}, same{{40, 70}};
    DeviceModel<> gpu{source}, other{same};
    ScratchDir dir;
    std::string state = dir / "state";
    std::vector<std::vector<float>> params, truth;
    // Both after a step of phases; the one's state is in the file.
    void SetUp() override {
        TwoStreams::SetUp();
        gpu.stream = a;
        gpu.fused = other.fused = 0;
        for (DeviceModel<> *m : {&gpu, &other}) {
            ASSERT_EQ(m->create(), LOPT_OK);
            m->run(0, 1);
        }
        params = gpu.read();
        truth = gpu.true_params();
        ASSERT_EQ(lopt_optimizer_save(gpu.opt.p, state.c_str()), LOPT_OK) << lopt_last_error();
        source.gradients(1);
        gpu.write_grads();
    }
    void fail(int launches_first) {
        emulation::machine.fail_launches = 719;
        emulation::machine.launches_first = launches_first;
    }
    void mend() { emulation::machine.fail_launches = 0; }
    void expect_lost(lopt_status got, const char *call) {
        EXPECT_EQ(got, LOPT_ERR_DEVICE);
        EXPECT_EQ(std::string(lopt_last_error()).find(std::string(call) + ": an earlier call failed half way"), 0u)
            << lopt_last_error();
    }
    void expect_lost() {
        const std::vector<float *> p = DeviceModel<>::pointers(gpu.params);
        expect_lost(gpu.step(), "lopt_optimizer_step");
        expect_lost(lopt_optimizer_save(gpu.opt.p, (dir / "lost").c_str()), "lopt_optimizer_save");
        expect_lost(lopt_optimizer_swap(gpu.opt.p, p.data(), a), "lopt_optimizer_swap");
        expect_lost(lopt_optimizer_set_params(gpu.opt.p, p.data(), a), "lopt_optimizer_set_params");
    }
    void load() {
        ASSERT_EQ(lopt_optimizer_load(gpu.opt.p, state.c_str()), LOPT_OK) << lopt_last_error();
        for (size_t i = 0; i < params.size(); i++) gpu.params[i].write(params[i]);
    }
    void expect_as_if_nothing_had_been() {
        ASSERT_EQ(gpu.step(), LOPT_OK) << lopt_last_error();
        other.run(1, 2);
        EXPECT_EQ(gpu.read(), other.read());
    }
};

TEST_F(CudaHalf, AStep) {
    NEEDS_AN_EMULATED_GPU();
    const int advance = 2; // enter, prepare; then finish and apply
    for (int first = 0; first < 5; first++) {
        fail(first);
        EXPECT_EQ(gpu.step(), LOPT_ERR_DEVICE) << first;
        mend();
        if (first <= advance) continue; // nothing has changed
        expect_lost();
        EXPECT_EQ(gpu.true_params(), truth) << first;
        load();
    }
    expect_as_if_nothing_had_been();
}

TEST_F(CudaHalf, AStepOfAGraphIsNone) {
    NEEDS_AN_EMULATED_GPU();
    Graph graph(a);
    fail(3);
    EXPECT_EQ(gpu.step(), LOPT_ERR_DEVICE);
    mend();
    graph.end();
    expect_as_if_nothing_had_been();
}

TEST_F(CudaHalf, ALoad) {
    NEEDS_AN_EMULATED_GPU();
    for (int first : {0, 1, 7}) {
        fail(first);
        EXPECT_EQ(lopt_optimizer_load(gpu.opt.p, state.c_str()), LOPT_ERR_DEVICE) << first;
        mend();
        expect_lost();
        expect_lost(lopt_optimizer_true_params(gpu.opt.p, DeviceModel<>::pointers(gpu.params).data(), a),
                    "lopt_optimizer_true_params");
    }
    load();
    expect_as_if_nothing_had_been();
}

// A build may lack code for a GPU, which it then says before it takes memory.
TEST(Architecture, IsTheLatestThatADeviceRuns) {
    const int all[] = {800, 900, 1000}, ptx[] = {1000}, one[] = {900}, none[] = {0}, gap[] = {800, 1000};
    EXPECT_EQ(architecture_for(all, 3, ptx, 1, 750), 0);
    EXPECT_EQ(architecture_for(all, 3, ptx, 1, 860), 800);
    EXPECT_EQ(architecture_for(all, 3, ptx, 1, 900), 900);
    EXPECT_EQ(architecture_for(all, 3, ptx, 1, 1030), 1000);
    EXPECT_EQ(architecture_for(all, 3, ptx, 1, 1200), 1000); // makes its own
    EXPECT_EQ(architecture_for(one, 1, none, 1, 800), 0);
    EXPECT_EQ(architecture_for(one, 1, none, 1, 900), 900);
    EXPECT_EQ(architecture_for(one, 1, none, 1, 1000), 0);
    EXPECT_EQ(architecture_for(gap, 2, ptx, 1, 900), 0); // machine code of 8.0 is not for it
}

TEST_F(CudaRefusal, WhatCannotBeCaptured) {
    ASSERT_EQ(gpu.create(), LOPT_OK);
    ScratchDir dir;
    ASSERT_EQ(gpu.swap(), LOPT_OK);
    ASSERT_EQ(lopt_optimizer_save(gpu.opt.p, (dir / "swapped").c_str()), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(gpu.swap(), LOPT_OK);
    gpu.stream = a;
    {
        Graph graph(a);
        expect(gpu.swap(), LOPT_ERR_ARGUMENT, "lopt_optimizer_swap: the stream is being captured");
        graph.end();
    }
    if (gpu_under_test() == "ptx") { // and what waits for the device spoils every capture: by CUDA's manual
        ASSERT_EQ(device()->capture_begin(0, a), LOPT_OK);
        expect(lopt_optimizer_save(gpu.opt.p, (dir / "s").c_str()), LOPT_ERR_ARGUMENT,
               "lopt_optimizer_save: waiting for the device: not while a stream is being captured");
        EXPECT_EQ(lopt_optimizer_load(gpu.opt.p, (dir / "swapped").c_str()), LOPT_ERR_ARGUMENT);
        EXPECT_EQ(lopt_optimizer_skipped(gpu.opt.p), UINT64_MAX);
        EXPECT_EQ(std::string(lopt_last_error()).rfind("lopt_optimizer_skipped: waiting", 0), 0u) << lopt_last_error();
        void *graph = nullptr;
        expect(device()->capture_end(0, a, &graph), LOPT_ERR_DEVICE, "ended the capture");
    }
    gpu.stream = nullptr;
    EXPECT_EQ(step(), LOPT_OK) << lopt_last_error(); // not swapped
    ASSERT_EQ(gpu.create(), LOPT_OK);
    expect_usable();
}

} // namespace
