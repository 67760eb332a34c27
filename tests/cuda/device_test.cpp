// The public calls on a device that is known by gpu_runtime alone: on the GPU of this machine, skipped where there is none, and on the emulated
// one, which says that the tests themselves are right.
#include "tests/cuda/rig.h"

extern "C" {
#include "tasks/task.h"
}

namespace {

const std::vector<size_t> SIZES = {1, 31, 9000, 33, 4097, 64, 9};

TEST_P(OnDevice, AgreesWithTheCpu) {
    for (const char *weights : {"attention=1", "attention=0", "param=7,scales=3,tensor=40"}) {
        Model cpu(SIZES, weights), source(SIZES, weights);
        Rig rig(gpu, source);
        lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
        o.weight_decay = 0.01;
        ASSERT_EQ(cpu.create(&o), LOPT_OK);
        ASSERT_EQ(rig.create(), LOPT_OK) << lopt_last_error();
        cpu.run(0, 5);
        rig.run(0, 5);
        EXPECT_LT(distance(rig.read(), cpu.params), 1.0) << weights;
        expect_close_states(rig.opt.p, cpu.opt.p);
    }
}

TEST_P(OnDevice, EveryRunHasTheSameBits) {
    Model a(SIZES), b(SIZES);
    Rig one(gpu, a), two(gpu, b);
    ASSERT_EQ(one.create(), LOPT_OK);
    ASSERT_EQ(two.create(), LOPT_OK);
    one.run(0, 5);
    two.run(0, 5);
    EXPECT_EQ(one.read(), two.read());
}

TEST_P(OnDevice, ReplayedGraphsAreStepsAndFollowRatesAndScaler) {
    Model a(SIZES), b(SIZES);
    Rig graphed(gpu, a), plain(gpu, b);
    void *graph = nullptr;
    float *scaler = plain.allocate(2); // grad_scale, found_inf
    ASSERT_EQ(graphed.create(), LOPT_OK);
    ASSERT_EQ(plain.create(), LOPT_OK);
    ASSERT_EQ(lopt_optimizer_set_scaler(graphed.opt.p, scaler, scaler + 1), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(lopt_optimizer_set_scaler(plain.opt.p, scaler, scaler + 1), LOPT_OK);
    ASSERT_EQ(gpu->capture_begin(0, graphed.stream), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(graphed.step(), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(gpu->capture_end(0, graphed.stream, &graph), LOPT_OK) << lopt_last_error();
    for (uint64_t t = 0; t < 4; t++) {
        const float scale_and_found[2] = {t == 1 ? 64.0f : 1.0f, t == 2 ? 1.0f : 0.0f};
        a.gradients(t);
        b.gradients(t);
        graphed.write(graphed.grads, a.grads);
        plain.write(plain.grads, b.grads);
        ASSERT_EQ(gpu->upload(0, scaler, scale_and_found, sizeof scale_and_found, plain.stream), LOPT_OK);
        for (Rig *r : {&graphed, &plain}) {
            ASSERT_EQ(lopt_optimizer_set_rates(r->opt.p, 1.0 / double(t + 1), 0.1, r->stream), LOPT_OK);
        }
        ASSERT_EQ(gpu->graph_launch(0, graph, graphed.stream), LOPT_OK) << lopt_last_error();
        ASSERT_EQ(plain.step(), LOPT_OK);
        EXPECT_EQ(graphed.read(), plain.read()) << t;
    }
    EXPECT_EQ(lopt_optimizer_skipped(graphed.opt.p), 1u);
    ASSERT_EQ(gpu->wait(0), LOPT_OK);
    gpu->graph_destroy(0, graph);
    gpu->release(0, scaler);
}

TEST_P(OnDevice, TwoStreamsAtOnce) {
    Model a(SIZES), b(SIZES), c(SIZES);
    Rig one(gpu, a), two(gpu, b), alone(gpu, c);
    for (Rig *r : {&one, &two, &alone}) ASSERT_EQ(r->create(), LOPT_OK);
    for (Rig *r : {&one, &two, &alone}) {
        r->host.gradients(0);
        r->write(r->grads, r->host.grads);
    }
    for (int t = 0; t < 4; t++) {
        ASSERT_EQ(one.step(), LOPT_OK);
        ASSERT_EQ(two.step(), LOPT_OK);
    }
    const auto first = one.read(), second = two.read();
    for (int t = 0; t < 4; t++) ASSERT_EQ(alone.step(), LOPT_OK);
    EXPECT_EQ(first, alone.read());
    EXPECT_EQ(second, alone.read());
}

TEST_P(OnDevice, NonFiniteGradientsSkipTheStep) {
    Model a(SIZES);
    Rig rig(gpu, a);
    ASSERT_EQ(rig.create(), LOPT_OK);
    rig.run(0, 1);
    const auto before = rig.read();
    a.grads[2][8999] = NAN;
    rig.write(rig.grads, a.grads);
    ASSERT_EQ(rig.step(), LOPT_OK);
    EXPECT_EQ(rig.read(), before);
    EXPECT_EQ(lopt_optimizer_skipped(rig.opt.p), 1u);
}

TEST_P(OnDevice, HostPointersAreRefused) {
    Model a({40, 3});
    Rig rig(gpu, a);
    ASSERT_EQ(rig.create(), LOPT_OK);
    std::vector<float *> host = Model::pointers(a.params);
    EXPECT_EQ(lopt_optimizer_step(rig.opt.p, host.data(), rig.grads.data(), rig.stream), LOPT_ERR_ARGUMENT);
    EXPECT_NE(std::string(lopt_last_error()).find("memory of the host"), std::string::npos) << lopt_last_error();
    EXPECT_EQ(rig.step(), LOPT_OK) << lopt_last_error();
}

// Real digits: loss on all training images after some steps from one start with the same minibatches, as a share of that at the start.
double digits_loss(const gpu_runtime *gpu, const char *state, uint64_t steps) {
    Task task;
    EXPECT_EQ(lopt_task_create("digits_mlp", 1, &task.p), LOPT_OK) << lopt_last_error();
    const std::vector<size_t> counts(task_counts(task.p), task_counts(task.p) + task_num_tensors(task.p));
    Model m(counts);
    lopt_weights *shipped = nullptr;
    EXPECT_EQ(lopt_weights_load(LOPT_SOURCE_DIR "/weights/hrnn-10-30-20.safetensors", &shipped), LOPT_OK) << lopt_last_error();
    lopt_weights_free(m.weights.p);
    m.weights.p = shipped;
    std::vector<float> flat(task_total(task.p)), grad(flat.size()), workspace(task_workspace(task.p) + 16);
    float *scratch = workspace.data() + (64 - reinterpret_cast<uintptr_t>(workspace.data()) % 64) % 64 / 4;
    auto split = [&](const std::vector<float> &from, std::vector<std::vector<float>> &to) {
        size_t at = 0;
        for (auto &t : to) std::copy_n(from.begin() + std::ptrdiff_t(at), t.size(), t.begin()), at += t.size();
    };
    auto join = [&](const std::vector<std::vector<float>> &from) {
        size_t at = 0;
        for (auto &t : from) std::copy(t.begin(), t.end(), flat.begin() + std::ptrdiff_t(at)), at += t.size();
    };
    double first = 0.0, last = 0.0;
    EXPECT_EQ(task_init(task.p, 7, flat.data()), LOPT_OK);
    EXPECT_EQ(task_full_loss_grad(task.p, flat.data(), &first, nullptr, scratch), LOPT_OK);
    split(flat, m.params);
    Rig rig(gpu, m);
    EXPECT_EQ(rig.create(state), LOPT_OK) << lopt_last_error();
    for (uint64_t t = 0; t < steps; t++) {
        join(rig.read());
        EXPECT_EQ(task_loss_grad(task.p, 7, t, flat.data(), nullptr, grad.data(), scratch), LOPT_OK);
        split(grad, m.grads);
        rig.write(rig.grads, m.grads);
        EXPECT_EQ(rig.step(), LOPT_OK) << lopt_last_error();
    }
    join(rig.read());
    EXPECT_EQ(task_full_loss_grad(task.p, flat.data(), &last, nullptr, scratch), LOPT_OK);
    return last / first;
}
TEST_P(OnDevice, MixedDescendsAsFp32Does) {
#ifdef LOPT_SANITIZE_ADDRESS
    GTEST_SKIP() << "half a minute, on code that shorter tests go through";
#endif
    const uint64_t steps = real() ? 1000 : 200;
    const double fp32 = digits_loss(gpu, "fp32", steps), mixed = digits_loss(gpu, "mixed", steps);
    EXPECT_LT(fp32, 0.1);
    EXPECT_LT(mixed, 0.1);
    // minibatches magnify any rounding: how far down is alike, not where
    EXPECT_GT(std::log(mixed) / std::log(fp32), 0.6) << fp32 << " " << mixed;
    EXPECT_LT(std::log(mixed) / std::log(fp32), 1 / 0.6) << fp32 << " " << mixed;
}

// More than 2^31 elements in one tensor: mixed state, bf16 numbers, 112 GB in all. Emulated, a few thousand.
TEST_P(OnDevice, MoreThan2To31Elements) {
    const size_t most = real() ? size_t(1) << 31 : 1 << 13, n = most + 5000;
    void *params = nullptr, *grads = nullptr;
    Weights w;
    Optimizer opt;
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    ASSERT_EQ(lopt_weights_init("attention=0", 1, &w.p), LOPT_OK);
    o.device = "cuda";
    o.state_dtype = "mixed";
    o.param_dtype = o.grad_dtype = "bf16";
    o.init_lr_min = o.init_lr_max = 1e-2; // what has the same gradient takes the same step
    lopt_status status = gpu->allocate(0, 2 * n, nullptr, &params);
    if (status == LOPT_OK) status = gpu->allocate(0, 2 * n, nullptr, &grads);
    float *p = static_cast<float *>(params);
    const float *g = static_cast<const float *>(grads);
    if (status == LOPT_OK) status = lopt_optimizer_create(w.p, &o, 1, &n, &p, nullptr, &opt.p);
    if (status == LOPT_OK) {
        const uint16_t one = 0x3f80;
        const std::vector<size_t> places = {0, 1, n / 2, most - 1, most, n - 2, n - 1}; // with a gradient: 0, 2, 4, 6
        std::vector<uint16_t> moved(places.size());
        auto *const at = static_cast<uint16_t *>(params), *const gradient = static_cast<uint16_t *>(grads);
        for (size_t k = 0; k < places.size(); k += 2) EXPECT_EQ(gpu->upload(0, gradient + places[k], &one, 2, nullptr), LOPT_OK);
        EXPECT_EQ(lopt_optimizer_step(opt.p, &p, &g, nullptr), LOPT_OK) << lopt_last_error();
        for (const char *what : {"step", "swap", "swap back"}) {
            const lopt_status swapped = what[1] == 'w' ? lopt_optimizer_swap(opt.p, &p, nullptr) : LOPT_OK;
            EXPECT_EQ(swapped, LOPT_OK) << lopt_last_error();
            for (size_t k = 0; k < places.size(); k++)
                EXPECT_EQ(gpu->download(0, &moved[k], at + places[k], 2, nullptr), LOPT_OK) << lopt_last_error();
            EXPECT_NE(moved[0], moved[1]) << what;
            for (size_t k = 2; k < places.size(); k++) EXPECT_EQ(moved[k], moved[k % 2]) << what << ", place " << places[k];
        }
    }
    const std::string reason = lopt_last_error();
    lopt_optimizer_free(opt.p);
    opt.p = nullptr;
    gpu->release(0, params);
    gpu->release(0, grads);
    if (status == LOPT_ERR_MEMORY) GTEST_SKIP() << reason;
    EXPECT_EQ(status, LOPT_OK) << reason;
}

// What `lopt bench step --device cuda` measures with.
TEST_P(OnDevice, StepsCanBeTimed) {
    const size_t counts[] = {1000, 7, 300};
    emulation::machine.memory_left = 64 << 20; // the copy is then the model's
    for (int graph : {0, 1}) {
        lopt_gpu_step_options o = LOPT_GPU_STEP_OPTIONS_INIT;
        lopt_gpu_step r;
        o.num_tensors = 3;
        o.counts = counts;
        o.graph = graph;
        o.seconds = 0.01;
        for (const char *type : {"fp32", "bf16", "fp16"}) {
            o.dtype = type;
            ASSERT_EQ(lopt_gpu_step_measure(&o, &r), LOPT_OK) << lopt_last_error();
            EXPECT_GT(r.seconds, 0.0);
            EXPECT_LE(r.low, r.seconds);
            EXPECT_LE(r.seconds, r.high);
            EXPECT_GT(r.copy_per_second, 0.0);
            EXPECT_GT(r.in_place_per_second, 0.0);
            EXPECT_GT(r.bytes_held, 84.0 * 1307);
        }
        for (const char *launches : {"auto", "phases", "fused"}) {
            o.launches = launches;
            EXPECT_EQ(lopt_gpu_step_measure(&o, &r), LOPT_OK) << lopt_last_error();
        }
        o.found_inf = 1;
        EXPECT_EQ(lopt_gpu_step_measure(&o, &r), LOPT_OK) << lopt_last_error();
        o.launches = "one";
        EXPECT_EQ(lopt_gpu_step_measure(&o, &r), LOPT_ERR_ARGUMENT);
        o.launches = nullptr;
        o.device = 999;
        EXPECT_EQ(lopt_gpu_step_measure(&o, &r), LOPT_ERR_ARGUMENT);
    }
}

// The bytes that a step's are compared with: each is turned over once.
TEST_P(OnDevice, AKernelInPlaceReachesEveryByte) {
    const size_t room = 3 << 16, vector = 16;
    void *memory = nullptr;
    ASSERT_EQ(gpu->allocate(0, room, nullptr, &memory), LOPT_OK) << lopt_last_error();
    for (size_t bytes : {vector, 31 * vector, 641 * vector, 20479 * vector / 2, room - vector}) {
        bytes -= bytes % vector;
        std::vector<uint32_t> numbers(room / sizeof(uint32_t));
        for (size_t i = 0; i < numbers.size(); i++) numbers[i] = uint32_t(i * 2654435761u);
        std::vector<uint32_t> want = numbers;
        for (size_t i = 0; i < bytes / sizeof(uint32_t); i++) want[i] ^= 0x80c0f001u;
        ASSERT_EQ(gpu->upload(0, memory, numbers.data(), room, nullptr), LOPT_OK);
        gpu_launch l;
        ASSERT_EQ(gpu->begin(0, nullptr, &l), LOPT_OK);
        gpu->kernels->in_place(&l, memory, bytes, 0x80c0f001u);
        ASSERT_EQ(gpu->end(&l), LOPT_OK) << lopt_last_error();
        ASSERT_EQ(gpu->download(0, numbers.data(), memory, room, nullptr), LOPT_OK);
        EXPECT_TRUE(numbers == want) << bytes;
    }
    gpu->release(0, memory);
}

INSTANTIATE_TEST_SUITE_P(Devices, OnDevice, ::testing::Values("Emulated", "Gpu"), device_name);

TEST_F(OnGpu, IsAvailableWhereThereIsADriver) {
    NEEDS_AN_EMULATED_GPU();
    EXPECT_EQ(lopt_device_available("cuda"), LOPT_OK) << lopt_last_error();
    emulation::machine.has_driver = false;
    EXPECT_EQ(lopt_device_available("cuda"), LOPT_ERR_DEVICE);
}

} // namespace
