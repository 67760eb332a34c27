// Whole jobs by the command: train, stop, resume, look, judge.
#include <algorithm>

#include "tests/cli/support.h"

namespace {

const std::vector<std::string> tiny = {
    "--set", "iterations=6", "--set", "particles=2",   "--set", "tasks=quadratic:n=3",
    "--set", "window.min=5", "--set", "window.mean=0", "--set", "weights.options=param=3,tensor=3,global=2,attention=0"};

std::vector<std::string> train(const std::string &dir, const std::vector<std::string> &more = {}) {
    std::vector<std::string> a = {"train", "--out", dir};
    a.insert(a.end(), tiny.begin(), tiny.end());
    a.insert(a.end(), more.begin(), more.end());
    return a;
}

TEST(Job, TrainInfoEval) {
    ScratchDir dir;
    const std::string run = dir / "run";
    Outcome r = lopt(train(run));
    ASSERT_EQ(r.status, 0) << r.err;
    EXPECT_EQ(r.out, run + "/weights.safetensors\n");
    EXPECT_TRUE(has(r.err, "6/6")) << r.err;
    EXPECT_TRUE(has(r.err, "Done"));
    EXPECT_FALSE(has(r.err, "\r")); // no terminal here
    r = lopt({"info", run + "/weights.safetensors"});
    ASSERT_EQ(r.status, 0) << r.err;
    for (const char *word : {"param_rnn.gate_kernel", "configuration", "meta_iterations", "quadratic:n=3"})
        EXPECT_TRUE(has(r.out, word)) << word;
    r = lopt({"eval", "mine=" + run + "/weights.safetensors", "--untrained", "--suite", "quadratic:n=4;booth", "--steps", "20",
              "--seeds", "1", "--out", dir / "eval"});
    ASSERT_EQ(r.status, 0) << r.err;
    for (const char *word : {"mine", "untrained", "booth", "report.html"}) EXPECT_TRUE(has(r.out, word)) << word;
    EXPECT_TRUE(has(read_file(dir / "eval/report.html"), "<svg"));
    // again without --resume: nothing is lost
    const std::string before = read_file(run + "/weights.safetensors");
    r = lopt(train(run));
    EXPECT_EQ(r.status, 2);
    EXPECT_TRUE(has(r.err, "resume")) << r.err;
    EXPECT_EQ(read_file(run + "/weights.safetensors"), before);
    EXPECT_EQ(lopt({"train", "--out", run, "--resume"}).status, 0);
    r = lopt({"train", "--out", dir / "x", "--set", "windw.min=3"});
    EXPECT_EQ(r.status, 2) << "scripts that try again would do so in vain";
    EXPECT_TRUE(has(r.err, "did you mean window.min?")) << r.err;
    r = lopt({"train", "--out", dir / "y", "--config", "/nonexistent.json"});
    EXPECT_EQ(r.status, 2);
    EXPECT_TRUE(has(r.err, "/nonexistent.json: there is no such file")) << r.err;
}

void wait_for(const std::string &file) {
    for (int i = 0; i < 6000 && read_file(file).empty(); i++) std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

TEST(Job, SignalsStopWithACheckpointAndTheRunGoesOn) {
    ScratchDir dir;
    for (int number : {SIGINT, SIGTERM, SIGHUP}) {
        const std::string run = dir / ("run" + std::to_string(number));
        Outcome r = lopt(train(run, {"--set", "iterations=1000000"}), [&](pid_t child) {
            wait_for(run + "/metrics.jsonl");
            kill(child, number);
        });
        EXPECT_EQ(r.status, 128 + number) << r.err;
        EXPECT_TRUE(has(r.err, "lopt train --resume --out " + run)) << r.err;
        std::string metrics = read_file(run + "/metrics.jsonl");
        const size_t lines = size_t(std::count(metrics.begin(), metrics.end(), '\n'));
        r = lopt({"train", "--out", run, "--resume", "--set", "iterations=" + std::to_string(lines + 2)});
        EXPECT_EQ(r.status, 0) << r.err;
        metrics = read_file(run + "/metrics.jsonl");
        EXPECT_EQ(size_t(std::count(metrics.begin(), metrics.end(), '\n')), lines + 2);
    }
}

TEST(Job, WhoeverIgnoresHangUpsGoesOn) {
    ScratchDir dir;
    const std::string run = dir / "run";
    const auto before = signal(SIGHUP, SIG_IGN); // as nohup does; it is inherited
    const Outcome r = lopt(train(run, {"--set", "iterations=40"}), [&](pid_t child) {
        wait_for(run + "/config.json");
        kill(child, SIGHUP);
    });
    signal(SIGHUP, before);
    EXPECT_EQ(r.status, 0) << r.err;
}

TEST(Job, ASecondSignalEndsAtOnce) {
    ScratchDir dir;
    const std::string run = dir / "run";
    // a window so long that the first signal alone would take a while
    const Outcome r = lopt(train(run, {"--set", "iterations=1000000", "--set", "window.min=20000", "--set", "window.max=20000"}),
                           [&](pid_t child) {
                               wait_for(run + "/config.json");
                               std::this_thread::sleep_for(std::chrono::milliseconds(100));
                               kill(child, SIGINT);
                               std::this_thread::sleep_for(std::chrono::milliseconds(5));
                               kill(child, SIGINT);
                           });
    EXPECT_EQ(r.status, 128 + SIGINT);
}

// What is printed must not go into a file that has taken the place of a closed one.
TEST(Job, StandardFilesMayBeClosed) {
    ScratchDir dir;
    const std::string command = LOPT_BINARY_DIR "/lopt", out = dir / "run";
    std::string line = command;
    for (const std::string &word : train(out)) line += " '" + word + "'";
    EXPECT_EQ(std::system((line + " <&- >&- 2>&-").c_str()), 0);
    std::istringstream metrics(read_file(out + "/metrics.jsonl"));
    size_t lines = 0;
    for (std::string text; std::getline(metrics, text); lines++) EXPECT_EQ(text.front(), '{') << text;
    EXPECT_EQ(lines, 6u);
    EXPECT_EQ(read_file(out + "/lock"), "");
}

TEST(Job, FullOutputIsAnError) {
    ScratchDir dir;
    ASSERT_EQ(lopt(train(dir / "run")).status, 0);
    const Outcome r = lopt({"eval", (dir / "run") + "/weights.safetensors", "--suite", "booth", "--steps", "5", "--seeds", "1",
                            "--out", "/proc/nowhere"});
    EXPECT_EQ(r.status, 1);
    EXPECT_TRUE(has(r.err, "/proc")) << r.err;
}

} // namespace
