// The configuration table: defaults, bounds, JSON, overrides, and what is refused.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/support/scratch_dir.h"

extern "C" {
#include "csrc/train/config.h"
#include "csrc/train/corpus.h"
}

namespace {

struct Config {
    train_config c;
    Config() { EXPECT_EQ(config_defaults(&c), LOPT_OK) << lopt_last_error(); }
    ~Config() { config_free(&c); }
};

std::string text_of(const train_config &c, size_t i) {
    char *text = nullptr;
    EXPECT_EQ(config_text(&c, i, &text), LOPT_OK);
    std::string out = text;
    free(text);
    return out;
}

TEST(Config, TableIsSound) {
    Config defaults;
    ASSERT_GT(lopt_config_count(), 20u);
    EXPECT_EQ(lopt_config_get(lopt_config_count()), nullptr);
    for (size_t i = 0; i < lopt_config_count(); i++) {
        const lopt_config_key *k = lopt_config_get(i);
        EXPECT_GT(std::strlen(k->help), 10u) << k->name;
        for (size_t j = 0; j < i; j++) EXPECT_STRNE(k->name, lopt_config_get(j)->name);
        // what is printed as a value is read as the same value
        std::string text = text_of(defaults.c, i);
        EXPECT_EQ(config_override(&defaults.c, (std::string(k->name) + "=" + text).c_str()),
                  text.empty() && !strcmp(k->type, "list") ? LOPT_ERR_CONFIG : LOPT_OK)
            << lopt_last_error();
        EXPECT_EQ(text_of(defaults.c, i), text);
    }
    EXPECT_EQ(config_check(&defaults.c), LOPT_OK) << lopt_last_error();
}

TEST(Config, ThoseThatAreShippedAreReadAndExplained) {
    std::ifstream file(LOPT_SOURCE_DIR "/configs/README.md");
    const std::string explained((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    size_t seen = 0;
    for (const auto &entry : std::filesystem::directory_iterator(LOPT_SOURCE_DIR "/configs")) {
        if (entry.path().extension() != ".json") continue;
        Config config;
        EXPECT_EQ(config_read_file(&config.c, entry.path().c_str()), LOPT_OK) << lopt_last_error();
        EXPECT_EQ(config_check(&config.c), LOPT_OK) << entry.path() << ": " << lopt_last_error();
        EXPECT_NE(explained.find(entry.path().filename().string()), std::string::npos) << entry.path();
        seen++;
    }
    EXPECT_GE(seen, 3u);
}

TEST(Config, BoundsOfEveryNumberAreHeld) {
    for (size_t i = 0; i < lopt_config_count(); i++) {
        const lopt_config_key *k = lopt_config_get(i);
        const bool number = !strcmp(k->type, "int") || !strcmp(k->type, "float");
        if (!number) continue;
        for (const char *bad : {"-1e30", "1e30", "nan", "inf", "", "5x", " ", " 5", "5 ", "0x5", "+", "-", "1e999"}) {
            Config config;
            const std::string before = text_of(config.c, i);
            EXPECT_EQ(config_override(&config.c, (std::string(k->name) + "=" + bad).c_str()), LOPT_ERR_CONFIG)
                << k->name << "=" << bad;
            EXPECT_NE(std::string(lopt_last_error()).find(k->name), std::string::npos) << lopt_last_error();
            EXPECT_EQ(text_of(config.c, i), before);
        }
    }
}

// As a double it would be the bound.
TEST(Config, BoundsOfWholeNumbersAreExact) {
    Config config;
    EXPECT_EQ(config_override(&config.c, "seed=9000000000000000000"), LOPT_OK) << lopt_last_error();
    EXPECT_EQ(config_override(&config.c, "seed=9000000000000000001"), LOPT_ERR_CONFIG);
    EXPECT_EQ(config_override(&config.c, "seed=+7"), LOPT_OK) << lopt_last_error();
    EXPECT_EQ(config.c.seed, 7u);
}

TEST(Config, JsonRoundTrip) {
    Config a, b;
    ASSERT_EQ(config_override(&a.c, "window.mean=12.5"), LOPT_OK);
    ASSERT_EQ(config_override(&a.c, "tasks=bowl:c=5; quadratic:* ;booth"), LOPT_OK);
    ASSERT_EQ(config_override(&a.c, "meta_optimizer.kind=adamw"), LOPT_OK);
    ASSERT_EQ(config_override(&a.c, "seed=9000000000000000000"), LOPT_OK);
    char *json = nullptr;
    ASSERT_EQ(config_json(&a.c, &json), LOPT_OK);
    ScratchDir dir;
    write_file(dir / "c.json", json);
    free(json);
    ASSERT_EQ(config_read_file(&b.c, (dir / "c.json").c_str()), LOPT_OK) << lopt_last_error();
    for (size_t i = 0; i < lopt_config_count(); i++) EXPECT_EQ(text_of(a.c, i), text_of(b.c, i));
    EXPECT_EQ(b.c.tasks.count, 3u);
    EXPECT_STREQ(b.c.tasks.item[1], "quadratic:*");
}

struct BadJson {
    const char *text, *says;
};

TEST(Config, RefusesBadFiles) {
    const BadJson cases[] = {
        {"{\"iterationz\": 3}", "did you mean iterations?"},
        {"{\"window\": {\"mim\": 3}}", "did you mean window.min?"},
        {"{\"iterations\": 0}", "from 1 to"},
        {"{\"iterations\": 1.5}", "type int"},
        {"{\"iterations\": \"5\"}", "type int"},
        {"{\"iterations\": 5, \"iterations\": 6}", "duplicate"},
        {"{\"window\": {\"min\": 5}, \"window.min\": 6}", "window.min is there twice"},
        {"{\"iterations\": 5", "line"},
        {"[1]", "object"},
        {"{\"tasks\": [1]}", "string"},
        {"{\"tasks\": []}", "empty"},
        {"{\"tasks\": [\"a;b\"]}", "without"},
        {"{\"meta_optimizer\": {\"kind\": \"adan\"}}", "did you mean adam?"},
        {"{\"second_derivatives\": 1}", "type bool"},
        {"{\"iterations\": null}", "type int"},
        {"{\"iterations\": 100, \"particles\": 99999999999999999999999}",
         "particles = 9.9999999999999992e+22: it must be a whole number from 1 to"},
        {"{\"windw\": {}}", "windw"},
        {"{\"seed\": {}}", "seed: the value must be of type int"},
        {"{\"window\": {\"min\": {}}}", "window.min"},
        {"{\"window\": 5}", "window"},
        {"", "c.json"},
    };
    ScratchDir dir;
    for (const BadJson &bad : cases) {
        Config config;
        write_file(dir / "c.json", bad.text);
        EXPECT_EQ(config_read_file(&config.c, (dir / "c.json").c_str()), LOPT_ERR_CONFIG) << bad.text;
        EXPECT_NE(std::string(lopt_last_error()).find(bad.says), std::string::npos) << bad.text << ": " << lopt_last_error();
    }
    Config config;
    EXPECT_EQ(config_read_file(&config.c, (dir / "missing.json").c_str()), LOPT_ERR_CONFIG);
    EXPECT_EQ(config_read_file(&config.c, (dir / "c.json/below.json").c_str()), LOPT_ERR_CONFIG);
}

TEST(Config, RefusesContradictions) {
    for (const char *bad :
         {"window.min=2000", "horizon.min=20000", "init_lr.min=1", "weights.options=parm=3", "tasks=quadratik:n=20",
          "tasks=quadratic:n=0", "tasks=digits_softmax", "tasks=digits_mlp:*", "tasks=mnist_mlp", "tasks=;bowl",
          "tasks=bowl;;rosenbrock", "tasks=bowl;", "tasks=cifar10_mlp:*", "nokey=1", "noequals", "=", ""}) {
        Config config;
        lopt_status status = config_override(&config.c, bad);
        if (status == LOPT_OK) status = config_check(&config.c);
        EXPECT_NE(status, LOPT_OK) << bad;
        EXPECT_STRNE(lopt_last_error(), "");
    }
    Config config;
    ASSERT_EQ(config_override(&config.c, "weights.options=param=100"), LOPT_OK);
    EXPECT_NE(config_check(&config.c), LOPT_OK);
    EXPECT_EQ(std::string(lopt_last_error()).rfind("weights.options: param=100", 0), 0u) << lopt_last_error();
}

TEST(Corpus, ExpandsFamiliesAndLeavesOutTheHeldOut) {
    Config config;
    corpus all = {nullptr, nullptr, 0}, family = {nullptr, nullptr, 0};
    ASSERT_EQ(corpus_expand(&config.c.tasks, &all), LOPT_OK) << lopt_last_error();
    size_t want = 0;
    for (size_t i = 0; const lopt_family_info *f = lopt_family_get(i); i++)
        if (!f->held_out) want += f->num_instances;
    EXPECT_EQ(all.count, want);
    for (size_t i = 0; i < all.count; i++) EXPECT_NE(std::string(all.spec[i]).substr(0, 6), "digits");
    ASSERT_EQ(config_override(&config.c, "tasks=bowl:*;booth"), LOPT_OK);
    ASSERT_EQ(corpus_expand(&config.c.tasks, &family), LOPT_OK);
    EXPECT_STREQ(family.spec[family.count - 1], "booth");
    corpus_free(&all);
    corpus_free(&family);
}

} // namespace
