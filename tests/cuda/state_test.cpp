// State files of the GPU and of the CPU are one format: going on on either gives what never having stopped gives.
#include "tests/cuda/support.h"

namespace {

struct CudaState : OnGpu {
    ScratchDir dir;
    const std::string path = dir / "s";
};

class CudaResume : public CudaState, public ::testing::WithParamInterface<const char *> {};

class CudaResumeSizes : public CudaState, public ::testing::WithParamInterface<std::pair<const char *, std::vector<size_t>>> {};

// A single tensor of few parameters: there the mean of all learning rates shows the last bit of its sum.
INSTANTIATE_TEST_SUITE_P(Sizes, CudaResumeSizes,
                         ::testing::Values(std::pair("attention=1", std::vector<size_t>{3, 5001, 40, 33}),
                                           std::pair("attention=0", std::vector<size_t>{1300}),
                                           std::pair("attention=0", std::vector<size_t>{66 * 256, 70}),
                                           std::pair("param=4,tensor=3,global=2,scales=1", std::vector<size_t>{3, 1000, 40})));

TEST_P(CudaResumeSizes, SameBitsAsNeverHavingStopped) {
    const auto &[weights, sizes] = GetParam();
    Model a(sizes, weights), b(sizes, weights), c(sizes, weights);
    DeviceModel<> whole(a), first(b), second(c);
    ASSERT_EQ(whole.create(), LOPT_OK);
    ASSERT_EQ(first.create(), LOPT_OK);
    whole.run(0, 5);
    first.run(0, 3);
    ASSERT_EQ(lopt_optimizer_save(first.opt.p, path.c_str()), LOPT_OK) << lopt_last_error();
    c.params = first.read();
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    o.seed = 99; // the state brings everything that the seed once drew
    ASSERT_EQ(second.create(o), LOPT_OK);
    ASSERT_EQ(lopt_optimizer_load(second.opt.p, path.c_str()), LOPT_OK) << lopt_last_error();
    second.run(3, 5);
    EXPECT_EQ(second.read(), whole.read());
    EXPECT_EQ(second.true_params(), whole.true_params());
}

// There and back: the file is the same, but for what says who wrote it.
TEST_P(CudaResume, FromCpuToGpuAndBack) {
    const std::vector<size_t> sizes = {3, 4100, 33};
    Model cpu(sizes, GetParam()), other(sizes, GetParam()), source(sizes, GetParam());
    DeviceModel<> gpu(source);
    ASSERT_EQ(cpu.create(), LOPT_OK);
    cpu.run(0, 3);
    ASSERT_EQ(lopt_optimizer_save(cpu.opt.p, path.c_str()), LOPT_OK) << lopt_last_error();
    source.params = cpu.params;
    ASSERT_EQ(gpu.create(), LOPT_OK);
    ASSERT_EQ(lopt_optimizer_load(gpu.opt.p, path.c_str()), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(lopt_optimizer_save(gpu.opt.p, (dir / "again").c_str()), LOPT_OK) << lopt_last_error();
    EXPECT_EQ(read_file(path), read_file(dir / "again"));
    cpu.run(3, 5);
    gpu.run(3, 5);
    EXPECT_LT(distance(gpu.read(), cpu.params), 1.0);
    ASSERT_EQ(lopt_optimizer_save(gpu.opt.p, path.c_str()), LOPT_OK);
    other.params = gpu.read();
    ASSERT_EQ(other.create(), LOPT_OK);
    ASSERT_EQ(lopt_optimizer_load(other.opt.p, path.c_str()), LOPT_OK) << lopt_last_error();
    other.run(5, 7);
    gpu.run(5, 7);
    EXPECT_LT(distance(gpu.read(), other.params), 1.0);
}
INSTANTIATE_TEST_SUITE_P(Options, CudaResume,
                         ::testing::Values("attention=1", "attention=0",
                                           "param=4,tensor=3,global=2,scales=1,grad_products=0,relative_lr=0"));

struct CudaKept : CudaState, ::testing::WithParamInterface<const char *> {};

TEST_P(CudaKept, RestingSkippedAndSwappedAre) {
    Model a({30, 20}), b({30, 20});
    DeviceModel<> one(a), two(b);
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    o.state_dtype = GetParam();
    ASSERT_EQ(one.create(o), LOPT_OK);
    ASSERT_EQ(two.create(o), LOPT_OK);
    a.gradients(0);
    one.write_grads();
    ASSERT_EQ(one.step({false, true}), LOPT_OK);
    a.grads[0][3] = NAN;
    one.write_grads();
    ASSERT_EQ(one.step(), LOPT_OK);
    const auto attended = one.read();
    ASSERT_EQ(one.swap(), LOPT_OK);
    ASSERT_EQ(lopt_optimizer_save(one.opt.p, path.c_str()), LOPT_OK);
    ASSERT_EQ(lopt_optimizer_load(two.opt.p, path.c_str()), LOPT_OK) << lopt_last_error();
    EXPECT_EQ(lopt_optimizer_skipped(two.opt.p), 1u);
    EXPECT_EQ(two.step(), LOPT_ERR_ARGUMENT);
    ASSERT_EQ(two.swap(), LOPT_OK);
    ASSERT_EQ(one.swap(), LOPT_OK);
    EXPECT_EQ(two.read(), attended);
    one.run(1, 3); // the second tensor's first step
    two.run(1, 3);
    EXPECT_EQ(two.read(), one.read());
}

INSTANTIATE_TEST_SUITE_P(States, CudaKept, ::testing::Values("fp32", "mixed"));

// What stands in the queue of a stream that waits for no other comes first.
struct CudaPending : TwoStreams {};
TEST_F(CudaPending, WorkIsWaitedFor) {
    Model a_model({33, 70}), b_model({33, 70});
    DeviceModel<> gpu(a_model), plain(b_model);
    ScratchDir dir;
    gpu.stream = a;
    for (auto *m : {&gpu, &plain}) {
        ASSERT_EQ(m->create(), LOPT_OK) << lopt_last_error();
        m->host.gradients(0);
        m->write_grads();
        ASSERT_EQ(m->step(), LOPT_OK);
        ASSERT_EQ(m->step(), LOPT_OK);
        ASSERT_EQ(lopt_optimizer_save(m->opt.p, (dir / (m == &gpu ? "gpu" : "plain")).c_str()), LOPT_OK) << lopt_last_error();
    }
    EXPECT_TRUE(read_file(dir / "gpu") == read_file(dir / "plain"));
    ASSERT_EQ(gpu.step(), LOPT_OK); // which the state that is loaded does not have
    ASSERT_EQ(lopt_optimizer_load(gpu.opt.p, (dir / "plain").c_str()), LOPT_OK) << lopt_last_error();
    for (auto *m : {&gpu, &plain}) ASSERT_EQ(m->step(), LOPT_OK);
    EXPECT_EQ(gpu.read(), plain.read());
    gpu.grads[0].write(std::vector<float>(33, NAN));
    for (int t = 0; t < 3; t++) ASSERT_EQ(gpu.step(), LOPT_OK);
    EXPECT_EQ(lopt_optimizer_skipped(gpu.opt.p), 3u);
    ASSERT_EQ(gpu.step(), LOPT_OK);
    lopt_optimizer_free(gpu.opt.p);
    gpu.opt.p = nullptr;
    EXPECT_EQ(gpu.read(), plain.read());
}

TEST_F(CudaState, RefusesWhatDoesNotBelongAndGoesOn) {
    Model a({30, 20}), b({30, 21}), c({30, 20});
    DeviceModel<> one(a), other(b), same(c);
    ASSERT_EQ(one.create(), LOPT_OK);
    ASSERT_EQ(other.create(), LOPT_OK);
    ASSERT_EQ(same.create(), LOPT_OK);
    one.run(0, 1);
    same.run(0, 1);
    ASSERT_EQ(lopt_optimizer_save(other.opt.p, path.c_str()), LOPT_OK);
    EXPECT_EQ(lopt_optimizer_load(one.opt.p, path.c_str()), LOPT_ERR_FORMAT);
    EXPECT_EQ(lopt_optimizer_load(one.opt.p, (dir / "missing").c_str()), LOPT_ERR_IO);
    one.run(1, 2);
    same.run(1, 2);
    EXPECT_EQ(one.read(), same.read());
}

} // namespace
