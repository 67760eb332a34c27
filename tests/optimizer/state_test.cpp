// State files: going on gives the same bits, and what does not belong is refused without touching anything.
#include "tests/optimizer/support.h"
#include "tests/support/state_bytes.h"

extern "C" {
#include "csrc/optimizer/optimizer.h"
}

namespace {

class Resume : public ::testing::TestWithParam<const char *> {};

TEST_P(Resume, SameBitsAsNeverHavingStopped) {
    ScratchDir dir;
    Model whole({3, 4100, 40}, GetParam()), first({3, 4100, 40}, GetParam()), second({3, 4100, 40}, GetParam());
    ASSERT_EQ(whole.create(), LOPT_OK);
    ASSERT_EQ(first.create(), LOPT_OK);
    whole.run(0, 7);
    first.run(0, 4);
    ASSERT_EQ(lopt_optimizer_save(first.opt.p, (dir / "s").c_str()), LOPT_OK) << lopt_last_error();
    second.params = first.params;
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    o.seed = 99; // the state brings everything that the seed once drew
    ASSERT_EQ(second.create(&o), LOPT_OK);
    ASSERT_EQ(lopt_optimizer_load(second.opt.p, (dir / "s").c_str()), LOPT_OK) << lopt_last_error();
    second.run(4, 7);
    EXPECT_EQ(second.params, whole.params);
    EXPECT_EQ(second.true_params(), whole.true_params());
}
INSTANTIATE_TEST_SUITE_P(Options, Resume,
                         ::testing::Values("attention=1", "attention=0",
                                           "param=4,tensor=3,global=2,scales=1,grad_products=0,relative_lr=0",
                                           "param=17,scales=6,gradient_shortcut=0"));

TEST(State, BeforeTheFirstStepAndWithRestingTensors) {
    ScratchDir dir;
    Model a({30, 20}), b({30, 20});
    ASSERT_EQ(a.create(), LOPT_OK);
    ASSERT_EQ(b.create(), LOPT_OK);
    for (uint64_t t = 0; t < 3; t++) {
        ASSERT_EQ(lopt_optimizer_save(a.opt.p, (dir / "s").c_str()), LOPT_OK);
        ASSERT_EQ(b.create(), LOPT_OK);
        ASSERT_EQ(lopt_optimizer_load(b.opt.p, (dir / "s").c_str()), LOPT_OK) << lopt_last_error();
        b.params = a.params;
        a.gradients(t);
        b.gradients(t);
        ASSERT_EQ(a.step({false, t < 2}), LOPT_OK);
        ASSERT_EQ(b.step({false, t < 2}), LOPT_OK);
        EXPECT_EQ(a.params, b.params) << t;
    }
}

TEST(State, SwappedIsKept) {
    ScratchDir dir;
    Model a({30, 20}), b({30, 20});
    ASSERT_EQ(a.create(), LOPT_OK);
    ASSERT_EQ(b.create(), LOPT_OK);
    a.run(0, 3);
    const auto attended = a.params;
    ASSERT_EQ(a.swap(), LOPT_OK);
    ASSERT_EQ(lopt_optimizer_save(a.opt.p, (dir / "s").c_str()), LOPT_OK);
    b.params = a.params;
    ASSERT_EQ(lopt_optimizer_load(b.opt.p, (dir / "s").c_str()), LOPT_OK) << lopt_last_error();
    EXPECT_EQ(b.step(), LOPT_ERR_ARGUMENT);
    ASSERT_EQ(b.swap(), LOPT_OK);
    EXPECT_EQ(b.params, attended);
    ASSERT_EQ(a.swap(), LOPT_OK);
    a.run(3, 5);
    b.run(3, 5);
    EXPECT_EQ(a.params, b.params);
    // a state that was not swapped makes a swapped optimizer one that is not
    ASSERT_EQ(lopt_optimizer_save(a.opt.p, (dir / "plain").c_str()), LOPT_OK);
    ASSERT_EQ(b.swap(), LOPT_OK);
    ASSERT_EQ(lopt_optimizer_load(b.opt.p, (dir / "plain").c_str()), LOPT_OK);
    b.params = a.params;
    a.run(5, 6);
    b.run(5, 6);
    EXPECT_EQ(a.params, b.params);
}

TEST(State, SkippedStepsAreKept) {
    ScratchDir dir;
    Model a({5}), b({5});
    ASSERT_EQ(a.create(), LOPT_OK);
    ASSERT_EQ(b.create(), LOPT_OK);
    a.gradients(0);
    a.grads[0][0] = NAN;
    ASSERT_EQ(a.step(), LOPT_OK);
    ASSERT_EQ(lopt_optimizer_save(a.opt.p, (dir / "s").c_str()), LOPT_OK);
    ASSERT_EQ(lopt_optimizer_load(b.opt.p, (dir / "s").c_str()), LOPT_OK);
    EXPECT_EQ(lopt_optimizer_skipped(b.opt.p), 1u);
}

#ifdef __x86_64__
// Arithmetic on subnormals is many times slower: averages of gradients that vanish stop before they are.
TEST(State, VanishingGradientsLeaveNoSubnormals) {
    ScratchDir dir;
    Model m({37});
    ASSERT_EQ(m.create(), LOPT_OK);
    m.run(0, 1);
    for (float &x : m.grads[0]) x = 2e-39f;
    for (int t = 0; t < 3000; t++) ASSERT_EQ(m.step(), LOPT_OK);
    ASSERT_EQ(lopt_optimizer_save(m.opt.p, (dir / "s").c_str()), LOPT_OK);
    safetensors_file *f = nullptr;
    ASSERT_EQ(safetensors_open((dir / "s").c_str(), &f), LOPT_OK);
    const safetensors_tensor average = {"gradient_average.0", SAFETENSORS_F32, 2, {4, 37}};
    const void *data = nullptr;
    ASSERT_EQ(safetensors_data(f, &average, &data), LOPT_OK) << lopt_last_error();
    std::vector<float> got(148);
    std::memcpy(got.data(), data, 592);
    safetensors_close(f);
    for (float x : got) EXPECT_NE(std::fpclassify(x), FP_SUBNORMAL);
    for (size_t j = 0; j < 37; j++) EXPECT_LT(std::fabs(got[j]), 1e-36f) << j; // the shortest timescale has forgotten
    for (float x : m.params[0]) EXPECT_TRUE(std::isfinite(x));
    // the caller's own arithmetic is left as it was
    volatile float tiny = 1e-39f;
    EXPECT_EQ(tiny * 1e30f, float(1e-39f * 1e30f));
    EXPECT_GT(tiny * 1e30f, 0.0f);
}
#endif

TEST(State, RefusesWhatDoesNotBelong) {
    ScratchDir dir;
    Model a({30, 20}), other_sizes({30, 21}), fewer({30}), other_shape({30, 20}, "tensor=7"), other_weights({30, 20}, nullptr, 4);
    ASSERT_EQ(a.create(), LOPT_OK);
    a.run(0, 2);
    const std::string path = dir / "s", weights = dir / "w";
    ASSERT_EQ(lopt_optimizer_save(a.opt.p, path.c_str()), LOPT_OK);
    for (Model *m : {&other_sizes, &fewer, &other_shape, &other_weights}) {
        ASSERT_EQ(m->create(), LOPT_OK);
        EXPECT_EQ(lopt_optimizer_load(m->opt.p, path.c_str()), LOPT_ERR_FORMAT);
        EXPECT_NE(std::string(lopt_last_error()).find(path), std::string::npos);
    }
    EXPECT_NE(std::string(lopt_last_error()).find("other weights"), std::string::npos) << lopt_last_error();
    ASSERT_EQ(lopt_weights_save(a.weights.p, weights.c_str()), LOPT_OK);
    EXPECT_EQ(lopt_optimizer_load(a.opt.p, weights.c_str()), LOPT_ERR_FORMAT);
    EXPECT_EQ(lopt_optimizer_load(a.opt.p, (dir / "missing").c_str()), LOPT_ERR_IO);
    EXPECT_EQ(lopt_optimizer_save(a.opt.p, "/nonexistent/dir/s"), LOPT_ERR_IO);
    // tensor sizes, not only their sum
    Model swapped_sizes({20, 30});
    ASSERT_EQ(swapped_sizes.create(), LOPT_OK);
    EXPECT_EQ(lopt_optimizer_load(swapped_sizes.opt.p, path.c_str()), LOPT_ERR_FORMAT);
}

// Two optimizers that are as far as each other, and the state of the first in a file.
struct SavedTwin {
    ScratchDir dir;
    Model a, same;
    const std::string path = dir / "s";
    std::string good;
    explicit SavedTwin(const std::vector<size_t> &sizes, const char *options = nullptr) : a(sizes, options), same(sizes, options) {
        for (Model *m : {&a, &same}) {
            EXPECT_EQ(m->create(), LOPT_OK) << lopt_last_error();
            m->run(0, 2);
        }
        EXPECT_EQ(lopt_optimizer_save(a.opt.p, path.c_str()), LOPT_OK) << lopt_last_error();
        good = read_file(path);
    }
};

// Whoever wrote them: steps would make numbers of them, and updates that look like any others.
TEST(State, RefusesNumbersThatAreNone) {
    SavedTwin t({30, 20});
    Model &a = t.a, &same = t.same;
    const std::string &path = t.path, &good = t.good;
    for (const char *tensor : {"hidden.1", "gradient_average.0", "mean_square.1", "log_lr.0", "tensor_state.1", "global_state"})
        for (const float wrong : {NAN, INFINITY, -INFINITY}) {
            write_file(path, number_changed(good, tensor, 5, wrong));
            EXPECT_EQ(lopt_optimizer_load(a.opt.p, path.c_str()), LOPT_ERR_FORMAT) << tensor;
            EXPECT_NE(std::string(lopt_last_error()).find(tensor), std::string::npos) << lopt_last_error();
        }
    write_file(path, number_changed(good, "mean_square.1", 5, -1e-6f));
    EXPECT_EQ(lopt_optimizer_load(a.opt.p, path.c_str()), LOPT_ERR_FORMAT);
    a.run(2, 4);
    same.run(2, 4);
    EXPECT_EQ(a.params, same.params) << "a refused file leaves the optimizer as it was";
    write_file(path, number_changed(good, "theta.1", 5, INFINITY)); // the user's own
    EXPECT_EQ(lopt_optimizer_load(a.opt.p, path.c_str()), LOPT_OK) << lopt_last_error();
    write_file(path, number_changed(good, "mean_square.1", 5, 0.0f));
    EXPECT_EQ(lopt_optimizer_load(a.opt.p, path.c_str()), LOPT_OK) << lopt_last_error();
}

// However a part is cut, its numbers are those that are read one at a time; and written as they were read.
TEST(State, PiecesMayBeginAndEndAnywhere) {
    Model a({1037, 5}), b({1037, 5});
    ASSERT_EQ(a.create(), LOPT_OK);
    ASSERT_EQ(b.create(), LOPT_OK);
    a.run(0, 2);
    const optimizer_backend *backend = a.opt.p->backend;
    const size_t n = 1037, parts[] = {10 * n, 4 * n, 4 * n, n, 30, n};
    for (int part = PART_HIDDEN; part <= PART_THETA; part++) {
        std::vector<float> one(parts[part]), cut(parts[part]), back(parts[part]);
        for (size_t i = 0; i < one.size(); i++) {
            const state_piece p = {state_part(part), 0, i, 1};
            ASSERT_EQ(backend->read_piece(a.opt.p, &p, &one[i]), LOPT_OK);
        }
        for (size_t at = 0, size = 1; at < cut.size(); at += size, size = size * 7 % 113 + 1) {
            const state_piece p = {state_part(part), 0, at, std::min(size, cut.size() - at)};
            ASSERT_EQ(backend->read_piece(a.opt.p, &p, &cut[at]), LOPT_OK);
            ASSERT_EQ(backend->write_piece(b.opt.p, &p, &cut[at]), LOPT_OK);
        }
        EXPECT_EQ(cut, one) << part;
        for (size_t i = 0; i < one.size(); i++) {
            const state_piece p = {state_part(part), 0, i, 1};
            ASSERT_EQ(backend->read_piece(b.opt.p, &p, &back[i]), LOPT_OK);
        }
        EXPECT_EQ(back, one) << part;
    }
}

TEST(State, RefusesMoreStepsThanThereCanBe) {
    ScratchDir dir;
    Model a({3});
    ASSERT_EQ(a.create(), LOPT_OK);
    const std::string path = dir / "s";
    ASSERT_EQ(lopt_optimizer_save(a.opt.p, path.c_str()), LOPT_OK);
    const std::string bytes = without_checksum(read_file(path));
    uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof header);
    for (const std::string key : {"\"step\":\"", "\"skipped\":\""})
        for (const auto &[steps, status] :
             {std::pair("9223372036854775807", LOPT_OK), std::pair("9223372036854775808", LOPT_ERR_FORMAT),
              std::pair("18446744073709551615", LOPT_ERR_FORMAT)}) {
            std::string text = bytes.substr(8, header);
            text.replace(text.find(key) + key.size(), 1, steps);
            while (text.size() % 8) text += ' ';
            const uint64_t size = text.size();
            write_file(path, std::string(reinterpret_cast<const char *>(&size), 8) + text + bytes.substr(8 + header));
            EXPECT_EQ(lopt_optimizer_load(a.opt.p, path.c_str()), status) << key << steps << ": " << lopt_last_error();
        }
}

