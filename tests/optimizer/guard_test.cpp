// The guard: rates within its bounds pass to the bit, rising ones are held and dying ones lifted; who turns it on; its state.
#include "tests/optimizer/support.h"
#include "tests/support/rising_rates.h"

extern "C" {
#include "csrc/weights/weights.h"
#include "kernels/cell/guard.h"
}

namespace {

lopt_optimizer_options guarded(const char *guard) {
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    o.init_lr_min = o.init_lr_max = 1e-2;
    o.guard = guard;
    return o;
}

// Its definition in double, for an optimizer that does not answer to what passes from the shift into its rates: in all, nothing changes.
// signal: 1 for gradients that stay as they are.
struct Reference {
    double sum = 0, shift = 0;
    size_t steps = 0;
    double used(double log_rate, double signal = 1) {
        const double average = sum / double(steps);
        double rate = std::exp(log_rate + shift);
        const double above = steps < 2000 ? 0.5 : std::fmax(0.1, 0.5 * std::sqrt(2000 / double(steps)));
        if (steps >= 100) rate = std::clamp(rate, 0.3 * signal * average, (above + signal) * average);
        shift = std::log(rate) - log_rate;
        sum += rate;
        steps++;
        return rate;
    }
};

void expect_scales(double log_factor, double log_ratio) {
    float state[GUARD_STATE] = {0};
    Reference r;
    double passed = 0; // from the shift into the rates
    const int moving = std::fabs(log_factor) < 0.01 ? 3900 : 300;
    for (int t = 0; t < 4000; t++) {
        const float log_rate = float(-7 + log_factor * std::fmin(t, moving)); // and what it does once rates stand still again
        passed += double(guard_settled(state));
        const double used = r.used(double(log_rate), std::exp(-std::fabs(log_ratio))), rate = double(log_rate) + passed;
        ASSERT_NEAR(std::exp(rate) * double(guard_scale(float(rate), float(log_ratio), state)), used, 1e-4 * used)
            << "factor " << log_factor << ", step " << t;
    }
    EXPECT_NEAR(passed + double(state[GUARD_SHIFT]), r.shift, 1e-4);
    if (std::fabs(r.shift) > 0.1) {
        EXPECT_GT(passed / r.shift, 0.1);
    }
    EXPECT_EQ(state[GUARD_STEPS], 4000.0f);
    EXPECT_NEAR(state[GUARD_AVERAGE], r.sum / 4000, 1e-4 * r.sum / 4000);
}

TEST(Guard, HoldsWhatRisesAndLiftsWhatDies) {
    for (const double log_ratio : {0.0, -1.0, 1.0, -2.8, -30.0})
        for (const double log_factor : {0.05, 0.001, -0.001, -0.05}) expect_scales(log_factor, log_ratio);
    Reference rising, dying, noise, noise_dying;
    for (int t = 0; t < 20000; t++) {
        rising.used(0.05 * t), dying.used(-0.05 * t);
        noise.used(0, 1.0 / 16), noise_dying.used(-0.05 * t, 1.0 / 16);
    }
    EXPECT_LT(rising.used(2000), 1e3) << "without the guard: e^1000";
    EXPECT_GT(dying.used(-2000), 1e-4) << "without the guard: e^-1000";
    EXPECT_LT(noise.used(0, 1.0 / 16), 0.4) << "rates that stay as they are have to fall in noise";
    EXPECT_LT(noise_dying.used(-2000, 1.0 / 16), 1e-4) << "and may fall faster there";
}

TEST(Guard, CeilingComesDownInTheLongRun) {
    for (const float signal : {0.0f, 0.1f, 1.0f}) {
        for (const float steps : {0.0f, 100.0f, 2000.0f}) EXPECT_EQ(guard_ceiling(signal, steps), 0.5f + signal);
        EXPECT_FLOAT_EQ(guard_ceiling(signal, 8000.0f), 0.25f + signal);
        for (const float steps : {2e5f, 1e7f}) EXPECT_FLOAT_EQ(guard_ceiling(signal, steps), 0.1f + signal);
    }
}

TEST(Guard, WhatTurnsRoundIsHeldNoLonger) {
    float state[GUARD_STATE] = {0}, held = 1.0f;
    for (int t = 0; t < 200; t++) held = guard_scale(-7.0f + 0.1f * float(t), 0.0f, state);
    EXPECT_LT(held, 1e-3f);
    const float settled = guard_settled(state);
    EXPECT_FLOAT_EQ(settled, 0.002f * std::log(held));
    EXPECT_NEAR(guard_scale(-7.0f + 0.1f * 198.0f + settled, 0.0f, state) * std::exp(settled), held, 1e-5 * held)
        << "a tenth less counts from where the rate was";
}

TEST(Guard, NoRateIsFarAboveTheAverage) {
    float state[GUARD_STATE] = {0};
    EXPECT_EQ(guard_log_lr_max(nullptr), INFINITY);
    for (int t = 0; t < 110; t++) {
        EXPECT_EQ(guard_log_lr_max(state) == INFINITY, t < 100) << t;
        guard_scale(-7.0f, 0.0f, state);
    }
    EXPECT_NEAR(guard_log_lr_max(state), -7 + std::log(30.0), 1e-5);
    for (int t = 0; t < 10; t++) guard_scale(-2.0f, 0.0f, state);
    EXPECT_LT(state[GUARD_SHIFT], -4.0f);
    const float left = state[GUARD_SHIFT] - guard_settled(state);
    EXPECT_NEAR(guard_log_lr_max(state) + left, std::log(30.0 * double(state[GUARD_AVERAGE])), 1e-5);
    EXPECT_EQ(guard_settled(nullptr), 0.0f);
}

TEST(Guard, LeavesWhatIsWithinItsBoundsToTheBit) {
    float steady[GUARD_STATE] = {0}, falling[GUARD_STATE] = {0}, rising[GUARD_STATE] = {0}, alone[GUARD_STATE] = {0};
    for (int t = 0; t < 400; t++) {
        EXPECT_EQ(guard_scale(-7.0f, 0.0f, steady), 1.0f);
        EXPECT_EQ(guard_scale(-7.0f - 0.003f * float(t), -0.1f, falling), 1.0f);
        EXPECT_EQ(guard_scale(-7.0f + 1e-3f * float(t), 0.1f, rising), 1.0f);
        EXPECT_EQ(guard_scale(-7.0f - 0.05f * float(t), -INFINITY, alone), 1.0f) << "one timescale: no signal, no floor";
    }
}

TEST(Guard, SignalIsTheRatioOfSlowToFastMeanSquares) {
    lopt_dims d = {2, 1, 1, 3, 0, 1, 0, 0};                      // with products
    const float mean[] = {9, 9, 9, 9, 9, 9, 9, 0.5f, 7, -1.25f}; // hidden states, averages, products, magnitudes
    EXPECT_EQ(guard_log_ratio(d, mean), -1.75f);
    d.grad_products = 0;
    EXPECT_EQ(guard_log_ratio(d, mean), -8.5f);
    d.scales = 1;
    EXPECT_EQ(guard_log_ratio(d, mean), -INFINITY);
}

// One parameter: its move is the rate, up to a constant.
std::vector<double> moves(const char *guard, uint64_t steps) {
    Model m({1}, "attention=0");
    raise_rates(m.weights.p, 0.1f);
    const lopt_optimizer_options o = guarded(guard);
    std::vector<double> out;
    EXPECT_EQ(m.create(&o), LOPT_OK) << lopt_last_error();
    for (uint64_t t = 0; t < steps; t++) {
        m.params[0][0] = 0.0f; // so that moves are seen to their last digit
        EXPECT_EQ(lopt_optimizer_set_params(m.opt.p, Model::pointers(m.params).data(), nullptr), LOPT_OK);
        m.grads[0][0] = 1.0f;
        EXPECT_EQ(m.step(), LOPT_OK) << lopt_last_error();
        out.push_back(std::fabs(m.params[0][0]));
    }
    return out;
}

TEST(Guard, ScalesTheUpdate) {
    const std::vector<double> off = moves("off", 170), on = moves("on", 170);
    Reference r;
    for (size_t t = 0; t < off.size(); t++) {
        const double used = r.used(std::log(off[t]));
        EXPECT_NEAR(on[t], used, 1e-4 * used) << t;
        if (t < 100) {
            EXPECT_EQ(on[t], off[t]);
        }
    }
    EXPECT_LT(on.back(), 0.1 * off.back());
    EXPECT_EQ(moves(nullptr, 170), off) << "weights that do not say so have none";
}

// Of what is held back, and of what is lifted, a part passes into the single rates in every step; the rate that is used is the same.
TEST(Guard, PassesIntoTheRates) {
    for (const float log_factor : {0.1f, -0.1f}) {
        Model m({5}, "attention=0");
        raise_rates(m.weights.p, log_factor);
        const lopt_optimizer_options o = guarded("on");
        ASSERT_EQ(m.create(&o), LOPT_OK) << lopt_last_error();
        m.run(0, 150);
        State before = state_of(m.opt.p);
        m.run(150, 151);
        State after = state_of(m.opt.p);
        const float shift = before["guard"][GUARD_SHIFT];
        EXPECT_LT(shift * log_factor, -0.1f);
        for (size_t i = 0; i < 5; i++)
            EXPECT_NEAR(after["log_lr.0"][i], before["log_lr.0"][i] + log_factor + 0.002f * shift, 1e-5f) << i;
    }
}

// A state file with another number in the last tensor's guard, and without what only lopt writes, a checksum among it.
std::string with_guard(std::string bytes, int place, float value) {
    for (const std::string key : {"\"checksum\"", "\"lopt_version\""}) bytes[bytes.find(key) + 1] = 'x';
    std::memcpy(&bytes[bytes.size() - size_t(GUARD_STATE - place) * sizeof value], &value, sizeof value); // the guard comes last
    return bytes;
}

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
    write_file(dir / "s", with_guard(read_file(dir / "s"), GUARD_STEPS, old));
    ASSERT_EQ(lopt_optimizer_load(m.opt.p, (dir / "s").c_str()), LOPT_OK) << lopt_last_error();
    State before = state_of(m.opt.p);
    ASSERT_EQ(before["guard"][GUARD_STEPS], old);
    ASSERT_EQ(m.step(), LOPT_OK);
    State after = state_of(m.opt.p);
    const float used = std::exp(after["log_lr.0"][0] + after["guard"][GUARD_SHIFT]);
    EXPECT_NEAR(used / before["guard"][GUARD_AVERAGE], 1.25f, 1e-3f);
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
    for (int k = 0; k < GUARD_STATE; k++) EXPECT_EQ(after["guard"][size_t(GUARD_STATE + k)], before["guard"][size_t(GUARD_STATE + k)]);
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

TEST_F(GuardState, RefusesWhatIsNoRate) {
    Model m(sizes, "attention=0"), n(sizes, "attention=0");
    const lopt_optimizer_options on = guarded("on");
    ASSERT_EQ(m.create(&on), LOPT_OK);
    ASSERT_EQ(n.create(&on), LOPT_OK);
    m.run(0, 3);
    ASSERT_EQ(lopt_optimizer_save(m.opt.p, path.c_str()), LOPT_OK) << lopt_last_error();
    const std::string bytes = read_file(path);
    const std::pair<int, float> cases[] = {{GUARD_AVERAGE, -1e-3f}, {GUARD_AVERAGE, 0.0f},   {GUARD_AVERAGE, 1e-45f},
                                           {GUARD_AVERAGE, NAN},    {GUARD_STEPS, INFINITY}, {GUARD_STEPS, 0.0f},
                                           {GUARD_SHIFT, 1e30f},    {GUARD_SHIFT, NAN}};
    for (const auto &[place, wrong] : cases) {
        write_file(path, with_guard(bytes, place, wrong));
        EXPECT_EQ(lopt_optimizer_load(n.opt.p, path.c_str()), LOPT_ERR_FORMAT) << place << ": " << wrong;
        EXPECT_NE(std::string(lopt_last_error()).find("guard"), std::string::npos) << lopt_last_error();
    }
    n.run(0, 3);
    EXPECT_EQ(n.params, m.params) << "a refused file leaves the optimizer as it was";
    write_file(path, bytes);
    EXPECT_EQ(lopt_optimizer_load(n.opt.p, path.c_str()), LOPT_OK) << lopt_last_error();
}

} // namespace
