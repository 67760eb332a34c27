// weights.trained: the weights that are named are trained as if nothing else were there to train, and the others stay as they are.
#include "tests/support/scratch_dir.h"
#include "tests/train/estimator_support.h"

extern "C" {
#include "csrc/train/meta_optimizer.h"
#include "csrc/train/trained.h"
}

namespace {

const char *const READOUT = "weights.trained=learning_rate.*;update.kernel";

std::vector<bool> in_readout(const weight_layout &layout) {
    std::vector<bool> out(layout.count, false);
    for (const weight_tensor &w : layout.tensor) {
        const std::string name = w.name;
        for (size_t i = 0; i < w.count; i++) out[w.offset + i] = name == "update.kernel" || name.rfind("learning_rate.", 0) == 0;
    }
    return out;
}

TEST(TrainedWeights, AreThoseThatAPatternNames) {
    Bench b({READOUT});
    float *mask = nullptr;
    ASSERT_EQ(trained_mask(&b.c.weights_trained, &b.w.p->layout, &mask), LOPT_OK);
    const std::vector<bool> expected = in_readout(b.w.p->layout);
    size_t count = 0;
    for (size_t i = 0; i < b.count(); i++) {
        EXPECT_EQ(mask[i], expected[i] ? 1.0f : 0.0f) << i;
        count += expected[i];
    }
    free(mask);
    EXPECT_EQ(count, 2u + 2 + 1 + 1 + 1) << "update.kernel, and learning_rate.kernel, bias, momentum_logit, step_offset";
}

TEST(TrainedWeights, AreAllOfThemByDefault) {
    Bench b({});
    float *mask = nullptr;
    ASSERT_EQ(trained_mask(&b.c.weights_trained, &b.w.p->layout, &mask), LOPT_OK);
    for (size_t i = 0; i < b.count(); i++) EXPECT_EQ(mask[i], 1.0f);
    free(mask);
}

// Rows of matrices, and what is taken away again.
TEST(TrainedWeights, CanBeRowsAndAllButSome) {
    Bench b({"weights.trained=*;!param_rnn.*_kernel[3:5];!tensor_rnn.gate_kernel[9:1000];param_rnn.gate_kernel[4:5];!*.bias"});
    float *mask = nullptr;
    ASSERT_EQ(trained_mask(&b.c.weights_trained, &b.w.p->layout, &mask), LOPT_OK) << lopt_last_error();
    for (const weight_tensor &w : b.w.p->layout.tensor)
        for (size_t i = 0; i < w.count; i++) {
            const std::string name = w.name;
            const size_t row = i / w.columns;
            bool trained = true;
            if (name == "param_rnn.gate_kernel") trained = row != 3;
            if (name == "param_rnn.candidate_kernel") trained = row != 3 && row != 4;
            if (name == "tensor_rnn.gate_kernel") trained = row < 9;
            if (name.size() > 5 && name.substr(name.size() - 5) == ".bias") trained = false;
            EXPECT_EQ(mask[w.offset + i], trained ? 1.0f : 0.0f) << name << " " << i;
        }
    free(mask);
}

TEST(TrainedWeights, MustExist) {
    for (const std::string wrong :
         {"weights.trained=learning_rates.*", "weights.trained=update.*;x", "weights.trained=attention.*", "weights.trained=*;!x",
          "weights.trained=update.kernel[2:3]", "weights.trained=update.kernel[1:1]", "weights.trained=update.kernel[0:1",
          "weights.trained=update.kernel[0:-1]", "weights.trained=update.kernel[ 0:1]", "weights.trained=!"}) {
        Bench b({wrong}, "param=2,tensor=2,global=2,attention=0");
        float *mask = nullptr;
        EXPECT_EQ(trained_mask(&b.c.weights_trained, &b.w.p->layout, &mask), LOPT_ERR_CONFIG);
        EXPECT_NE(std::string(lopt_last_error()).find("has no weights"), std::string::npos) << lopt_last_error();
        EXPECT_EQ(mask, nullptr);
    }
}

TEST(TrainedWeights, MustBeSome) {
    for (const std::string none : {"weights.trained=!*.bias", "weights.trained=*;!*"}) {
        Bench b({none}, "param=2,tensor=2,global=2,attention=0");
        float *mask = nullptr;
        EXPECT_EQ(trained_mask(&b.c.weights_trained, &b.w.p->layout, &mask), LOPT_ERR_CONFIG);
        EXPECT_NE(std::string(lopt_last_error()).find("no weight to train"), std::string::npos) << lopt_last_error();
        EXPECT_EQ(mask, nullptr);
    }
}

// The others get no gradient; backpropagation's for the trained ones is what it was.
class TrainedEstimator : public ::testing::TestWithParam<const char *> {};
TEST_P(TrainedEstimator, EstimatesForThemAlone) {
    const std::string estimator = std::string("estimator=") + GetParam();
    Bench part({estimator, "es.pairs=2", READOUT}), whole({estimator, "es.pairs=2"});
    Episode a(part, 1), b(whole, 1);
    a.window(4), b.window(4);
    const Vector g = a.window(4), all = b.window(4);
    const std::vector<bool> trained = in_readout(part.w.p->layout);
    for (size_t i = 0; i < g.size(); i++) {
        EXPECT_EQ(g[i] != 0.0, trained[i] && all[i] != 0.0) << i;
        if (std::string(GetParam()) == "tbptt" && trained[i]) {
            EXPECT_EQ(g[i], all[i]) << i;
        }
    }
}
INSTANTIATE_TEST_SUITE_P(Estimators, TrainedEstimator, ::testing::Values("tbptt", "es", "pes", "nres", "mix"),
                         [](const auto &info) { return std::string(info.param); });

// Perturbed runs differ from the mean run by the trained weights only: an episode with everything else the same agrees with one whose noise
// was cut off by hand.
TEST(TrainedWeights, AreTheOnlyOnesPerturbed) {
    Bench part({"estimator=es", "es.pairs=1", "weights.trained=param_rnn.initial_state"});
    Episode a(part, 1);
    const Vector g = a.window(4);
    std::vector<float> noise(part.count());
    Episode fresh(part, 1);
    episode_perturbation(&part.c, fresh.e, 0, noise.data());
    const weight_tensor &state = part.w.p->layout.tensor[W_PARAM_INITIAL_STATE];
    for (size_t i = 0; i < state.count; i++) // g = slope * noise, with one slope
        EXPECT_NEAR(g[state.offset + i] * noise[state.offset], g[state.offset] * noise[state.offset + i], 1e-6 * norm(g));
}

TEST(TrainedWeights, AreTheOnlyOnesThatDecay) {
    train_config c;
    ASSERT_EQ(config_defaults(&c), LOPT_OK);
    ASSERT_EQ(config_override(&c, "meta_optimizer.kind=adamw"), LOPT_OK);
    ASSERT_EQ(config_override(&c, "meta_optimizer.weight_decay=0.5"), LOPT_OK);
    const float w[2] = {1.0f, 1.0f}, zero[2] = {0.0f, 0.0f};
    meta_state s;
    ASSERT_EQ(meta_state_create(2, w, &s), LOPT_OK);
    s.trained[1] = 0.0f;
    meta_step(&c, 0, zero, &s);
    EXPECT_LT(s.weights[0], 1.0f);
    EXPECT_EQ(s.weights[1], 1.0f);
    EXPECT_EQ(s.average[1], 1.0f);
    meta_state_free(&s);
    config_free(&c);
}

// lopt_train from a file: the trained weights move, every other one keeps its bits.
TEST(TrainedWeights, AloneChangeInATraining) {
    ScratchDir dir;
    Weights start, end;
    ASSERT_EQ(lopt_weights_init("param=2,tensor=2,global=2", 3, &start.p), LOPT_OK);
    ASSERT_EQ(lopt_weights_save(start.p, (dir.path + "/start").c_str()), LOPT_OK);
    const std::string from = "weights.from=" + dir.path + "/start", out = dir.path + "/run";
    const char *overrides[] = {from.c_str(),
                               READOUT,
                               "iterations=3",
                               "particles=3",
                               "tasks=quadratic:n=3",
                               "window.max=50",
                               "meta_optimizer.kind=adamw",
                               "meta_optimizer.weight_decay=0.1"};
    lopt_train_options o = LOPT_TRAIN_OPTIONS_INIT;
    o.overrides = overrides;
    o.num_overrides = sizeof overrides / sizeof overrides[0];
    o.out_dir = out.c_str();
    ASSERT_EQ(lopt_train(&o, nullptr), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(lopt_weights_load((out + "/weights.safetensors").c_str(), &end.p), LOPT_OK);
    const std::vector<bool> trained = in_readout(start.p->layout);
    for (size_t i = 0; i < trained.size(); i++) EXPECT_EQ(start.p->data[i] != end.p->data[i], trained[i]) << i;
}

} // namespace