// A scaler that says that all is well takes the look at gradients away.
TEST(State, WhatNoLoadWouldTakeIsNotSaved) {
    ScratchDir dir;
    Model m({30, 20});
    ASSERT_EQ(m.create(), LOPT_OK);
    m.run(0, 2);
    const std::string path = dir / "s";
    ASSERT_EQ(lopt_optimizer_save(m.opt.p, path.c_str()), LOPT_OK);
    const std::string good = read_file(path);
    const float one = 1.0f, none = 0.0f;
    ASSERT_EQ(lopt_optimizer_set_scaler(m.opt.p, &one, &none), LOPT_OK);
    m.gradients(2);
    m.grads[1][7] = NAN;
    ASSERT_EQ(m.step(), LOPT_OK);
    EXPECT_EQ(lopt_optimizer_save(m.opt.p, path.c_str()), LOPT_ERR_ARGUMENT);
    EXPECT_NE(std::string(lopt_last_error()).find("gradient_average.1"), std::string::npos) << lopt_last_error();
    EXPECT_EQ(read_file(path), good);
    EXPECT_EQ(lopt_optimizer_load(m.opt.p, path.c_str()), LOPT_OK) << lopt_last_error();
}

TEST(State, DamageIsNoticedAndNothingChanges) {
    SavedTwin t({9}, "param=3,tensor=2,global=2,scales=2");
    Model &a = t.a, &same = t.same;
    const std::string &path = t.path, &good = t.good;
    for (size_t bit = 0; bit < good.size() * 8; bit += 3) {
        std::string bad = good;
        bad[bit / 8] = char(bad[bit / 8] ^ (1 << (bit % 8)));
        write_file(path, bad);
        ASSERT_NE(lopt_optimizer_load(a.opt.p, path.c_str()), LOPT_OK) << "bit " << bit;
    }
    for (size_t length = 0; length < good.size(); length += 7) {
        write_file(path, good.substr(0, length));
        ASSERT_NE(lopt_optimizer_load(a.opt.p, path.c_str()), LOPT_OK) << "length " << length;
    }
    a.run(2, 4);
    same.run(2, 4);
    EXPECT_EQ(a.params, same.params);
}

} // namespace
