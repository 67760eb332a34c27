// Weights: how they start, their files, and every kind of damage to those.
#include <fcntl.h>
#include <unistd.h>

#include "tests/support/golden.h"
#include "tests/support/scratch_dir.h"

extern "C" {
#include "csrc/weights/weights.h"
}

namespace {

const char *const small_options = "param=2,tensor=2,global=1,scales=1,attention=0,grad_products=0,relative_lr=0";

struct Moments {
    double mean = 0, deviation = 0, least = 1e30, most = -1e30;
};
Moments moments(const lopt_weights *w, weight_id id) {
    const weight_tensor &t = w->layout.tensor[id];
    Moments m;
    for (size_t i = 0; i < t.count; i++) m.mean += w->data[t.offset + i] / double(t.count);
    for (size_t i = 0; i < t.count; i++) {
        const double x = w->data[t.offset + i];
        m.deviation += (x - m.mean) * (x - m.mean) / double(t.count);
        m.least = std::fmin(m.least, x), m.most = std::fmax(m.most, x);
    }
    m.deviation = std::sqrt(m.deviation);
    return m;
}

TEST(WeightsInit, FollowsTheTableOfTheFormat) {
    Weights w;
    ASSERT_EQ(lopt_weights_init("param=64,tensor=200,global=200,scales=8", 12, &w.p), LOPT_OK) << lopt_last_error();
    for (weight_id id :
         {W_PARAM_GATE_KERNEL, W_PARAM_CANDIDATE_KERNEL, W_TENSOR_GATE_KERNEL, W_TENSOR_CANDIDATE_KERNEL, W_GLOBAL_GATE_KERNEL,
          W_GLOBAL_CANDIDATE_KERNEL, W_TENSOR_TO_PARAM_KERNEL, W_GLOBAL_TO_PARAM_KERNEL, W_GLOBAL_TO_TENSOR_KERNEL}) {
        const Moments m = moments(w.p, id);
        const weight_tensor &t = w.p->layout.tensor[id];
        const double want = 0.5 / std::sqrt(double(t.rows)), error = want / std::sqrt(double(t.count));
        EXPECT_NEAR(m.mean, 0, 5 * error) << t.name;
        EXPECT_NEAR(m.deviation, want, 4 * error) << t.name;
    }
    const struct {
        weight_id id;
        float value;
    } constants[] = {{W_PARAM_GATE_BIAS, 2.2f},
                     {W_TENSOR_GATE_BIAS, 2.2f},
                     {W_GLOBAL_GATE_BIAS, 2.2f},
                     {W_PARAM_CANDIDATE_BIAS, 0},
                     {W_TENSOR_TO_PARAM_BIAS, 0},
                     {W_GLOBAL_TO_TENSOR_BIAS, 0},
                     {W_SCALE_DECAY_BIAS, 3.2f},
                     {W_INPUT_DECAY_BIAS, 2.2f},
                     {W_LEARNING_RATE_KERNEL, 0},
                     {W_LEARNING_RATE_BIAS, 0},
                     {W_LEARNING_RATE_MOMENTUM_LOGIT, 3.2f},
                     {W_LEARNING_RATE_STEP_OFFSET, -1}};
    for (const auto &c : constants) {
        EXPECT_EQ(moments(w.p, c.id).least, double(c.value)) << c.id;
        EXPECT_EQ(moments(w.p, c.id).most, double(c.value)) << c.id;
    }
    for (weight_id id : {W_PARAM_INITIAL_STATE, W_TENSOR_INITIAL_STATE, W_GLOBAL_INITIAL_STATE}) {
        const Moments m = moments(w.p, id);
        EXPECT_GE(m.least, -1.0);
        EXPECT_LE(m.most, 1.0);
        EXPECT_NEAR(m.deviation, 1 / std::sqrt(3.0), 0.15);
    }
    EXPECT_NEAR(moments(w.p, W_UPDATE_KERNEL).deviation, 0.5 / 8, 0.025);
    const weight_layout &l = w.p->layout;
    EXPECT_EQ(std::memcmp(w.p->data + l.tensor[W_ATTENTION_KERNEL].offset, w.p->data + l.tensor[W_UPDATE_KERNEL].offset, 64 * 4),
              0);
}

TEST(WeightsInit, GradientReadsStartNearTheMean) {
    double sum = 0, square = 0;
    const int n = 200;
    for (int seed = 0; seed < n; seed++) {
        Weights w;
        ASSERT_EQ(lopt_weights_init(nullptr, uint64_t(seed), &w.p), LOPT_OK);
        for (weight_id id : {W_UPDATE_GRADIENT_KERNEL, W_ATTENTION_GRADIENT_KERNEL})
            for (size_t i = 0; i < 4; i++) {
                const double x = w.p->data[w.p->layout.tensor[id].offset + i] - 0.25;
                sum += x / (8 * n), square += x * x / (8 * n);
            }
    }
    EXPECT_NEAR(sum, 0, 0.005);
    EXPECT_NEAR(std::sqrt(square), 0.05, 0.004);
}

TEST(WeightsInit, SeedsDecide) {
    Weights a, b, c;
    ASSERT_EQ(lopt_weights_init(nullptr, 1, &a.p), LOPT_OK);
    ASSERT_EQ(lopt_weights_init("", 1, &b.p), LOPT_OK);
    ASSERT_EQ(lopt_weights_init(nullptr, 1ull << 40 | 1, &c.p), LOPT_OK);
    EXPECT_EQ(lopt_weights_count(a.p), 12093u);
    EXPECT_NE(std::string(lopt_weights_provenance(c.p)).find("\"seed\":\"1099511627777\""), std::string::npos);
    EXPECT_EQ(std::memcmp(a.p->data, b.p->data, 12093 * 4), 0);
    EXPECT_NE(std::memcmp(a.p->data, c.p->data, 12093 * 4), 0);
}

TEST(WeightsInit, OptionsAreReadStrictly) {
    const struct {
        const char *options, *says;
    } cases[] = {{"parm=3", "param"},
                 {"param", "param"},
                 {"param=", "param"},
                 {"param=0", "1 to 64"},
                 {"param=65", "1 to 64"},
                 {"param=3x", "param"},
                 {"param=-1", "param"},
                 {"attention=2", "attention"},
                 {"param=3,,tensor=4", ""},
                 {"=3", ""},
                 {"param=3;tensor=4", "param"},
                 {"scales=9", "scales"},
                 {"attention=yes", "attention"},
                 {"param=99999999999999999999", "param"}};
    for (const auto &c : cases) {
        lopt_weights *w = reinterpret_cast<lopt_weights *>(1);
        EXPECT_EQ(lopt_weights_init(c.options, 0, &w), LOPT_ERR_CONFIG) << c.options;
        EXPECT_NE(std::string(lopt_last_error()).find(c.says), std::string::npos) << c.options << ": " << lopt_last_error();
        EXPECT_EQ(w, reinterpret_cast<lopt_weights *>(1));
    }
    EXPECT_EQ(lopt_weights_init(nullptr, 0, nullptr), LOPT_ERR_ARGUMENT);
    Weights w;
    ASSERT_EQ(lopt_weights_init("tensor=7,param=3,attention=0", 0, &w.p), LOPT_OK);
    EXPECT_EQ(lopt_weights_option(w.p, "tensor"), 7);
    EXPECT_EQ(lopt_weights_option(w.p, "param"), 3);
    EXPECT_EQ(lopt_weights_option(w.p, "attention"), 0);
    EXPECT_EQ(lopt_weights_option(w.p, "global"), 20);
    EXPECT_EQ(lopt_weights_option(w.p, "nonsense"), -1);
    EXPECT_EQ(lopt_weights_option(nullptr, "param"), -1);
    EXPECT_EQ(lopt_weights_option(w.p, nullptr), -1);
}

TEST(WeightsApi, NullIsHarmless) {
    EXPECT_EQ(lopt_weights_count(nullptr), 0u);
    EXPECT_EQ(lopt_weights_data(nullptr), nullptr);
    EXPECT_EQ(lopt_weights_provenance(nullptr), nullptr);
    EXPECT_EQ(lopt_weights_tensor(nullptr, 0, nullptr, nullptr, nullptr), 0);
    lopt_weights_free(nullptr);
    EXPECT_EQ(lopt_weights_save(nullptr, "x"), LOPT_ERR_ARGUMENT);
    lopt_weights *w = nullptr;
    EXPECT_EQ(lopt_weights_load(nullptr, &w), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_weights_load("x", nullptr), LOPT_ERR_ARGUMENT);
}

TEST(WeightsFile, RoundTripOfEveryShape) {
    ScratchDir dir;
    for (const char *options :
         {"", small_options, "attention=0", "gradient_shortcut=0", "param=17,tensor=1,global=3,scales=6,grad_products=0"}) {
        Weights a, b;
        ASSERT_EQ(lopt_weights_init(options, 5, &a.p), LOPT_OK);
        ASSERT_EQ(weights_set_provenance(a.p, "{\"seed\":\"5\",\"note\":\"\\u00e4 \\\"quoted\\\"\"}"), LOPT_OK);
        ASSERT_EQ(lopt_weights_save(a.p, (dir / "w").c_str()), LOPT_OK) << lopt_last_error();
        ASSERT_EQ(lopt_weights_load((dir / "w").c_str(), &b.p), LOPT_OK) << lopt_last_error();
        ASSERT_EQ(lopt_weights_count(a.p), lopt_weights_count(b.p));
        EXPECT_EQ(std::memcmp(a.p->data, b.p->data, a.p->layout.count * 4), 0);
        EXPECT_EQ(std::memcmp(&a.p->layout.dims, &b.p->layout.dims, sizeof(lopt_dims)), 0);
        EXPECT_NE(std::string(lopt_weights_provenance(b.p)).find("quoted"), std::string::npos);
        EXPECT_EQ(weights_fingerprint(a.p), weights_fingerprint(b.p));
        b.p->data[0] += 1;
        EXPECT_NE(weights_fingerprint(a.p), weights_fingerprint(b.p));
    }
}

TEST(WeightsFile, GoldenFilesOfOtherWritersLoad) {
    for (const char *name : {"step_default", "step_minimal", "step_no_attention", "step_code_sizes"}) {
        Weights w;
        EXPECT_EQ(lopt_weights_load(golden_path(std::string(name) + ".weights.safetensors").c_str(), &w.p), LOPT_OK)
            << lopt_last_error();
        EXPECT_EQ(lopt_weights_provenance(w.p), nullptr);
    }
    Weights state;
    EXPECT_EQ(lopt_weights_load(golden_path("step_from_state.state.safetensors").c_str(), &state.p), LOPT_ERR_FORMAT);
}

TEST(WeightsFile, EverySingleFlippedBitIsNoticed) {
    ScratchDir dir;
    Weights w;
    ASSERT_EQ(lopt_weights_init(small_options, 5, &w.p), LOPT_OK);
    ASSERT_EQ(weights_set_provenance(w.p, "{\"seed\":\"5\"}"), LOPT_OK);
    const std::string path = dir / "w";
    ASSERT_EQ(lopt_weights_save(w.p, path.c_str()), LOPT_OK);
    const std::string good = read_file(path);
    const int file = open(path.c_str(), O_RDWR);
    ASSERT_GE(file, 0);
    for (size_t bit = 0; bit < good.size() * 8; bit++) {
        const off_t at = off_t(bit / 8);
        const char bad = char(good[bit / 8] ^ (1 << (bit % 8)));
        ASSERT_EQ(pwrite(file, &bad, 1, at), 1);
        Weights loaded;
        ASSERT_NE(lopt_weights_load(path.c_str(), &loaded.p), LOPT_OK) << "bit " << bit << " of byte " << bit / 8;
        ASSERT_EQ(loaded.p, nullptr);
        ASSERT_EQ(pwrite(file, &good[bit / 8], 1, at), 1);
    }
    close(file);
    Weights loaded;
    EXPECT_EQ(lopt_weights_load(path.c_str(), &loaded.p), LOPT_OK) << lopt_last_error();
}

TEST(WeightsFile, EveryTruncationIsNoticed) {
    ScratchDir dir;
    Weights w;
    ASSERT_EQ(lopt_weights_init(small_options, 5, &w.p), LOPT_OK);
    const std::string path = dir / "w";
    ASSERT_EQ(lopt_weights_save(w.p, path.c_str()), LOPT_OK);
    const std::string good = read_file(path);
    for (size_t length = 0; length < good.size(); length++) {
        write_file(path, good.substr(0, length));
        Weights loaded;
        ASSERT_EQ(lopt_weights_load(path.c_str(), &loaded.p), LOPT_ERR_FORMAT) << length;
    }
    write_file(path, good + '\0');
    Weights loaded;
    EXPECT_EQ(lopt_weights_load(path.c_str(), &loaded.p), LOPT_ERR_FORMAT);
}

// A golden file (it has no checksum) with one thing changed in its header.
lopt_status load_changed(const std::string &from, const std::string &to) {
    ScratchDir dir;
    std::string bytes = read_file(golden_path("step_minimal.weights.safetensors"));
    size_t at = bytes.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    EXPECT_EQ(from.size(), to.size());
    bytes.replace(at, from.size(), to);
    write_file(dir / "w", bytes);
    Weights w;
    return lopt_weights_load((dir / "w").c_str(), &w.p);
}

TEST(WeightsFile, WhatDoesNotFitIsNamed) {
    const struct {
        const char *from, *to, *says;
    } cases[] = {{"lopt.hrnn.v1", "lopt.hrnn.v2", "lopt.hrnn.v2"},
                 {"param_rnn.gate_kernel", "param_rnn.gate_kernal", "param_rnn.gate_kernel"},
                 {"tensor_rnn.candidate_bias", "tensor_rnn.candidate_bios", "tensor_rnn.candidate_bias"},
                 {"\"param_size\": \"4\"", "\"param_size\": \"5\"", ""},
                 {"\"tensor_size\"", "\"tensor_sise\"", "tensor_size"},
                 {"\"attention\": \"true\"", "\"attention\": \"treu\"", "attention"}};
    for (const auto &c : cases) {
        std::string from = c.from, to = c.to;
        const std::string bytes = read_file(golden_path("step_minimal.weights.safetensors"));
        if (bytes.find(from) == std::string::npos) { // written without spaces
            for (std::string *s : {&from, &to})
                for (size_t at; (at = s->find(": ")) != std::string::npos;) s->erase(at + 1, 1);
        }
        EXPECT_EQ(load_changed(from, to), LOPT_ERR_FORMAT) << c.from;
        EXPECT_NE(std::string(lopt_last_error()).find(c.says), std::string::npos) << lopt_last_error();
    }
}

TEST(WeightsFile, SavingOverAnOldFileIsAtomic) {
    ScratchDir dir;
    Weights w;
    ASSERT_EQ(lopt_weights_init(nullptr, 5, &w.p), LOPT_OK);
    EXPECT_EQ(lopt_weights_save(w.p, "/nonexistent/w"), LOPT_ERR_IO);
    EXPECT_EQ(lopt_weights_save(w.p, nullptr), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_weights_save(w.p, "/dev/null"), LOPT_ERR_IO); // a device stays a device
    EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
    // a link stays a link, and what it leads to is replaced
    write_file(dir / "target", "old");
    std::filesystem::create_symlink("target", dir / "link");
    ASSERT_EQ(lopt_weights_save(w.p, (dir / "link").c_str()), LOPT_OK) << lopt_last_error();
    EXPECT_TRUE(std::filesystem::is_symlink(dir / "link"));
    Weights loaded;
    EXPECT_EQ(lopt_weights_load((dir / "target").c_str(), &loaded.p), LOPT_OK) << lopt_last_error();
}

// A file that no load would take must not replace one that it does.
TEST(WeightsFile, WhatIsNotFiniteIsNotWritten) {
    ScratchDir dir;
    Weights w, loaded;
    ASSERT_EQ(lopt_weights_init(nullptr, 5, &w.p), LOPT_OK);
    ASSERT_EQ(lopt_weights_save(w.p, (dir / "w").c_str()), LOPT_OK) << lopt_last_error();
    for (const float wrong : {NAN, INFINITY, -INFINITY}) {
        lopt_weights_data(w.p)[lopt_weights_count(w.p) - 1] = wrong;
        EXPECT_EQ(lopt_weights_save(w.p, (dir / "w").c_str()), LOPT_ERR_ARGUMENT);
        EXPECT_NE(std::string(lopt_last_error()).find("step_offset"), std::string::npos) << lopt_last_error();
    }
    EXPECT_EQ(lopt_weights_load((dir / "w").c_str(), &loaded.p), LOPT_OK) << lopt_last_error();
}

TEST(WeightsTensor, ListsTheFlatVector) {
    Weights w;
    ASSERT_EQ(lopt_weights_init(nullptr, 5, &w.p), LOPT_OK);
    const char *name;
    size_t offset, shape[2], at = 0, n = 0;
    for (; lopt_weights_tensor(w.p, n, &name, &offset, shape); n++) {
        EXPECT_EQ(offset, at) << name;
        at += shape[0] * shape[1];
    }
    EXPECT_EQ(at, lopt_weights_count(w.p));
    EXPECT_EQ(n, 33u);
}

} // namespace
