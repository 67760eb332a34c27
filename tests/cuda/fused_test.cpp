// A step in one launch from phase 1 on against the same step in a launch for each phase: every bit of it, over lists of tensors that are chosen to hurt.
#include "tests/cuda/support.h"

extern "C" {
#include "csrc/optimizer/cuda.h"
}

namespace {

struct FusedCase {
    const char *name, *weights, *state, *param_dtype;
    std::vector<size_t> sizes;
};
void PrintTo(const FusedCase &c, std::ostream *os) { *os << c.name; }

struct FusedOnAGpu : OnGpu {};
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
    for (auto *m : {&fused, &phases}) {
        ASSERT_EQ(m->create(o), LOPT_OK) << lopt_last_error();
        cuda_set_fused(m->opt.p, m == &fused);
        ASSERT_EQ(lopt_optimizer_set_scaler(m->opt.p, nullptr, found_inf.data()), LOPT_OK) << lopt_last_error();
    }
    for (uint64_t t = 0; t < 6; t++) {
        std::vector<bool> resting(c.sizes.size(), false);
        if (t == 2) resting[0] = true;
        if (t == 3) resting.back() = true;
        if (c.sizes.size() == 1) resting[0] = false;
        emulation::schedule = t;
        found_inf.write({t == 4 ? 1.0f : 0.0f});
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
INSTANTIATE_TEST_SUITE_P(
    Cuda, Fused,
    ::testing::Values(FusedCase{"fp32", "attention=1", "fp32", nullptr, HURTING}, FusedCase{"mixed", "attention=1", "mixed", nullptr, HURTING},
                      FusedCase{"plain_fp32", "attention=0", "fp32", nullptr, {1, 600}},
                      FusedCase{"plain_mixed", "attention=0", "mixed", nullptr, {1, 600}}, FusedCase{"one", "attention=1", "fp32", nullptr, {1}},
                      FusedCase{"spans", "attention=1", "mixed", nullptr, SPANS}, FusedCase{"bf16", "attention=1", "mixed", "bf16", {33, 700}},
                      FusedCase{"hundreds", "attention=1", "fp32", nullptr, std::vector<size_t>(120, 3)},
                      FusedCase{"another_cell", "param=5,scales=3", "fp32", nullptr, {40, 700}}),
    [](const auto &i) { return std::string(i.param.name); });

// As many blocks as a GPU has room for, and tensors that are done at different times.
TEST_F(FusedOnAGpu, IsThePhasesToTheBit) {
    if (gpu_under_test() != "cuda") GTEST_SKIP() << "of more parameters than an emulated GPU steps in a minute";
    for (const char *state : {"fp32", "mixed"}) {
        Model a({700000, 1, 500, 300000, 70000, 200001}, "attention=1"), b(a.counts, "attention=1");
        DeviceModel<> fused(a), phases(b);
        lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
        o.state_dtype = state;
        for (auto *m : {&fused, &phases}) {
            ASSERT_EQ(m->create(o), LOPT_OK) << lopt_last_error();
            cuda_set_fused(m->opt.p, m == &fused);
            m->host.gradients(0);
            m->write_grads();
            for (int t = 0; t < 200; t++) ASSERT_EQ(m->step(), LOPT_OK) << lopt_last_error();
        }
        expect_the_same(fused, phases);
    }
}

struct FusedWork : OnGpu {};

// Work that waits for what stands behind it would stop a GPU for ever; and each parameter must be there once for each phase.
TEST_F(FusedWork, WaitsOnlyForWhatStandsBefore) {
    for (const std::vector<size_t> &sizes : {std::vector<size_t>{1}, {70 * 256, 1, 5000, 300}, std::vector<size_t>(40, 1000)}) {
        Model source(sizes);
        DeviceModel<> model(source);
        ASSERT_EQ(model.create(), LOPT_OK) << lopt_last_error();
        const gpu_model &m = reinterpret_cast<cuda_optimizer *>(model.opt.p)->model;
        std::vector<uint32_t> work(m.num_work);
        std::vector<gpu_chunk> chunks(m.num_chunks);
        std::vector<gpu_tensor> tensors(m.num_tensors);
        ASSERT_EQ(device()->download(0, work.data(), m.work, work.size() * sizeof work[0], nullptr), LOPT_OK);
        ASSERT_EQ(device()->download(0, chunks.data(), m.chunks, chunks.size() * sizeof chunks[0], nullptr), LOPT_OK);
        ASSERT_EQ(device()->download(0, tensors.data(), m.tensors, tensors.size() * sizeof tensors[0], nullptr), LOPT_OK);
        uint32_t advanced = 0, tensor = 0;
        uint64_t applied = 0; // parameters of the tensor
        for (uint32_t w : work) {
            if ((w & GPU_WORK_APPLY) == 0) {
                ASSERT_EQ(w, advanced++);
                continue;
            }
            const gpu_chunk &c = chunks.at(w & ~GPU_WORK_APPLY);
            ASSERT_GE(advanced, tensors[c.tensor].chunk_end);
            ASSERT_EQ(c.tensor, tensor);
            ASSERT_EQ(c.first, applied);
            applied += std::min(uint64_t(GPU_CHUNK_MAX), tensors[tensor].count - applied);
            if (applied == tensors[tensor].count) tensor++, applied = 0;
        }
        EXPECT_EQ(advanced, m.num_chunks);
        EXPECT_EQ(tensor, sizes.size());
    }
}

} // namespace
