// A step in one launch from phase 1 on against the same step in a launch for each phase: every bit of it, over lists of tensors that are chosen to hurt.
#include <deque>

#include "tests/cuda/support.h"

namespace {

struct FusedCase {
    const char *name, *weights, *state, *param_dtype;
    std::vector<size_t> sizes;
};
void PrintTo(const FusedCase &c, std::ostream *os) { *os << c.name; }

class Fused : public OnGpu, public ::testing::WithParamInterface<FusedCase> {};

template <class P> void expect_the_same(DeviceModel<P> &fused, DeviceModel<P> &phases) {
    EXPECT_EQ(fused.read(), phases.read());
    EXPECT_TRUE(state_of(fused.opt.p) == state_of(phases.opt.p)) << "the states differ";
    EXPECT_EQ(lopt_optimizer_skipped(fused.opt.p), lopt_optimizer_skipped(phases.opt.p));
}

// Steps of all kinds. Tensors rest in two of them, and one is skipped.
template <class P> void run_both(const FusedCase &c, P (*to_param)(float)) {
    Model a(c.sizes, c.weights), b(c.sizes, c.weights);
    DeviceModel<P> fused(a), phases(b);
    DeviceArray<float> found_inf(std::vector<float>{0.0f});
    fused.to_param = phases.to_param = to_param;
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    o.state_dtype = c.state;
    o.param_dtype = c.param_dtype;
    o.weight_decay = 0.01;
    fused.fused = 1, phases.fused = 0;
    for (auto *m : {&fused, &phases}) {
        ASSERT_EQ(m->create(o), LOPT_OK) << lopt_last_error();
        ASSERT_EQ(lopt_optimizer_set_scaler(m->opt.p, nullptr, found_inf.data()), LOPT_OK) << lopt_last_error();
    }
    for (uint64_t t = 0; t < 4; t++) {
        std::vector<bool> resting(c.sizes.size(), false);
        if (t == 1) resting[0] = true;
        if (t == 3) resting.back() = true;
        if (c.sizes.size() == 1) resting[0] = false;
        emulation::schedule = t;
        found_inf.write({t == 2 ? 1.0f : 0.0f});
        for (auto *m : {&fused, &phases}) {
            m->host.gradients(t);
            m->write_grads();
            ASSERT_EQ(m->step(resting), LOPT_OK) << lopt_last_error();
        }
        expect_the_same(fused, phases);
    }
    EXPECT_EQ(lopt_optimizer_skipped(fused.opt.p), 1u);
}

TEST_P(Fused, IsThePhasesToTheBit) {
    if (GetParam().param_dtype) run_both<uint16_t>(GetParam(), [](float x) { return float_to_bf16(x); });
    else run_both<float>(GetParam(), [](float x) { return x; });
}
const std::vector<size_t> HURTING = {1, 31, 32, 33, 2500, 1, 257, 9}, SPANS = {3, 66 * 256 + 1, 300};
INSTANTIATE_TEST_SUITE_P(Cuda, Fused,
                         ::testing::Values(FusedCase{"fp32", "attention=1", "fp32", nullptr, HURTING},
                                           FusedCase{"mixed", "attention=1", "mixed", nullptr, HURTING},
                                           FusedCase{"plain_fp32", "attention=0", "fp32", nullptr, {1, 600}},
                                           FusedCase{"plain_mixed", "attention=0", "mixed", nullptr, {1, 600}},
                                           FusedCase{"plain_bf16", "attention=0", "mixed", "bf16", {33, 700}},
                                           FusedCase{"one", "attention=1", "fp32", nullptr, {1}},
                                           FusedCase{"spans", "attention=1", "mixed", nullptr, SPANS},
                                           FusedCase{"bf16", "attention=1", "mixed", "bf16", {33, 700}},
                                           FusedCase{"bf16_of_fp32", "attention=1", "fp32", "bf16", {33, 700}},
                                           FusedCase{"hundreds", "attention=1", "fp32", nullptr, std::vector<size_t>(120, 3)},
                                           FusedCase{"another_cell", "param=5,scales=3", "fp32", nullptr, {40, 700}}),
                         [](const auto &i) { return std::string(i.param.name); });

struct FusedSteps : OnGpu {};

// Gradients that are looked at, parameters that are not at a multiple of 16 bytes, and the first step after a state is loaded.
TEST_F(FusedSteps, AreThoseOfThePhasesWhateverTheGradients) {
    for (int zero : {0, 1}) {
        Model a({33, 700, 2}, "attention=1"), b(a.counts, "attention=1");
        DeviceModel<> fused(a, 0, 1), phases(b, 0, 1);
        ScratchDir dir;
        lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
        o.nonfinite = zero ? "zero" : "skip";
        fused.fused = 1, phases.fused = 0;
        for (auto *m : {&fused, &phases}) ASSERT_EQ(m->create(o), LOPT_OK) << lopt_last_error();
        for (uint64_t t = 0; t < 4; t++) {
            for (auto *m : {&fused, &phases}) {
                m->host.gradients(t);
                if (t == 1) m->host.grads[1][600] = NAN;
                m->write_grads();
                ASSERT_EQ(m->step(), LOPT_OK) << lopt_last_error();
            }
            expect_the_same(fused, phases);
            if (t != 2) continue;
            ASSERT_EQ(lopt_optimizer_save(phases.opt.p, (dir / "state").c_str()), LOPT_OK) << lopt_last_error();
            ASSERT_EQ(lopt_optimizer_load(fused.opt.p, (dir / "state").c_str()), LOPT_OK) << lopt_last_error();
        }
        EXPECT_EQ(lopt_optimizer_skipped(fused.opt.p), zero ? 0u : 1u);
    }
}

// Chunks whose size is no power of two, of which a piece of phase 2 has as many as 8,192 hold: 21 of 384. What makes the model so large rests.
TEST_F(FusedSteps, OfLargerChunksAreThoseOfThePhases) {
    const std::vector<size_t> sizes = {135000, 21 * 384 + 1, 384, 2 * 21 * 384 - 1};
    Model a(sizes, "attention=1"), b(sizes, "attention=1");
    DeviceModel<> fused(a, 0, 1), phases(b);
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    ASSERT_EQ(cuda_chunk_size(sizes.data(), sizes.size()), 384u);
    o.state_dtype = "mixed";
    fused.fused = 1, phases.fused = 0;
    for (auto *m : {&fused, &phases}) {
        ASSERT_EQ(m->create(o), LOPT_OK) << lopt_last_error();
        m->host.gradients(0);
        m->write_grads();
        ASSERT_EQ(m->step({true, false, false, false}), LOPT_OK) << lopt_last_error();
    }
    EXPECT_TRUE(fused.read() == phases.read());
    EXPECT_TRUE(fused.true_params() == phases.true_params()) << "a piece is not what the list says";
}

// Two at once, each on its stream and from its graph, with nothing between their steps: many blocks of each wait for others of the same. Tensors rest
// in one of them.
TEST_F(FusedSteps, OfTwoOptimizersGoOnBesideEachOther) {
    const size_t scale = gpu_under_test() == "cuda" ? 1000 : 1;
    const int steps = scale > 1 ? 100 : 3;
    void *streams[2] = {nullptr, nullptr};
    {
        Model a({3000 * scale, 5, 1500 * scale}, "attention=1"), b({700 * scale, 300, 3100 * scale}, "attention=0"),
            like_a(a.counts, "attention=1"), like_b(b.counts, "attention=0");
        DeviceModel<> fused[2] = {DeviceModel<>(a), DeviceModel<>(b)}, phases[2] = {DeviceModel<>(like_a), DeviceModel<>(like_b)};
        std::deque<Graph> graphs;
        lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
        for (int k = 0; k < 2; k++) {
            const std::vector<bool> resting = {false, k == 1, false};
            ASSERT_EQ(device()->stream_create(0, &streams[k]), LOPT_OK) << lopt_last_error();
            o.state_dtype = k ? "mixed" : "fp32";
            fused[k].stream = streams[k];
            fused[k].fused = 1, phases[k].fused = 0;
            for (auto *m : {&fused[k], &phases[k]}) {
                m->host.gradients(0);
                ASSERT_EQ(m->create(o), LOPT_OK) << lopt_last_error();
                m->write_grads();
            }
            graphs.emplace_back(streams[k]);
            ASSERT_EQ(fused[k].step(resting), LOPT_OK) << lopt_last_error();
            graphs[size_t(k)].end();
            for (int t = 0; t < steps; t++) ASSERT_EQ(phases[k].step(resting), LOPT_OK) << lopt_last_error();
        }
        for (int t = 0; t < steps; t++)
            for (Graph &graph : graphs) graph.replay();
        for (int k = 0; k < 2; k++) expect_the_same(fused[k], phases[k]);
    }
    for (void *stream : streams) device()->stream_destroy(0, stream);
}

struct BigCase {
    const char *name, *weights, *state, *dtype;
    std::vector<size_t> sizes;
};
void PrintTo(const BigCase &c, std::ostream *os) { *os << c.name; }

class FusedOnAGpu : public OnGpu, public ::testing::WithParamInterface<BigCase> {};

template <class T> void run_big(const BigCase &c, T (*convert)(float)) {
    Model a(c.sizes, c.weights), b(a.counts, c.weights);
    DeviceModel<T, T> fused(a), phases(b);
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    o.state_dtype = c.state;
    o.param_dtype = o.grad_dtype = c.dtype;
    fused.to_param = phases.to_param = fused.to_grad = phases.to_grad = convert;
    fused.fused = 1, phases.fused = 0;
    for (auto *m : {&fused, &phases}) {
        ASSERT_EQ(m->create(o), LOPT_OK) << lopt_last_error();
        m->host.gradients(0);
        m->write_grads();
        for (int t = 0; t < 100; t++) ASSERT_EQ(m->step(), LOPT_OK) << lopt_last_error();
    }
    EXPECT_EQ(fused.read(), phases.read());
}

// As many blocks as a GPU has room for, chunks of every size, and tensors that are done at different times.
TEST_P(FusedOnAGpu, IsThePhasesToTheBit) {
    if (gpu_under_test() != "cuda") GTEST_SKIP() << "of more parameters than an emulated GPU steps in a minute";
    if (GetParam().dtype) run_big<uint16_t>(GetParam(), [](float x) { return float_to_bf16(x); });
    else run_big<float>(GetParam(), [](float x) { return x; });
}
INSTANTIATE_TEST_SUITE_P(Cuda, FusedOnAGpu,
                         ::testing::Values(BigCase{"fp32", "attention=1", "fp32", nullptr, {700000, 1, 500, 300000, 70000, 200001}},
                                           BigCase{
                                               "mixed", "attention=1", "mixed", nullptr, {700000, 1, 500, 300000, 70000, 200001}},
                                           BigCase{"plain_of_5M", "attention=0", "mixed", nullptr, {2000000, 40, 3000001, 500}},
                                           BigCase{"of_9M", "attention=1", "fp32", nullptr, {3000001, 5, 6000000, 768}},
                                           BigCase{"bf16_of_9M", "attention=1", "mixed", "bf16", {3000001, 5, 6000000, 768}}),
                         [](const auto &i) { return std::string(i.param.name); });

} // namespace
