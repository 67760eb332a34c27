// A step on the (emulated) GPU against the CPU's, over lists of tensors that are chosen to hurt; the same bits however it is scheduled.
#include <numeric>

#include "tests/cuda/support.h"

namespace {

using Sizes = std::vector<size_t>;

struct AgreementCase {
    const char *name;
    Sizes sizes;
    const char *weights; // options; null: the defaults
};
void PrintTo(const AgreementCase &c, std::ostream *os) { *os << c.name; }

Sizes many(size_t n, size_t odd) {
    Sizes s(n, 1);
    for (size_t i = 0; i < n; i += odd) s[i] = 1 + i % 70;
    return s;
}

class Agreement : public OnGpu, public ::testing::WithParamInterface<AgreementCase> {};

TEST_P(Agreement, WithTheCpu) {
    Model cpu(GetParam().sizes, GetParam().weights), source(GetParam().sizes, GetParam().weights);
    DeviceModel<> gpu(source);
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    o.weight_decay = 0.01;
    o.lr_scale = 0.7;
    ASSERT_EQ(cpu.create(&o), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(gpu.create(o), LOPT_OK) << lopt_last_error();
    for (uint64_t t = 0; t < 4; t++) {
        cpu.run(t, t + 1);
        gpu.run(t, t + 1);
        ASSERT_LT(distance(gpu.read(), cpu.params), 1.0) << "attended, step " << t;
        ASSERT_LT(distance(gpu.true_params(), cpu.true_params()), 1.0) << "true, step " << t;
    }
    expect_close_states(gpu.opt.p, cpu.opt.p);
}
INSTANTIATE_TEST_SUITE_P(
    Cuda, Agreement,
    ::testing::Values(AgreementCase{"one", {1}, nullptr}, AgreementCase{"around_a_tile", {31, 32, 33, 1, 63, 64, 65}, nullptr},
                      AgreementCase{"around_a_chunk", {255, 256, 257, 288, 289, 1025}, nullptr},
                      AgreementCase{"one_large_among_small", {3, 20001, 1, 1, 257}, nullptr},
                      AgreementCase{"more_chunks_than_a_span", {65 * 256 + 33, 5, 70 * 64, 4097}, nullptr},
                      AgreementCase{"hundreds", many(500, 50), nullptr}, AgreementCase{"thousands", many(1200, 7), nullptr},
                      AgreementCase{"thousands_of_small_cells", many(3000, 40), SMALL_CELL},
                      AgreementCase{"no_attention", {1, 33, 5000, 8192}, "attention=0"},
                      AgreementCase{"smallest", {40, 5000}, "param=1,tensor=1,global=1,scales=1,grad_products=0,relative_lr=0"},
                      AgreementCase{"other_sizes", {40, 4097}, "param=17,tensor=40,global=33,scales=6,gradient_shortcut=0"},
                      AgreementCase{"largest", {70}, "param=64,tensor=256,global=256,scales=8"}),
    [](const auto &i) { return std::string(i.param.name); });

TEST_F(OnGpu, LargerModelsHaveLargerChunks) {
    const auto size = [](const Sizes &counts) { return cuda_chunk_size(counts.data(), counts.size()); };
    EXPECT_EQ(size({1}), 256u);
    EXPECT_EQ(size({528 * 256}), 256u);
    EXPECT_EQ(size({528 * 256 + 1}), 384u);
    EXPECT_EQ(size({1000000}), 1920u);        // 521 of them
    EXPECT_EQ(size(Sizes(20, 50000)), 2048u); // 500: of 1,920 there would be 540, twelve of them in a turn of their own
    EXPECT_EQ(size(Sizes(2000, 100)), 256u);  // which no size makes fewer
    EXPECT_EQ(size({528 * 4096}), 4096u);
    EXPECT_EQ(size({528 * 4096 + 1}), 2176u); // in two turns
    EXPECT_EQ(size({25600000}), 4096u);
    EXPECT_EQ(size({15 * 528 * 8192}), 4096u);
    EXPECT_EQ(size({16 * 528 * 8192}), 8192u);
    EXPECT_EQ(size({size_t(1) << 40}), 8192u);
    const Sizes sizes = {33, 1900 * 512 + 1};
    Model cpu(sizes, SMALL_CELL), source(sizes, SMALL_CELL);
    DeviceModel<> model(source);
    ASSERT_EQ(cpu.create(), LOPT_OK);
    ASSERT_EQ(model.create(), LOPT_OK) << lopt_last_error();
    cpu.run(0, 2);
    model.run(0, 2);
    EXPECT_LT(distance(model.read(), cpu.params), 1.0);
}

struct Scheduled : OnGpu {};

TEST_F(Scheduled, SameBitsForAnyNumberOfBlocksAndAnyOrder) {
    const Sizes sizes = {1, 31, 2500, 33, 257, 9}; // without spans; a test below has them
    std::vector<std::vector<std::vector<float>>> results;
    const std::vector<std::pair<unsigned, uint64_t>> machines = {{1, 0}, {1, 1}, {2, 5}, {3, 0}, {7, 11}, {1000, 0}, {1000, 4}};
    for (auto [multiprocessors, schedule] : machines) {
        Model source(sizes);
        DeviceModel<> gpu(source);
        emulation::machine.multiprocessors = multiprocessors;
        emulation::schedule = schedule;
        ASSERT_EQ(gpu.create(), LOPT_OK) << lopt_last_error();
        gpu.run(0, 3);
        results.push_back(gpu.read());
        results.push_back(gpu.true_params());
    }
    for (size_t i = 2; i < results.size(); i++) EXPECT_EQ(results[i], results[i % 2]) << "machine " << i / 2;
}

TEST_F(Scheduled, SameBitsWithSpans) {
    const Sizes sizes = {3, 130 * 256 + 1};
    std::vector<std::vector<std::vector<float>>> results;
    for (unsigned multiprocessors : {1u, 5u}) {
        Model source(sizes, "attention=0");
        DeviceModel<> gpu(source);
        emulation::machine.multiprocessors = multiprocessors;
        emulation::schedule = multiprocessors;
        ASSERT_EQ(gpu.create(), LOPT_OK) << lopt_last_error();
        gpu.run(0, 2);
        results.push_back(gpu.read());
    }
    EXPECT_EQ(results[0], results[1]);
}

// What stands around a tensor must not matter, above all to a tail that fills no tile.
TEST_F(Scheduled, AnyAlignment) {
    for (const auto &[weights, state] : {std::pair("attention=1", "fp32"), {"attention=1", "mixed"}, {"attention=0", "mixed"}}) {
        std::vector<std::vector<float>> first;
        for (size_t offset = 0; offset < 4; offset++) {
            Model source({33, 4097, 1}, weights);
            DeviceModel<> gpu(source, 0, offset);
            lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
            o.state_dtype = state;
            ASSERT_EQ(gpu.create(o), LOPT_OK) << lopt_last_error();
            gpu.run(0, 2);
            if (offset == 0) first = gpu.read();
            EXPECT_EQ(gpu.read(), first) << weights << " " << state << " " << offset;
        }
    }
}

struct CudaStep : OnGpu {};

TEST_F(CudaStep, NeitherAllocatesNorWaitsAndTakesPointersByValue) {
    Model source({1, 300, 5000}), same({1, 300, 5000});
    DeviceModel<> gpu(source), once(same);
    ASSERT_EQ(gpu.create(), LOPT_OK);
    ASSERT_EQ(once.create(), LOPT_OK);
    source.gradients(0);
    gpu.write_grads();
    same.gradients(0);
    once.write_grads();
    const auto before = gpu.params[1].read();
    const size_t allocations = emulation::machine.allocations, waits = emulation::machine.waits;
    {
        std::vector<float *> p = DeviceModel<>::pointers(gpu.params), g = DeviceModel<>::pointers(gpu.grads);
        for (int t = 0; t < 3; t++) {
            ASSERT_EQ(lopt_optimizer_step(gpu.opt.p, p.data(), const_cast<const float *const *>(g.data()), nullptr), LOPT_OK);
        }
        std::fill(p.begin(), p.end(), nullptr);
        std::fill(g.begin(), g.end(), nullptr);
    }
    ASSERT_EQ(lopt_optimizer_set_rates(gpu.opt.p, 1.0, 0.0, nullptr), LOPT_OK);
    EXPECT_EQ(emulation::machine.allocations, allocations);
    EXPECT_EQ(emulation::machine.waits, waits);
    for (int t = 0; t < 3; t++) ASSERT_EQ(once.step(), LOPT_OK);
    EXPECT_EQ(gpu.read(), once.read());
    EXPECT_NE(gpu.params[1].read(), before);
}

// Every call may have buffers of its own, at any address that numbers of the type may have, with anything in them.
TEST_F(CudaStep, ParametersAreWrittenWhereverTheyAreToBe) {
    for (int fused : {0, 1}) {
        Model source({33, 300}, "attention=1"), same({33, 300}, "attention=1");
        DeviceModel<> gpu(source), elsewhere(source, 0, 1), plain(same);
        gpu.fused = fused, plain.fused = 0;
        ASSERT_EQ(gpu.create(), LOPT_OK);
        ASSERT_EQ(plain.create(), LOPT_OK);
        for (uint64_t t = 0; t < 4; t++) {
            DeviceModel<> &to = t % 2 ? elsewhere : gpu;
            source.gradients(t);
            to.write_grads();
            for (auto &p : to.params) p.write(std::vector<float>(p.n, NAN));
            const std::vector<float *> p = to.pointers(to.params), g = to.pointers(to.grads);
            ASSERT_EQ(lopt_optimizer_step(gpu.opt.p, p.data(), const_cast<const float *const *>(g.data()), nullptr), LOPT_OK);
            plain.run(t, t + 1);
            EXPECT_EQ(to.read(), plain.read()) << fused << t;
        }
    }
}

TEST_F(CudaStep, RestingTensorsAreLeftAloneAndOutOfTheMeans) {
    Model cpu({50, 5000, 7}), source({50, 5000, 7});
    DeviceModel<> gpu(source);
    ASSERT_EQ(cpu.create(), LOPT_OK);
    ASSERT_EQ(gpu.create(), LOPT_OK);
    const std::vector<std::vector<bool>> rest = {
        {true, false, false}, {false, true, false}, {true, true, true}, {false, false, true}, {}};
    for (uint64_t t = 0; t < rest.size(); t++) {
        const auto before = gpu.read();
        cpu.gradients(t);
        source.gradients(t);
        gpu.write_grads();
        ASSERT_EQ(cpu.step(rest[t]), LOPT_OK);
        ASSERT_EQ(gpu.step(rest[t]), LOPT_OK) << lopt_last_error();
        const auto after = gpu.read();
        EXPECT_LT(distance(after, cpu.params), 1.0) << t;
        expect_close_states(gpu.opt.p, cpu.opt.p);
        for (size_t i = 0; i < rest[t].size(); i++) EXPECT_EQ(before[i] == after[i], rest[t][i]) << t << " " << i;
    }
}

TEST_F(CudaStep, NonFiniteGradientsSkipTheStep) {
    const Sizes sizes = {10, 700};
    for (float bad : {NAN, INFINITY, -INFINITY, 2e18f}) {
        for (size_t place : {size_t(0), size_t(699)}) {
            Model source(sizes), same(sizes);
            DeviceModel<> gpu(source), clean(same);
            ASSERT_EQ(gpu.create(), LOPT_OK);
            ASSERT_EQ(clean.create(), LOPT_OK);
            gpu.run(0, 1);
            clean.run(0, 1);
            const auto before = gpu.read();
            source.gradients(1);
            source.grads[1][place] = bad;
            gpu.write_grads();
            ASSERT_EQ(gpu.step(), LOPT_OK);
            EXPECT_EQ(gpu.read(), before);
            EXPECT_EQ(lopt_optimizer_skipped(gpu.opt.p), 1u);
            gpu.run(2, 4);
            clean.run(2, 4);
            EXPECT_EQ(gpu.read(), clean.read()) << bad; // neither parameters nor state had changed
        }
    }
}

// A bad entry at any of these places of a tensor of n is found.
template <class G>
void find_bad_entries(size_t n, const std::vector<size_t> &places, size_t offset, const char *type, G (*to_grad)(float)) {
    Model source({n});
    DeviceModel<float, G> gpu(source, 0, offset);
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    o.grad_dtype = type;
    ASSERT_EQ(gpu.create(o), LOPT_OK) << lopt_last_error();
    std::vector<G> grads(n, to_grad(0.5f));
    uint64_t skipped = 0;
    for (size_t place : places) {
        grads[place] = to_grad(INFINITY);
        gpu.grads[0].write(grads);
        ASSERT_EQ(gpu.step(), LOPT_OK) << lopt_last_error();
        ASSERT_EQ(lopt_optimizer_skipped(gpu.opt.p), ++skipped) << type << ", entry " << place << " of " << n;
        grads[place] = to_grad(0.5f);
    }
}
TEST_F(CudaStep, EveryEntryIsLookedAt) { // by vectors and, at an odd address, one at a time
    std::vector<size_t> places;
    for (size_t place = 0; place < 267; place++) places.push_back(place);
    for (size_t offset : {0, 1}) {
        find_bad_entries<float>(267, places, offset, "fp32", [](float x) { return x; });
        find_bad_entries<uint16_t>(267, places, offset, "bf16", float_to_bf16);
        find_bad_entries<uint16_t>(267, places, offset, "fp16", float_to_fp16);
    }
}
TEST_F(CudaStep, EveryEntryIsLookedAtInLargerChunks) { // of 4,096: all that a thread reads at once
    const size_t n = 528 * 4096;
    ASSERT_EQ(cuda_chunk_size(&n, 1), 4096u);
    std::vector<size_t> places;
    for (size_t k = 0; k < 8; k++) places.push_back(7 * 4096 + k * 512 + 301);
    find_bad_entries<float>(n, places, 0, "fp32", [](float x) { return x; });
    find_bad_entries<uint16_t>(n, {8191, n - 1}, 0, "bf16", float_to_bf16);
}

TEST_F(CudaStep, NonFiniteEntriesReadAsZeroWhenAsked) {
    Model source({10, 5000}), zeros({10, 5000});
    DeviceModel<> gpu(source), other(zeros);
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    o.nonfinite = "zero";
    ASSERT_EQ(gpu.create(o), LOPT_OK);
    ASSERT_EQ(other.create(), LOPT_OK);
    for (uint64_t t = 0; t < 3; t++) {
        source.gradients(t);
        zeros.gradients(t);
        source.grads[1][7] = NAN, source.grads[1][4999] = -INFINITY, source.grads[0][t] = 1.1e18f;
        zeros.grads[1][7] = zeros.grads[1][4999] = zeros.grads[0][t] = 0.0f;
        gpu.write_grads();
        other.write_grads();
        ASSERT_EQ(gpu.step(), LOPT_OK);
        ASSERT_EQ(other.step(), LOPT_OK);
    }
    EXPECT_EQ(gpu.read(), other.read());
    EXPECT_EQ(lopt_optimizer_skipped(gpu.opt.p), 0u);
}

TEST_F(CudaStep, GradientScaleDividesAndFoundInfSkips) {
    Model source({10, 5000}), same({10, 5000});
    DeviceModel<> gpu(source), plain(same);
    float factor = 1024.0f;
    DeviceArray<float> scale(std::vector<float>{factor}), found(std::vector<float>{0.0f});
    ASSERT_EQ(gpu.create(), LOPT_OK);
    ASSERT_EQ(plain.create(), LOPT_OK);
    ASSERT_EQ(lopt_optimizer_set_scaler(gpu.opt.p, scale.data(), found.data()), LOPT_OK) << lopt_last_error();
    for (uint64_t t = 0; t < 4; t++) {
        source.gradients(t);
        same.gradients(t);
        for (auto &g : source.grads)
            for (float &x : g) x *= factor;
        gpu.write_grads();
        plain.write_grads();
        if (t == 2) {
            const auto before = gpu.read();
            found.write({1.0f});
            ASSERT_EQ(gpu.step(), LOPT_OK);
            EXPECT_EQ(gpu.read(), before);
            found.write({0.0f});
        }
        ASSERT_EQ(gpu.step(), LOPT_OK);
        ASSERT_EQ(plain.step(), LOPT_OK);
        EXPECT_EQ(gpu.read(), plain.read()) << t;
        scale.write({factor *= 2});
    }
    EXPECT_EQ(lopt_optimizer_skipped(gpu.opt.p), 1u);
    // without found_inf lopt looks itself, after the division
    ASSERT_EQ(lopt_optimizer_set_scaler(gpu.opt.p, scale.data(), nullptr), LOPT_OK);
    scale.write({0.0f});
    ASSERT_EQ(gpu.step(), LOPT_OK);
    EXPECT_EQ(lopt_optimizer_skipped(gpu.opt.p), 2u);
}

TEST_F(CudaStep, FoundInfIsSetByAnythingButZero) {
    Model source({10});
    DeviceModel<> gpu(source);
    DeviceArray<float> found(std::vector<float>{0.0f});
    uint64_t skipped = 0;
    ASSERT_EQ(gpu.create(), LOPT_OK);
    source.gradients(0);
    gpu.write_grads();
    ASSERT_EQ(lopt_optimizer_set_scaler(gpu.opt.p, nullptr, found.data()), LOPT_OK) << lopt_last_error();
    for (float x : {1.0f, 0.0f, -0.0f, -3.0f, NAN, INFINITY, 1e-45f}) { // the last one has the bits of an integer 1
        found.write({x});
        ASSERT_EQ(gpu.step(), LOPT_OK);
        skipped += x != 0.0f;
        EXPECT_EQ(lopt_optimizer_skipped(gpu.opt.p), skipped) << x;
    }
}

// 16-bit buffers are the fp32 run's, rounded: true parameters stay fp32 inside.
template <class Check>
void follow_the_float_run(const char *weights, const char *type, size_t offset, uint16_t (*to)(float), float (*from)(uint16_t),
                          Check check) {
    const Sizes sizes = {33, 4100};
    Model source(sizes, weights), same(sizes, weights);
    DeviceModel<uint16_t, uint16_t> half(source, 0, offset);
    DeviceModel<> whole(same);
    DeviceArray<float> found(std::vector<float>{0.0f});
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    o.param_dtype = o.grad_dtype = type;
    half.to_param = half.to_grad = to;
    for (auto &p : same.params)
        for (float &x : p) x = from(to(x));
    ASSERT_EQ(half.create(o), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(whole.create(), LOPT_OK);
    for (auto *opt : {half.opt.p, whole.opt.p}) ASSERT_EQ(lopt_optimizer_set_scaler(opt, nullptr, found.data()), LOPT_OK);
    for (uint64_t t = 0; t < 4; t++) {
        found.write({t == 2 ? 1.0f : 0.0f});
        source.gradients(t);
        same.gradients(t);
        for (auto &g : same.grads)
            for (float &x : g) x = from(to(x));
        half.write_grads();
        whole.write_grads();
        ASSERT_EQ(half.step(), LOPT_OK);
        ASSERT_EQ(whole.step(), LOPT_OK);
    }
    check(half, whole, to);
}
void expect_rounded(DeviceModel<uint16_t, uint16_t> &half, DeviceModel<> &whole, uint16_t (*to)(float)) {
    const auto got = half.read();
    const auto want = whole.read();
    for (size_t i = 0; i < want.size(); i++)
        for (size_t j = 0; j < want[i].size(); j++) ASSERT_EQ(got[i][j], to(want[i][j])) << i << " " << j;
    EXPECT_EQ(half.true_params(), whole.true_params());
    EXPECT_EQ(lopt_optimizer_skipped(half.opt.p), 1u);
}
TEST_F(CudaStep, SixteenBitNumbersFollowTheFloatRun) {
    for (const char *weights : {"attention=1", "attention=0"})
        for (size_t offset : {0, 1}) { // at a multiple of 16 bytes, and of no more than 2
            follow_the_float_run(weights, "bf16", offset, float_to_bf16, bf16_to_float, expect_rounded);
            follow_the_float_run(weights, "fp16", offset, float_to_fp16, fp16_to_float, expect_rounded);
        }
}

// The state of a swapped optimizer holds both: the CPU gives the attended ones back.
TEST_F(CudaStep, SixteenBitNumbersAreSwappedAndSet) {
    Model source({33, 700});
    DeviceModel<uint16_t, uint16_t> gpu(source);
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    o.param_dtype = o.grad_dtype = "bf16";
    gpu.to_param = gpu.to_grad = float_to_bf16;
    ASSERT_EQ(gpu.create(o), LOPT_OK) << lopt_last_error();
    gpu.run(0, 2);
    const auto attended = gpu.read();
    auto truth = gpu.read(), on_host = gpu.read();
    const auto exact = gpu.true_params();
    for (size_t i = 0; i < exact.size(); i++)
        std::transform(exact[i].begin(), exact[i].end(), truth[i].begin(), [](float x) { return float_to_bf16(x); });
    ASSERT_NE(truth, attended);
    ASSERT_EQ(gpu.swap(), LOPT_OK) << lopt_last_error();
    EXPECT_EQ(gpu.read(), truth);
    ScratchDir dir;
    Optimizer cpu;
    std::vector<float *> host;
    for (auto &p : on_host) host.push_back(reinterpret_cast<float *>(p.data()));
    ASSERT_EQ(lopt_optimizer_save(gpu.opt.p, (dir / "s").c_str()), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(lopt_optimizer_create(source.weights.p, &o, host.size(), source.counts.data(), host.data(), nullptr, &cpu.p),
              LOPT_OK);
    ASSERT_EQ(lopt_optimizer_load(cpu.p, (dir / "s").c_str()), LOPT_OK) << lopt_last_error();
    for (auto &p : on_host) std::fill(p.begin(), p.end(), uint16_t(0));
    ASSERT_EQ(lopt_optimizer_swap(cpu.p, host.data(), nullptr), LOPT_OK);
    EXPECT_EQ(on_host, attended);
    ASSERT_EQ(gpu.swap(), LOPT_OK);
    EXPECT_EQ(gpu.read(), attended);
    for (auto &p : source.params) std::iota(p.begin(), p.end(), -30.0f);
    gpu.write_params();
    ASSERT_EQ(lopt_optimizer_set_params(gpu.opt.p, gpu.pointers(gpu.params).data(), nullptr), LOPT_OK) << lopt_last_error();
    for (auto &p : source.params)
        for (float &x : p) x = bf16_to_float(float_to_bf16(x));
    EXPECT_EQ(gpu.true_params(), source.params);
}

TEST_F(CudaStep, SwapShowsTheTrueParametersAndComesBack) {
    for (const auto &[weights, state] :
         {std::pair("attention=1", "fp32"), {"attention=0", "fp32"}, {"attention=1", "mixed"}, {"attention=0", "mixed"}}) {
        Model source({33, 2000}, weights), same({33, 2000}, weights);
        DeviceModel<> gpu(source), other(same);
        lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
        o.state_dtype = state;
        ASSERT_EQ(gpu.create(o), LOPT_OK);
        ASSERT_EQ(other.create(o), LOPT_OK);
        gpu.run(0, 2);
        other.run(0, 2);
        const auto attended = gpu.read(), truth = gpu.true_params();
        ASSERT_EQ(gpu.swap(), LOPT_OK);
        EXPECT_EQ(gpu.read(), truth);
        EXPECT_EQ(gpu.step(), LOPT_ERR_ARGUMENT);
        gpu.params[0].write(std::vector<float>(33, 7.0f)); // whatever happens to the buffers while swapped
        ASSERT_EQ(gpu.swap(), LOPT_OK);
        EXPECT_EQ(gpu.read(), attended);
        gpu.run(2, 4);
        other.run(2, 4);
        EXPECT_EQ(gpu.read(), other.read());
    }
}

TEST_F(CudaStep, SetParamsMakesThemTrueAndAttended) {
    Model cpu({33, 5000}), source({33, 5000});
    DeviceModel<> gpu(source);
    ASSERT_EQ(cpu.create(), LOPT_OK);
    ASSERT_EQ(gpu.create(), LOPT_OK);
    cpu.run(0, 2);
    gpu.run(0, 2);
    for (auto &p : cpu.params) std::iota(p.begin(), p.end(), -3.0f);
    source.params = cpu.params;
    gpu.write_params();
    ASSERT_EQ(lopt_optimizer_set_params(cpu.opt.p, Model::pointers(cpu.params).data(), nullptr), LOPT_OK);
    ASSERT_EQ(lopt_optimizer_set_params(gpu.opt.p, DeviceModel<>::pointers(gpu.params).data(), nullptr), LOPT_OK);
    EXPECT_EQ(gpu.true_params(), cpu.params);
    cpu.run(2, 3);
    gpu.run(2, 3);
    EXPECT_LT(distance(gpu.read(), cpu.params), 1.0);
    // while swapped they become what comes back too
    ASSERT_EQ(gpu.swap(), LOPT_OK);
    for (auto &p : source.params) std::iota(p.begin(), p.end(), 5.0f);
    gpu.write_params();
    ASSERT_EQ(lopt_optimizer_set_params(gpu.opt.p, DeviceModel<>::pointers(gpu.params).data(), nullptr), LOPT_OK);
    ASSERT_EQ(gpu.swap(), LOPT_OK);
    EXPECT_EQ(gpu.read(), source.params);
    EXPECT_EQ(gpu.true_params(), source.params);
}

TEST_F(CudaStep, MemoryIsAsDocumented) {
    const size_t n = 4000000;
    for (const char *type : {"fp32", "bf16"}) {
        Model source({n});
        DeviceModel<> gpu(source); // fp32 buffers are large enough for both
        lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
        o.param_dtype = type;
        ASSERT_EQ(gpu.create(o), LOPT_OK) << lopt_last_error();
        const double each = double(lopt_optimizer_memory(gpu.opt.p)) / n;
        EXPECT_LE(each, type[0] == 'b' ? 88.2 : 84.2);
        EXPECT_GE(each, type[0] == 'b' ? 88.0 : 84.0);
    }
}

} // namespace
