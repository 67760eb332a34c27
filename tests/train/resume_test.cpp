// Runs that go on: from the last checkpoint that is whole, with the same bits, or not at all.
#include "tests/train/train_support.h"

namespace {

TEST(Resume, KilledBetweenCheckpointsGoesOnFromTheLast) {
    ScratchDir dir;
    ASSERT_EQ(train(dir / "whole", small_run).status, LOPT_OK);
    const std::string run = dir / "killed";
    ASSERT_EQ(train(run, small_run, 0, 9).status, LOPT_OK);
    // as a kill -9 after iteration 9 would leave it: checkpoint 9 was never written, metrics end in half a line
    std::filesystem::remove(run + "/checkpoint-0000000009.safetensors");
    write_file(run + "/metrics.jsonl", read_file(run + "/metrics.jsonl") + "{\"iteration\":10,\"inner");
    Trained t = train(run, {}, 1);
    ASSERT_EQ(t.status, LOPT_OK) << lopt_last_error();
    EXPECT_EQ(t.seen.front().iteration, 6u);
    EXPECT_EQ(weights_in(dir / "whole"), weights_in(run));
    EXPECT_EQ(metrics_of(dir / "whole"), metrics_of(run));
}

TEST(Resume, DamagedCheckpointFallsBackToTheOneBefore) {
    ScratchDir dir;
    ASSERT_EQ(train(dir / "whole", small_run).status, LOPT_OK);
    const std::string run = dir / "damaged";
    ASSERT_EQ(train(run, small_run, 0, 10).status, LOPT_OK);
    damage(checkpoint_path(run, 10));
    Trained t = train(run, {}, 1);
    ASSERT_EQ(t.status, LOPT_OK) << lopt_last_error();
    EXPECT_EQ(t.seen.front().iteration, 6u);
    EXPECT_EQ(weights_in(dir / "whole"), weights_in(run));
    // none whole: refused with its name, nothing overwritten
    for (const char *name : {"/checkpoint-0000000010.safetensors", "/checkpoint-0000000012.safetensors"})
        write_file(run + name, "not a checkpoint");
    const std::vector<float> kept = weights_in(run);
    EXPECT_EQ(train(run, {}, 1).status, LOPT_ERR_FORMAT);
    EXPECT_NE(std::string(lopt_last_error()).find("checkpoint-"), std::string::npos);
    EXPECT_EQ(weights_in(run), kept);
}

TEST(Resume, KeepsTwoCheckpoints) {
    ScratchDir dir;
    ASSERT_EQ(train(dir / "run", with(small_run, "checkpoint.every=2")).status, LOPT_OK);
    size_t checkpoints = 0;
    for (auto &entry : std::filesystem::directory_iterator(dir / "run"))
        checkpoints += entry.path().filename().string().rfind("checkpoint-", 0) == 0;
    EXPECT_EQ(checkpoints, 2u);
    EXPECT_TRUE(std::filesystem::exists(dir / "run/checkpoint-0000000012.safetensors"));
}

TEST(Resume, LongerRunMayGoOnButNothingElseMayChange) {
    ScratchDir dir;
    ASSERT_EQ(train(dir / "run", small_run).status, LOPT_OK);
    Trained t = train(dir / "run", {"iterations=14"}, 1);
    ASSERT_EQ(t.status, LOPT_OK) << lopt_last_error();
    EXPECT_EQ(t.seen.back().iteration, 14u);
    EXPECT_EQ(train(dir / "run", {"particles=6"}, 1).status, LOPT_ERR_CONFIG);
    EXPECT_NE(std::string(lopt_last_error()).find("particles"), std::string::npos);
}

// One that was passed over is not one of the two that are kept.
TEST(Resume, DamagedCheckpointsAreNotKeptInPlaceOfWholeOnes) {
    ScratchDir dir;
    const std::string run = dir / "run";
    ASSERT_EQ(train(run, with(small_run, "iterations=10")).status, LOPT_OK) << lopt_last_error();
    damage(checkpoint_path(run, 10));
    ASSERT_EQ(train(run, {}, 1, 6).status, LOPT_OK) << lopt_last_error();
    EXPECT_FALSE(std::filesystem::exists(checkpoint_path(run, 10)));
    ASSERT_EQ(train(run, {}, 1, 7).status, LOPT_OK) << lopt_last_error();
    for (unsigned whole : {6u, 7u}) EXPECT_TRUE(std::filesystem::exists(checkpoint_path(run, whole))) << whole;
}

TEST(Resume, OneThatWasPassedOverDoesNotOutliveAWholeOne) {
    ScratchDir dir;
    const std::string run = dir / "run";
    std::vector<std::string> settings = with(small_run, "iterations=10");
    settings.push_back("checkpoint.every=4");
    ASSERT_EQ(train(run, settings).status, LOPT_OK) << lopt_last_error();
    damage(checkpoint_path(run, 10));
    ASSERT_EQ(train(run, {"iterations=11"}, 1).status, LOPT_OK) << lopt_last_error();
    EXPECT_FALSE(std::filesystem::exists(checkpoint_path(run, 10)));
    for (unsigned whole : {8u, 11u}) EXPECT_TRUE(std::filesystem::exists(checkpoint_path(run, whole))) << whole;
}

TEST(Resume, RefusesWhereAllCheckpointsAreGone) {
    ScratchDir dir;
    const std::string run = dir / "run";
    ASSERT_EQ(train(run, small_run).status, LOPT_OK);
    const std::string metrics = read_file(run + "/metrics.jsonl"), weights = read_file(run + "/weights.safetensors");
    for (unsigned iteration : {10u, 12u}) ASSERT_TRUE(std::filesystem::remove(checkpoint_path(run, iteration)));
    EXPECT_EQ(train(run, {"iterations=20"}, 1).status, LOPT_ERR_ARGUMENT);
    EXPECT_NE(std::string(lopt_last_error()).find("no checkpoint any more"), std::string::npos) << lopt_last_error();
    EXPECT_EQ(read_file(run + "/metrics.jsonl"), metrics);
    EXPECT_EQ(read_file(run + "/weights.safetensors"), weights);
}

// The file of weights only follows from the run.
TEST(Resume, DamagedWeightsAreMadeAgain) {
    ScratchDir dir;
    ASSERT_EQ(train(dir / "first", small_run).status, LOPT_OK);
    const std::vector<std::string> from = with(small_run, "weights.from=" + dir / "first/weights.safetensors");
    ASSERT_EQ(train(dir / "whole", from).status, LOPT_OK);
    ASSERT_EQ(train(dir / "run", from, 0, 5).status, LOPT_OK);
    damage(dir / "run/weights.safetensors");
    ASSERT_EQ(train(dir / "run", {}, 1).status, LOPT_OK) << lopt_last_error();
    EXPECT_EQ(weights_in(dir / "run"), weights_in(dir / "whole"));
}

} // namespace
