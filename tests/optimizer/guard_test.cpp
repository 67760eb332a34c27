// The guard: rates within its bounds pass to the bit, rising ones are held and dying ones lifted, and late updates are plain.
#include "tests/optimizer/support.h"
#include "tests/support/rising_rates.h"

extern "C" {
#include "kernels/cell/guard.h"
#include "kernels/cell/handover.h"
}

namespace {

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

TEST(Guard, HandsOverInTheLongRun) {
    float state[GUARD_STATE] = {0};
    EXPECT_EQ(guard_handed_over(nullptr), 0.0f);
    for (const auto &[steps, share] :
         {std::pair(0.0f, 0.0f), {100.0f, 0.0f}, {2000.0f, 0.0f}, {4000.0f, 0.75f}, {20000.0f, 0.99f}}) {
        state[GUARD_STEPS] = steps;
        EXPECT_FLOAT_EQ(guard_handed_over(state), share) << steps;
    }
}

TEST(Guard, DividesByAnAverageOnceItHasHandedOver) {
    float state[GUARD_STATE] = {0};
    double sum = 0;
    for (int t = 0; t < 2000; t++) {
        state[GUARD_STEPS] = float(t);
        const double square = 1 + 0.5 * std::sin(t);
        EXPECT_EQ(guard_mean_square(square, state), square) << "to the bit";
        if (t >= 1800) sum += square / 200;
    }
    EXPECT_NEAR(state[GUARD_SQUARE], sum, 0.02);
    state[GUARD_STEPS] = 20000;
    const double average = double(state[GUARD_SQUARE]);
    EXPECT_NEAR(guard_mean_square(0.1, state), 0.99 * average + 0.01 * 0.1, 1e-3) << "a small one makes no large step";
    EXPECT_NEAR(guard_mean_square(1e12, state), 1e12 / 9, 1e7) << "nor does a huge one";
}

TEST(Handover, PlainDirectionHasABound) {
    const auto plain = [](float gbar, float lam) {
        return vf_sum(handover_direction(vf_set1(gbar), vf_set1(lam))) / float(VF_LANES);
    };
    EXPECT_NEAR(plain(0.5f, 4.0f), 0.25f, 1e-5f);
    EXPECT_NEAR(plain(-1e-3f, 1e-8f), -10.0f, 1e-3f);
    EXPECT_EQ(plain(1e18f, 0.0f), 30.0f);
    EXPECT_EQ(plain(-1.0f, 0.0f), -30.0f);
    EXPECT_EQ(plain(0.0f, 0.0f), 0.0f);
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

} // namespace
