// The guard of an optimizer: old ones, steps that are not taken, who turns it on, and its state.
#include <random>

#include "tests/optimizer/support.h"
#include "tests/support/guard_file.h"
#include "tests/support/rising_rates.h"

extern "C" {
#include "csrc/weights/weights.h"
}

namespace {

// A state that is some thousands of steps old: written by hand into the file of one of 130.
TEST(Guard, CeilingOfAnOptimizerComesDown) {
    ScratchDir dir;
    Model m({1}, "attention=0");
    raise_rates(m.weights.p, 0.1f);
    const lopt_optimizer_options o = guarded("on");
    ASSERT_EQ(m.create(&o), LOPT_OK) << lopt_last_error();
    m.grads[0][0] = 1.0f; // always: nothing but signal
    for (int t = 0; t < 130; t++) ASSERT_EQ(m.step(), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(lopt_optimizer_save(m.opt.p, (dir / "s").c_str()), LOPT_OK) << lopt_last_error();
    const float old = 8000.0f;
    write_file(dir / "s", guard_changed(read_file(dir / "s"), GUARD_STEPS, old));
    ASSERT_EQ(lopt_optimizer_load(m.opt.p, (dir / "s").c_str()), LOPT_OK) << lopt_last_error();
    State before = state_of(m.opt.p);
    ASSERT_EQ(before["guard"][GUARD_STEPS], old);
    ASSERT_EQ(m.step(), LOPT_OK);
    State after = state_of(m.opt.p);
    const float used = std::exp(after["log_lr.0"][0] + after["guard"][GUARD_SHIFT]);
    EXPECT_NEAR(used / before["guard"][GUARD_AVERAGE], 1.25f, 1e-3f);
}

// Gradients of mean 0, of which one in twenty is large and the others point the other way: how far a thousand of them carry 200 parameters
// in the mean, in parts of the way that they went. age: steps that the guard takes it for.
double drift(const char *guard, float age) {
    ScratchDir dir;
    Model m({200}, "attention=0");
    raise_rates(m.weights.p, 0.0f);
    const lopt_optimizer_options o = guarded(guard);
    std::mt19937 random(5);
    double path = 0, sum = 0;
    EXPECT_EQ(m.create(&o), LOPT_OK) << lopt_last_error();
    for (int t = 0; t < 1200; t++) {
        for (size_t i = 0; i < 200; i++) m.grads[0][i] = random() % 20 == 0 ? -19.0f : 1.0f;
        const std::vector<float> before = m.params[0];
        EXPECT_EQ(m.step(), LOPT_OK) << lopt_last_error();
        double square = 0;
        for (size_t i = 0; i < 200 && t >= 200; i++) {
            const double moved = double(m.params[0][i]) - double(before[i]);
            sum += moved / 200, square += moved * moved / 200;
        }
        path += std::sqrt(square);
        if (t != 199 || age == 0) continue;
        EXPECT_EQ(lopt_optimizer_save(m.opt.p, (dir / "s").c_str()), LOPT_OK) << lopt_last_error();
        write_file(dir / "s", guard_aged(read_file(dir / "s"), age, 1));
        EXPECT_EQ(lopt_optimizer_load(m.opt.p, (dir / "s").c_str()), LOPT_OK) << lopt_last_error();
    }
    return std::fabs(sum) / path;
}

TEST(Guard, OldOptimizersAreCarriedLessBySkewedGradients) {
    const double young = drift("on", 0);
    EXPECT_GT(young, 0.15);
    EXPECT_NEAR(drift("off", 0), young, 0.01);
    EXPECT_LT(drift("on", 1e5f), 0.7 * young) << "not all of it: averages remember what the mean square has heard of";
}

// A tensor that rests, and a step that is skipped, leave rates and shift as they are.
TEST(Guard, NothingPassesWhereNoStepIsTaken) {
    Model m({3, 40}, "attention=0");
    raise_rates(m.weights.p, 0.1f);
    const lopt_optimizer_options o = guarded("on");
    ASSERT_EQ(m.create(&o), LOPT_OK) << lopt_last_error();
    m.run(0, 130);
    const State held = state_of(m.opt.p);
    m.gradients(130);
    m.grads[1][0] = INFINITY;
    ASSERT_EQ(m.step(), LOPT_OK);
    EXPECT_EQ(state_of(m.opt.p), held) << "skipped";
    m.gradients(131);
    auto g = Model::pointers(m.grads);
    std::vector<const float *> resting(g.begin(), g.end());
    resting[1] = nullptr;
    ASSERT_EQ(lopt_optimizer_step(m.opt.p, Model::pointers(m.params).data(), resting.data(), nullptr), LOPT_OK);
    State after = state_of(m.opt.p), before = held;
    EXPECT_LT(before["guard"][GUARD_STATE + GUARD_SHIFT], -0.1f);
    EXPECT_EQ(after["log_lr.1"], before["log_lr.1"]);
    EXPECT_NE(after["log_lr.0"], before["log_lr.0"]);
    for (int k = 0; k < GUARD_STATE; k++)
        EXPECT_EQ(after["guard"][size_t(GUARD_STATE + k)], before["guard"][size_t(GUARD_STATE + k)]);
}

TEST(Guard, IsWhatTheWeightsSayUnlessTheUserDoes) {
    ScratchDir dir;
    Model m({3, 70}, "attention=0");
    Weights back;
    m.weights.p->guarded = 1;
    ASSERT_EQ(lopt_weights_save(m.weights.p, (dir / "w").c_str()), LOPT_OK);
    ASSERT_EQ(lopt_weights_load((dir / "w").c_str(), &back.p), LOPT_OK) << lopt_last_error();
    EXPECT_EQ(back.p->guarded, 1);
    EXPECT_EQ(lopt_weights_option(back.p, "guard"), 1);
    const auto run = [&](int of_weights, const char *of_user) {
        Model n({3, 70}, "attention=0");
        raise_rates(n.weights.p, 0.1f);
        n.weights.p->guarded = of_weights;
        const lopt_optimizer_options o = guarded(of_user);
        EXPECT_EQ(n.create(&o), LOPT_OK) << lopt_last_error();
        n.run(0, 130);
        return n.params;
    };
    const auto on = run(1, nullptr), off = run(0, nullptr);
    EXPECT_NE(on, off);
    EXPECT_EQ(run(0, "on"), on);
    EXPECT_EQ(run(1, "off"), off);
    const lopt_optimizer_options wrong = guarded("onn");
    EXPECT_EQ(m.create(&wrong), LOPT_ERR_ARGUMENT);
    EXPECT_NE(std::string(lopt_last_error()).find("guard"), std::string::npos) << lopt_last_error();
}

TEST(Guard, WordInAFileIsChecked) {
    ScratchDir dir;
    Weights w, back;
    ASSERT_EQ(lopt_weights_init("param=2,tensor=2,global=2", 3, &w.p), LOPT_OK);
    ASSERT_EQ(weights_set_provenance(w.p, "{\"guard\":\"perhaps\"}"), LOPT_OK);
    ASSERT_EQ(lopt_weights_save(w.p, (dir / "w").c_str()), LOPT_OK);
    EXPECT_EQ(lopt_weights_load((dir / "w").c_str(), &back.p), LOPT_ERR_FORMAT);
    EXPECT_NE(std::string(lopt_last_error()).find("neither on nor off"), std::string::npos) << lopt_last_error();
}

struct GuardState : ::testing::Test {
    ScratchDir dir;
    const std::string path = dir / "s";
    const std::vector<size_t> sizes = {3, 4100, 40};
    // to step 120 with the guard as `saved`, then to 240 in an optimizer with it as `loaded`
    std::vector<std::vector<float>> stopped(const char *saved, const char *loaded) {
        Model a(sizes, "attention=0"), b(sizes, "attention=0");
        const lopt_optimizer_options first = guarded(saved), second = guarded(loaded);
        raise_rates(a.weights.p, 0.05f);
        raise_rates(b.weights.p, 0.05f);
        EXPECT_EQ(a.create(&first), LOPT_OK);
        a.run(0, 120);
        EXPECT_EQ(lopt_optimizer_save(a.opt.p, path.c_str()), LOPT_OK) << lopt_last_error();
        b.params = a.params;
        EXPECT_EQ(b.create(&second), LOPT_OK);
        b.run(120, 121); // something for the load to replace
        b.params = a.params;
        EXPECT_EQ(lopt_optimizer_load(b.opt.p, path.c_str()), LOPT_OK) << lopt_last_error();
        b.run(120, 240);
        return b.params;
    }
    std::vector<std::vector<float>> unbroken(const char *guard) {
        Model m(sizes, "attention=0");
        const lopt_optimizer_options o = guarded(guard);
        raise_rates(m.weights.p, 0.05f);
        EXPECT_EQ(m.create(&o), LOPT_OK);
        m.run(0, 240);
        return m.params;
    }
};

TEST_F(GuardState, GoesOnWithTheSameBits) {
    EXPECT_EQ(stopped("on", "on"), unbroken("on"));
    EXPECT_EQ(stopped("off", "off"), unbroken("off"));
    EXPECT_NE(unbroken("on"), unbroken("off"));
}

TEST_F(GuardState, BeginsAnewOrIsLeftAsideWhereOnlyOneSideHasIt) {
    const auto begun = stopped("off", "on");
    EXPECT_NE(begun, unbroken("on"));
    EXPECT_NE(begun, unbroken("off"));
    const auto left = stopped("on", "off");
    EXPECT_NE(left, unbroken("on"));
}

// Rates that are no floats, or whose averages are none, cannot be guarded; all others go on, and their states load.
TEST_F(GuardState, RatesStartWhereTheyCanBeGuarded) {
    Model m(sizes, "attention=0");
    lopt_optimizer_options o = guarded("on");
    for (const double rate : {1e-300, 1e-50, 1e-21, 1e-20, 1e20, 1e21, 1e50, 1e300}) {
        o.init_lr_min = o.init_lr_max = rate;
        o.guard = "off";
        EXPECT_EQ(m.create(&o), LOPT_OK) << rate << ": " << lopt_last_error();
        o.guard = "on";
        const lopt_status status = m.create(&o);
        EXPECT_EQ(status, rate < 1e-20 || rate > 1e20 ? LOPT_ERR_ARGUMENT : LOPT_OK) << rate;
        if (status != LOPT_OK) {
            EXPECT_NE(std::string(lopt_last_error()).find("guard"), std::string::npos) << lopt_last_error();
            continue;
        }
        for (int t = 0; t < 130; t++) {
            m.run(uint64_t(t), uint64_t(t) + 1);
            if (t > 0 && t < 100) continue;
            ASSERT_EQ(lopt_optimizer_save(m.opt.p, path.c_str()), LOPT_OK) << lopt_last_error();
            ASSERT_EQ(lopt_optimizer_load(m.opt.p, path.c_str()), LOPT_OK) << rate << ", step " << t << ": " << lopt_last_error();
        }
        for (const auto &tensor : m.true_params())
            for (const float x : tensor) ASSERT_TRUE(std::isfinite(x)) << rate;
    }
}

TEST_F(GuardState, RefusesWhatIsNoRate) {
    Model m(sizes, "attention=0"), n(sizes, "attention=0");
    const lopt_optimizer_options on = guarded("on");
    ASSERT_EQ(m.create(&on), LOPT_OK);
    ASSERT_EQ(n.create(&on), LOPT_OK);
    m.run(0, 3);
    ASSERT_EQ(lopt_optimizer_save(m.opt.p, path.c_str()), LOPT_OK) << lopt_last_error();
    const std::string bytes = read_file(path);
    const std::pair<int, float> cases[] = {
        {GUARD_AVERAGE, -1e-3f}, {GUARD_AVERAGE, 0.0f}, {GUARD_AVERAGE, 1e-45f}, {GUARD_AVERAGE, NAN},  {GUARD_STEPS, INFINITY},
        {GUARD_STEPS, 0.0f},     {GUARD_SHIFT, 1e30f},  {GUARD_SHIFT, NAN},      {GUARD_SQUARE, -1.0f}, {GUARD_SQUARE, INFINITY}};
    for (const auto &[place, wrong] : cases) {
        write_file(path, guard_changed(bytes, place, wrong));
        EXPECT_EQ(lopt_optimizer_load(n.opt.p, path.c_str()), LOPT_ERR_FORMAT) << place << ": " << wrong;
        EXPECT_NE(std::string(lopt_last_error()).find("guard"), std::string::npos) << lopt_last_error();
    }
    n.run(0, 3);
    EXPECT_EQ(n.params, m.params) << "a refused file leaves the optimizer as it was";
    write_file(path, bytes);
    EXPECT_EQ(lopt_optimizer_load(n.opt.p, path.c_str()), LOPT_OK) << lopt_last_error();
}

} // namespace
