// Steps and other calls in CUDA graphs, and what goes on while a stream is captured.
#include "tests/cuda/support.h"

namespace {

struct CudaGraph : TwoStreams {};

// A captured step follows rates, scaler, step count and first-step flags, which live on the device; in one launch as by phases.
TEST_F(CudaGraph, ReplayedGraphsAreSteps) {
    const std::vector<size_t> sizes(GPU_POINTERS + 6, 9); // pointers of more than one launch
    Model source(sizes), same(sizes);
    DeviceModel<> graph_model(source), plain(same);
    DeviceArray<float> scale(std::vector<float>{1.0f}), found(std::vector<float>{0.0f});
    graph_model.stream = a;
    graph_model.fused = 1;
    ASSERT_EQ(graph_model.create(), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(plain.create(), LOPT_OK);
    ASSERT_EQ(lopt_optimizer_set_scaler(graph_model.opt.p, scale.data(), found.data()), LOPT_OK);
    ASSERT_EQ(lopt_optimizer_set_scaler(plain.opt.p, scale.data(), found.data()), LOPT_OK);
    Graph graph(a);
    ASSERT_EQ(graph_model.step(), LOPT_OK) << lopt_last_error();
    graph.end();
    EXPECT_EQ(graph_model.read(), source.params); // captured, not run
    for (uint64_t t = 0; t < 5; t++) {
        source.gradients(t);
        same.gradients(t);
        graph_model.write_grads();
        plain.write_grads();
        scale.write({t == 1 ? 64.0f : 1.0f});
        found.write({t == 3 ? 1.0f : 0.0f});
        if (t == 2) {
            ASSERT_EQ(lopt_optimizer_set_rates(graph_model.opt.p, 0.25, 0.1, a), LOPT_OK);
            ASSERT_EQ(lopt_optimizer_set_rates(plain.opt.p, 0.25, 0.1, nullptr), LOPT_OK);
        }
        graph.replay();
        ASSERT_EQ(plain.step(), LOPT_OK);
        ASSERT_EQ(graph_model.read(), plain.read()) << t;
    }
    EXPECT_EQ(lopt_optimizer_skipped(graph_model.opt.p), 1u);
    ScratchDir dir;
    ASSERT_EQ(lopt_optimizer_save(graph_model.opt.p, (dir / "g").c_str()), LOPT_OK);
    ASSERT_EQ(lopt_optimizer_save(plain.opt.p, (dir / "p").c_str()), LOPT_OK);
    safetensors_file *f = nullptr;
    for (const char *name : {"g", "p"}) {
        uint64_t step = 0;
        ASSERT_EQ(safetensors_open((dir / name).c_str(), &f), LOPT_OK);
        EXPECT_EQ(safetensors_metadata_u64(f, "step", &step), LOPT_OK);
        EXPECT_EQ(step, 4u) << name;
        safetensors_close(f);
    }
}

// Rates and true parameters may be set and read in a graph too, and a tensor that rests there needs no parameters.
TEST_F(CudaGraph, GraphsMayHoldOtherCalls) {
    Model source({40, 70, 3}), same({40, 70, 3});
    DeviceModel<> gpu(source), plain(same);
    std::vector<DeviceArray<float>> truth;
    for (size_t n : source.counts) truth.emplace_back(n);
    gpu.stream = a;
    ASSERT_EQ(gpu.create(), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(plain.create(), LOPT_OK);
    std::vector<float *> params = DeviceModel<>::pointers(gpu.params), g = DeviceModel<>::pointers(gpu.grads);
    std::vector<const float *> grads(g.begin(), g.end());
    params[1] = nullptr, grads[1] = nullptr;
    Graph graph(a);
    ASSERT_EQ(lopt_optimizer_set_rates(gpu.opt.p, 0.25, 0.1, a), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(lopt_optimizer_step(gpu.opt.p, params.data(), grads.data(), a), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(lopt_optimizer_true_params(gpu.opt.p, DeviceModel<>::pointers(truth).data(), a), LOPT_OK) << lopt_last_error();
    graph.end();
    ASSERT_EQ(lopt_optimizer_set_rates(plain.opt.p, 0.25, 0.1, nullptr), LOPT_OK);
    for (uint64_t t = 0; t < 2; t++) {
        for (auto *m : {&gpu, &plain}) m->host.gradients(t), m->write_grads();
        graph.replay();
        ASSERT_EQ(plain.step({false, true, false}), LOPT_OK);
        EXPECT_EQ(gpu.read(), plain.read());
        const auto want = plain.true_params();
        for (size_t i = 0; i < truth.size(); i++) EXPECT_EQ(truth[i].read(), want[i]) << i;
    }
}

// A graph that sets parameters takes what the buffers hold at each replay; while they are swapped that becomes what comes back too.
TEST_F(CudaGraph, GraphsMaySetParameters) {
    Model source({33, 70}), same({33, 70});
    DeviceModel<> gpu(source), plain(same);
    gpu.stream = a;
    for (auto *m : {&gpu, &plain}) {
        ASSERT_EQ(m->create(), LOPT_OK) << lopt_last_error();
        m->host.gradients(0);
        m->write_grads();
    }
    const auto set = [](DeviceModel<> &m) { return lopt_optimizer_set_params(m.opt.p, m.pointers(m.params).data(), m.stream); };
    Graph graph(a);
    ASSERT_EQ(set(gpu), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(gpu.step(), LOPT_OK) << lopt_last_error();
    graph.end();
    for (float x : {1.5f, -3.0f}) {
        for (auto *m : {&gpu, &plain}) {
            for (auto &p : m->host.params) std::fill(p.begin(), p.end(), x);
            m->write_params();
        }
        graph.replay();
        ASSERT_EQ(set(plain), LOPT_OK);
        ASSERT_EQ(plain.step(), LOPT_OK);
        EXPECT_EQ(gpu.read(), plain.read()) << x;
    }
    const auto truth = gpu.true_params();
    ASSERT_NE(gpu.read(), truth);
    ASSERT_EQ(gpu.swap(), LOPT_OK) << lopt_last_error();
    graph.replay();
    ASSERT_EQ(gpu.swap(), LOPT_OK) << lopt_last_error();
    EXPECT_EQ(gpu.read(), truth);
    EXPECT_EQ(gpu.true_params(), truth);
}

// Where garbage is collected while a step is captured, say.
TEST_F(CudaGraph, OptimizersAreFreedWhileAStreamIsCaptured) {
    Model source({40, 3}), other({700});
    DeviceModel<> model(source), freed(other);
    model.stream = a;
    ASSERT_EQ(model.create(), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(freed.create(), LOPT_OK) << lopt_last_error();
    Graph graph(a);
    ASSERT_EQ(model.step(), LOPT_OK) << lopt_last_error();
    lopt_optimizer_free(freed.opt.p);
    freed.opt.p = nullptr;
    graph.end();
    source.gradients(0);
    model.write_grads();
    graph.replay();
    ASSERT_EQ(device()->wait(0), LOPT_OK) << lopt_last_error();
    EXPECT_EQ(lopt_optimizer_skipped(model.opt.p), 0u);
    EXPECT_NE(model.read(), source.params);
}

// The host refuses steps then, but a graph's replay does not come by there.
TEST_F(CudaGraph, ReplaysDoNothingWhileParametersAreSwapped) {
    for (int fused : {0, 1})
        for (const auto &[state, has_scaler] : {std::pair("fp32", false), {"mixed", true}}) {
            Model source({33, 2000}), same({33, 2000});
            DeviceModel<> gpu(source), plain(same);
            DeviceArray<float> found(std::vector<float>{0.0f});
            lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
            o.state_dtype = state;
            gpu.stream = a;
            gpu.fused = fused;
            ASSERT_EQ(gpu.create(o), LOPT_OK) << lopt_last_error();
            ASSERT_EQ(plain.create(o), LOPT_OK);
            ASSERT_EQ(lopt_optimizer_set_scaler(gpu.opt.p, nullptr, has_scaler ? found.data() : nullptr), LOPT_OK);
            source.gradients(0);
            gpu.write_grads();
            Graph graph(a);
            ASSERT_EQ(gpu.step(), LOPT_OK) << lopt_last_error();
            graph.end();
            graph.replay();
            ASSERT_EQ(gpu.swap(), LOPT_OK) << lopt_last_error();
            const auto truth = gpu.read();
            graph.replay();
            EXPECT_EQ(gpu.read(), truth);
            ScratchDir dir; // and where a loaded state is swapped
            ASSERT_EQ(lopt_optimizer_save(gpu.opt.p, (dir / "s").c_str()), LOPT_OK) << lopt_last_error();
            ASSERT_EQ(gpu.swap(), LOPT_OK);
            ASSERT_EQ(lopt_optimizer_load(gpu.opt.p, (dir / "s").c_str()), LOPT_OK) << lopt_last_error();
            graph.replay();
            ASSERT_EQ(gpu.swap(), LOPT_OK);
            graph.replay();
            plain.run(0, 1);
            ASSERT_EQ(plain.step(), LOPT_OK);
            EXPECT_EQ(gpu.read(), plain.read()) << state << " " << fused;
            EXPECT_EQ(lopt_optimizer_skipped(gpu.opt.p), 0u);
        }
}

// While one stream is captured, a thread may use others.
TEST_F(CudaGraph, OthersGoOnWhileAStreamIsCaptured) {
    Model source({40, 3}), other({700}), third({90}), same({700});
    DeviceModel<> model(source), beside(other), made(third), plain(same);
    model.stream = a;
    beside.stream = made.stream = b;
    ASSERT_EQ(model.create(), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(beside.create(), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(plain.create(), LOPT_OK);
    plain.run(0, 1);
    ASSERT_EQ(lopt_optimizer_set_rates(plain.opt.p, 0.5, 0, nullptr), LOPT_OK);
    ASSERT_EQ(plain.step(), LOPT_OK);
    other.gradients(0);
    beside.write_grads();
    made.write_params();
    {
        Graph graph(a);
        ASSERT_EQ(model.step(), LOPT_OK) << lopt_last_error();
        EXPECT_EQ(beside.step(), LOPT_OK) << lopt_last_error();
        EXPECT_EQ(lopt_optimizer_set_rates(beside.opt.p, 0.5, 0, b), LOPT_OK) << lopt_last_error();
        EXPECT_EQ(beside.step(), LOPT_OK) << lopt_last_error();
        lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
        o.device = "cuda";
        EXPECT_EQ(lopt_optimizer_create(third.weights.p, &o, 1, third.counts.data(), DeviceModel<>::pointers(made.params).data(), b,
                                        &made.opt.p),
                  LOPT_OK)
            << lopt_last_error();
        graph.end();
        source.gradients(0);
        model.write_grads();
        graph.replay();
        ASSERT_EQ(device()->wait(0), LOPT_OK) << lopt_last_error();
    }
    EXPECT_NE(model.read(), source.params);
    EXPECT_EQ(beside.read(), plain.read());
}

// A graph holds the pointers of its capture, whatever other calls have used since.
TEST_F(CudaGraph, GraphsHoldTheirPointers) {
    Model source({40, 70}), same({40, 70});
    DeviceModel<> gpu(source), plain(same);
    std::vector<DeviceArray<float>> elsewhere;
    for (size_t n : source.counts) elsewhere.emplace_back(n);
    gpu.stream = a;
    ASSERT_EQ(gpu.create(), LOPT_OK);
    ASSERT_EQ(plain.create(), LOPT_OK);
    source.gradients(0);
    same.gradients(0);
    gpu.write_grads();
    plain.write_grads();
    Graph graph(a);
    ASSERT_EQ(gpu.step(), LOPT_OK);
    graph.end();
    ASSERT_EQ(lopt_optimizer_true_params(gpu.opt.p, DeviceModel<>::pointers(elsewhere).data(), a), LOPT_OK);
    graph.replay();
    ASSERT_EQ(plain.step(), LOPT_OK);
    EXPECT_EQ(gpu.read(), plain.read());
}

} // namespace
