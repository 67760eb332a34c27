// A program whose locale has a decimal comma: numbers in specs, configurations, files and sentences have a point all the same.
#include <gtest/gtest.h>

#include <clocale>
#include <cstdio>
#include <cstdlib>

#include "tests/support/golden.h"
#include "tests/support/scratch_dir.h"

extern "C" {
#include "base/plain_locale.h"
#include "csrc/io/safetensors.h"
#include "csrc/train/config.h"
#include "csrc/train/config_keys.h"
}

namespace {

struct CommaLocale : ::testing::Test {
    ScratchDir dir;
    void SetUp() override {
        const std::string made = dir / "de_DE.UTF-8", command = "localedef -i de_DE -f UTF-8 " + made + " >/dev/null 2>&1";
        if (std::system(command.c_str()) != 0) GTEST_SKIP() << "there is no localedef with the sources of de_DE (package locales)";
        setenv("LOCPATH", dir.path.c_str(), 1);
        ASSERT_NE(setlocale(LC_ALL, "de_DE.UTF-8"), nullptr);
        char text[8];
        std::snprintf(text, sizeof text, "%.1f", 0.5);
        ASSERT_STREQ(text, "0,5");
    }
    void TearDown() override {
        setlocale(LC_ALL, "C");
        unsetenv("LOCPATH");
    }
};

TEST_F(CommaLocale, SpecsHavePoints) {
    Task noisy, plain;
    ASSERT_EQ(lopt_task_create("quadratic:n=20,noise=0.5", 1, &noisy.p), LOPT_OK) << lopt_last_error();
    EXPECT_STREQ(lopt_task_name(noisy.p), "quadratic:noise=0.5");
    EXPECT_EQ(lopt_task_create("mlp", 1, &plain.p), LOPT_OK) << lopt_last_error(); // whose defaults are written with points
    Task wrong;
    EXPECT_EQ(lopt_task_create("quadratic:noise=0,5", 1, &wrong.p), LOPT_ERR_ARGUMENT);
}

TEST_F(CommaLocale, ConfigurationsHavePoints) {
    train_config c = {};
    size_t index = 0;
    char *text = nullptr;
    ASSERT_EQ(config_defaults(&c), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(config_override(&c, "es.sigma=0.25"), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(config_find("es.sigma", &index), LOPT_OK);
    ASSERT_EQ(config_text(&c, index, &text), LOPT_OK);
    EXPECT_STREQ(text, "0.25");
    std::free(text);
    EXPECT_EQ(config_override(&c, "es.sigma=1e9"), LOPT_ERR_CONFIG);
    EXPECT_EQ(std::string(lopt_last_error()).find(','), std::string::npos) << lopt_last_error();
    config_free(&c);
}

TEST_F(CommaLocale, StateFilesHavePoints) {
    Weights w;
    lopt_optimizer *opt = nullptr;
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    const size_t count = 1;
    float x = 1.0f, *params = &x;
    o.init_lr_max = 0.0123456789;
    ASSERT_EQ(lopt_weights_init(nullptr, 1, &w.p), LOPT_OK);
    ASSERT_EQ(lopt_optimizer_create(w.p, &o, 1, &count, &params, nullptr, &opt), LOPT_OK) << lopt_last_error();
    EXPECT_EQ(lopt_optimizer_save(opt, (dir / "s").c_str()), LOPT_OK) << lopt_last_error();
    lopt_optimizer_free(opt);
    safetensors_file *f = nullptr;
    ASSERT_EQ(safetensors_open((dir / "s").c_str(), &f), LOPT_OK) << lopt_last_error();
    const std::string options = safetensors_metadata(f, "options");
    const size_t at = options.find("init_lr_max=");
    EXPECT_NE(options.find("state_dtype=fp32"), std::string::npos) << options;
    EXPECT_NE(options.find("guard=off"), std::string::npos) << options;
    safetensors_close(f);
    ASSERT_NE(at, std::string::npos);
    EXPECT_EQ(plain_strtod(options.c_str() + at + 12, nullptr), 0.0123456789) << options;
}

} // namespace
