// Meta-optimizers, their schedule and clipping, against a double reference of a few lines.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

extern "C" {
#include "csrc/train/meta_optimizer.h"
}

namespace {

struct Config {
    train_config c;
    Config() { EXPECT_EQ(config_defaults(&c), LOPT_OK); }
    ~Config() { config_free(&c); }
    train_config *operator->() { return &c; }
};

struct MetaState {
    meta_state s;
    explicit MetaState(const std::vector<float> &w) { EXPECT_EQ(meta_state_create(w.size(), w.data(), &s), LOPT_OK); }
    ~MetaState() { meta_state_free(&s); }
};

// One parameter, double all the way.
struct Reference {
    double w, m = 0, v = 0;
    void step(int kind, double rate, double b1, double b2, double eps, double decay, double g, int t) {
        v = b2 * v + (1 - b2) * g * g;
        m = b1 * m + (1 - b1) * g;
        if (kind == META_RMSPROP) w -= rate * g / (std::sqrt(v) + eps);
        else w -= rate * (m / (1 - std::pow(b1, t)) / (std::sqrt(v / (1 - std::pow(b2, t))) + eps) + decay * w);
    }
};

class Kinds : public ::testing::TestWithParam<int> {};

TEST_P(Kinds, FollowTheirPapers) {
    Config c;
    c->meta_optimizer = GetParam();
    c->learning_rate = 0.05;
    c->weight_decay = 0.1;
    c->decay = DECAY_CONSTANT;
    c->average = 0;
    MetaState state({1.0f, -2.0f});
    Reference reference[2] = {{1.0}, {-2.0}};
    for (int t = 1; t <= 50; t++) {
        float g[2] = {std::sin(float(t)), 3.0f * std::cos(0.3f * float(t))};
        meta_step(&c.c, uint64_t(t - 1), g, &state.s);
        for (int i = 0; i < 2; i++)
            reference[i].step(c->meta_optimizer, 0.05, c->beta1, c->beta2, c->epsilon, c->meta_optimizer == META_ADAMW ? 0.1 : 0.0,
                              g[i], t);
    }
    for (int i = 0; i < 2; i++) {
        EXPECT_NEAR(state.s.weights[i], reference[i].w, 1e-5);
        EXPECT_EQ(state.s.average[i], state.s.weights[i]);
    }
}
INSTANTIATE_TEST_SUITE_P(All, Kinds, ::testing::Values(META_RMSPROP, META_ADAM, META_ADAMW));

TEST(MetaRate, WarmsUpAndDecays) {
    Config c;
    c->iterations = 110;
    c->warmup = 10;
    c->learning_rate = 2.0;
    c->decay_to = 0.25;
    c->decay = DECAY_LINEAR;
    EXPECT_DOUBLE_EQ(meta_rate(&c.c, 0), 0.2);
    EXPECT_DOUBLE_EQ(meta_rate(&c.c, 9), 2.0);
    EXPECT_DOUBLE_EQ(meta_rate(&c.c, 10), 2.0);
    EXPECT_DOUBLE_EQ(meta_rate(&c.c, 60), 0.5 * (2.0 + 0.5));
    EXPECT_DOUBLE_EQ(meta_rate(&c.c, 5000), 0.5);
    c->decay = DECAY_COSINE;
    EXPECT_NEAR(meta_rate(&c.c, 60), 0.5 * (2.0 + 0.5), 1e-12);
    EXPECT_NEAR(meta_rate(&c.c, 110), 0.5, 1e-12);
    c->decay = DECAY_CONSTANT;
    EXPECT_DOUBLE_EQ(meta_rate(&c.c, 99), 2.0);
}

TEST(MetaAverage, TrailsTheWeights) {
    Config c;
    c->average = 0.9;
    c->decay = DECAY_CONSTANT;
    c->meta_optimizer = META_RMSPROP;
    MetaState state({0.0f});
    double average = 0.0;
    for (int t = 0; t < 200; t++) {
        const float g = 1.0f;
        meta_step(&c.c, uint64_t(t), &g, &state.s);
        double keep = std::fmin(0.9, (1.0 + t) / (10.0 + t));
        average = keep * average + (1 - keep) * state.s.weights[0];
    }
    EXPECT_NEAR(state.s.average[0], average, 1e-4 * std::fabs(average));
    EXPECT_NE(state.s.average[0], state.s.weights[0]);
}

TEST(MetaClip, NormElementRootNone) {
    Config c;
    c->clip_limit = 1.0;
    std::vector<float> g = {3.0f, -4.0f};
    c->clip = CLIP_NONE;
    meta_clip(&c.c, g.data(), 2);
    EXPECT_EQ(g[0], 3.0f);
    c->clip = CLIP_NORM;
    meta_clip(&c.c, g.data(), 2);
    EXPECT_NEAR(g[0], 0.6, 1e-6);
    EXPECT_NEAR(g[1], -0.8, 1e-6);
    meta_clip(&c.c, g.data(), 2);
    EXPECT_NEAR(g[0], 0.6, 1e-6);
    g = {3.0f, -0.5f};
    c->clip = CLIP_ELEMENT;
    meta_clip(&c.c, g.data(), 2);
    EXPECT_EQ(g[0], 1.0f);
    EXPECT_EQ(g[1], -0.5f);
    g = {30.0f, -40.0f}; // norm 50, limit 2: sqrt(100)
    c->clip = CLIP_ROOT;
    c->clip_limit = 2.0;
    meta_clip(&c.c, g.data(), 2);
    EXPECT_NEAR(g[0], 6.0, 1e-5);
    EXPECT_NEAR(g[1], -8.0, 1e-5);
    g = {0.6f, -0.8f};
    meta_clip(&c.c, g.data(), 2);
    EXPECT_EQ(g[0], 0.6f) << "below the limit nothing changes";
}

} // namespace
