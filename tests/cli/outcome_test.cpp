// What a command leaves: its exit status, which scripts go by, and its files, and what it calls them.
#include <filesystem>

#include "tests/cli/support.h"

namespace {

const std::vector<std::string> SHORT = {"--set",        "particles=2", "--set",         "tasks=bowl", "--set",
                                        "window.min=2", "--set",       "window.mean=0", "--set",      "checkpoint.every=1"};

std::vector<std::string> train(const std::string &out, const std::vector<std::string> &more) {
    std::vector<std::string> a = {"train", "--out", out};
    a.insert(a.end(), more.begin(), more.end());
    return a;
}

std::vector<std::string> with(std::vector<std::string> a, const std::vector<std::string> &b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

TEST(CliStatus, IsTwoWhereAnotherTryWouldFailToo) {
    ScratchDir dir;
    const std::string run = dir / "run", none = dir / "none";
    ASSERT_EQ(lopt(with(train(run, SHORT), {"--set", "iterations=1"})).status, 0);
    const std::vector<std::vector<std::string>> wrong = {train(run, SHORT),
                                                         train(none, {"--resume"}),
                                                         train(none, {"--comm", "xyz"}),
                                                         train(none, {"--set", "particle=3"}),
                                                         train(none, {"--set", "weights.from=\xff"}),
                                                         {"eval", "--untrained", "--suite", "nosuch", "--out", none},
                                                         {"eval", "--untrained", "--horizons", "x", "--out", none},
                                                         {"bench", "unroll", "--tasks", "nosuch"}};
    for (const auto &arguments : wrong) {
        const Outcome r = lopt(arguments);
        EXPECT_EQ(r.status, 2) << r.err;
        EXPECT_FALSE(has(r.err, "memory")) << r.err;
    }
    for (const auto &arguments : std::vector<std::vector<std::string>>{{"info", none}, {"eval", none}})
        EXPECT_EQ(lopt(arguments).status, 1) << arguments[0];
}

// The signal would end it without a word.
TEST(CliTrain, ALimitOfFileSizesIsAnError) {
    ScratchDir dir;
    const std::string command = "ulimit -f 10; exec " LOPT_BINARY_DIR
                                "/lopt train --set particles=2 --set tasks=bowl --set iterations=1 --out " +
                                dir / "run" + " >" + dir / "out" + " 2>&1";
    const int status = std::system(command.c_str());
    EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 1);
    EXPECT_TRUE(has(read_file(dir / "out"), "File too large")) << read_file(dir / "out");
}

TEST(CliTrain, ClearsAwayWhatKilledRunsHaveLeft) {
    ScratchDir dir;
    const std::string run = dir / "run";
    ASSERT_EQ(lopt(with(train(run, SHORT), {"--set", "iterations=1"})).status, 0);
    const std::vector<std::string> left = {"checkpoint-0000000013.safetensors.26720-0.tmp", "weights.safetensors.7-12.tmp",
                                           "config.json.7-0.tmp"},
                                   others = {"checkpoint-0000000013.safetensors.tmp", "notes.7-0.tmp", "config.json.7-x.tmp",
                                             "config.json.-0.tmp"};
    for (const auto *names : {&left, &others})
        for (const std::string &name : *names) write_file(run + "/" + name, "x");
    ASSERT_EQ(lopt(train(run, SHORT)).status, 2); // refused: nothing is touched
    for (const std::string &name : left) EXPECT_TRUE(std::filesystem::exists(run + "/" + name)) << name;
    const Outcome r = lopt(train(run, {"--resume", "--set", "iterations=2"}));
    ASSERT_EQ(r.status, 0) << r.err;
    for (const std::string &name : left) EXPECT_FALSE(std::filesystem::exists(run + "/" + name)) << name;
    for (const std::string &name : others) EXPECT_TRUE(std::filesystem::exists(run + "/" + name)) << name;
}

struct CliEval : testing::Test {
    ScratchDir dir;
    std::string weights;
    void SetUp() override {
        ASSERT_EQ(lopt(with(train(dir / "run", SHORT), {"--set", "iterations=1"})).status, 0);
        weights = dir / "run/weights.safetensors";
    }
    Outcome judge(const std::string &file, const std::vector<std::string> &more = {}) {
        return lopt(with({"eval", file, "--suite", "bowl", "--steps", "2", "--seeds", "1", "--alone", "--out", dir / "out"}, more));
    }
};

TEST_F(CliEval, TakesFilesByWhateverTheyAreCalled) {
    std::string umlauts;
    for (int i = 0; i < 30; i++) umlauts += "\xc3\xa4";
    for (const std::string &folder : {std::string("seed=1"), umlauts + "a", umlauts + "aa"}) {
        std::filesystem::create_directory(dir / folder);
        std::filesystem::copy(weights, dir / (folder + "/w.safetensors"));
        const Outcome r = judge(dir / (folder + "/w.safetensors"));
        EXPECT_EQ(r.status, 0) << r.err;
        EXPECT_TRUE(has(r.out, "/w.safetensors")) << r.out;
    }
    for (const std::string &label : {std::string("mine"), std::string(32, 'x') + umlauts}) {
        const Outcome r = judge(label + "=" + weights);
        EXPECT_EQ(r.status, 0) << r.err;
        EXPECT_TRUE(has(r.out, label)) << r.out;
        EXPECT_TRUE(has(read_file(dir / "out/results.csv"), ",\"" + label + "\",learned")) << "the whole label";
    }
}

TEST_F(CliEval, NamesTheFilesThatItHasWritten) {
    const Outcome r = judge(weights, {"--horizons", "3,1"});
    ASSERT_EQ(r.status, 0) << r.err;
    for (const std::string &file : {dir / "out/3x/results.csv", dir / "out/results.csv"}) {
        EXPECT_TRUE(has(r.out, ": " + file + "\n")) << r.out;
        EXPECT_TRUE(std::filesystem::exists(file)) << file;
    }
    const Outcome two = judge(weights, {"--horizons", "2"});
    EXPECT_TRUE(has(two.out, ": " + (dir / "out/2x/results.csv") + "\n") && !has(two.out, ": " + (dir / "out/results.csv")))
        << two.out;
}

TEST(CliBench, MeasuresTheThreadsThatWereAskedFor) {
    const std::vector<std::string> step = {"bench", "step", "--params", "1k", "--seconds", "0.01", "--attention", "off"};
    EXPECT_TRUE(has(lopt(with(step, {"--threads", "1"})).out, "1 thread(s)"));
    EXPECT_FALSE(has(lopt(with(step, {"--threads", "1"})).out, "2 thread(s)"));
}

// The figures of before stay where the new ones cannot be written; a device is written to.
TEST(CliBench, ReplacesFiguresWhole) {
    ScratchDir dir;
    const std::string json = dir / "figures.json";
    const std::vector<std::string> step = {"bench", "step", "--params", "1k", "--seconds", "0.01", "--threads", "1", "--json"};
    write_file(json, "old");
    EXPECT_EQ(lopt(with(step, {json})).status, 0);
    EXPECT_TRUE(has(read_file(json), "\"rows\""));
    for (const auto &entry : std::filesystem::directory_iterator(dir.path))
        EXPECT_EQ(entry.path().filename().string(), "figures.json");
    EXPECT_EQ(lopt(with(step, {"/dev/null"})).status, 0);
    EXPECT_EQ(lopt(with(step, {"/dev/full"})).status, 1);
}

} // namespace
