// lopt train as one job of several ranks: the same files for any number of them, going on with any number, and ends that lose nothing.
#include <algorithm>
#include <map>

#include "tests/dist/support.h"

namespace {

const std::string lopt = LOPT_BINARY_DIR "/lopt";
using List = std::vector<std::string>;

// A run of a second that touches every part: noise, batches, uneven tasks, restarts.
List command(const std::string &dir, const List &settings = {}, const List &more = {}) {
    List a = {lopt, "train", "--out", dir};
    List all = {"iterations=12",
                "particles=7",
                "tasks=quadratic:n=5,noise=0.5;rosenbrock;softmax_regression:features=4,sep=2,batch=20;quadratic:n=30",
                "horizon.kind=log_uniform",
                "horizon.min=8",
                "horizon.max=60",
                "window.min=4",
                "window.mean=6",
                "window.max=20",
                "checkpoint.every=5",
                "es.pairs=2",
                "weights.options=param=5,tensor=4,global=3"};
    all.insert(all.end(), settings.begin(), settings.end());
    for (const std::string &s : all) a.insert(a.end(), {"--set", s});
    a.insert(a.end(), more.begin(), more.end());
    return a;
}

List resume(const std::string &dir, const List &settings = {}) {
    List a = {lopt, "train", "--out", dir, "--resume"};
    for (const std::string &s : settings) a.insert(a.end(), {"--set", s});
    return a;
}

// Every file of a run directory, the metrics without their times.
std::map<std::string, std::string> files(const std::string &dir) {
    std::map<std::string, std::string> all;
    for (auto &entry : std::filesystem::directory_iterator(dir)) {
        std::string text = read_file(entry.path().string()), name = entry.path().filename().string();
        for (size_t at; name == "metrics.jsonl" && (at = text.find("\"seconds\":")) != std::string::npos;)
            text.erase(at, text.find(',', at) - at);
        all[name] = text;
    }
    return all;
}

void expect_same_files(const std::string &a, const std::string &b) {
    const auto x = files(a), y = files(b);
    ASSERT_EQ(x.size(), y.size());
    for (const auto &file : x) {
        ASSERT_EQ(y.count(file.first), 1u) << file.first;
        EXPECT_TRUE(y.at(file.first) == file.second) << file.first << " differs between " << a << " and " << b;
    }
    EXPECT_TRUE(x.count("weights.safetensors") && x.count("checkpoint-0000000012.safetensors") &&
                x.count("checkpoint-0000000010.safetensors"));
}

class AllEstimators : public testing::TestWithParam<const char *> {};
INSTANTIATE_TEST_SUITE_P(Dist, AllEstimators, testing::Values("tbptt", "es", "pes", "nres", "mix"));

TEST_P(AllEstimators, FilesAreTheSameForAnyNumberOfRanks) {
    NEEDS_MPI();
    ScratchDir dir;
    const List settings = {std::string("estimator=") + GetParam()};
    ASSERT_EQ(execute(command(dir / "1", settings)).status, 0);
    for (int ranks : GetParam() == std::string("tbptt") ? std::vector<int>{1, 2, 3, 4, 5, 8, 9} : std::vector<int>{2, 3, 8}) {
        const std::string there = dir / ("of" + std::to_string(ranks));
        const Outcome r = mpirun(ranks, command(there, settings));
        ASSERT_EQ(r.status, 0) << r.err;
        EXPECT_EQ(r.out, there + "/weights.safetensors\n"); // once
        EXPECT_EQ(count_of(r.err, "Done:"), 1u) << r.err;
        expect_same_files(dir / "1", there);
    }
}

TEST_P(AllEstimators, ParticlesMayChangeRanksAtAnyTime) {
    NEEDS_MPI();
    const std::string worker = LOPT_BINARY_DIR "/tests/dist_trainer_worker";
    const Outcome alone = execute({worker, GetParam(), "0"});
    ASSERT_EQ(alone.status, 0) << alone.err;
    for (int ranks : {2, 3})
        for (const char *moves : {"1", "2"}) {
            const Outcome r = mpirun(ranks, {worker, GetParam(), moves});
            ASSERT_EQ(r.status, 0) << r.err;
            EXPECT_EQ(r.out.substr(0, 16), alone.out.substr(0, 16)) << ranks;
            EXPECT_GT(atoi(r.out.substr(17).c_str()), 10) << "particles hardly moved";
        }
}

TEST(Dist, SumsGoInTheOrderOfTheParticlesWhereverTheyAre) {
    NEEDS_MPI();
    for (int ranks : {1, 2, 3, 8}) {
        const Outcome r = mpirun(ranks, {LOPT_BINARY_DIR "/tests/dist_trainer_worker", "shards", "0"});
        EXPECT_EQ(r.out, "right\n") << ranks << r.err;
        EXPECT_EQ(r.status, 0) << r.err;
    }
}

TEST(Dist, ThreadsOfRanksChangeNothing) {
    NEEDS_MPI();
    ScratchDir dir;
    ASSERT_EQ(execute(command(dir / "1")).status, 0);
    List a = {"env", "OMP_NUM_THREADS=3"};
    const List c = command(dir / "2");
    a.insert(a.end(), c.begin(), c.end());
    const Outcome r = mpirun(2, a);
    ASSERT_EQ(r.status, 0) << r.err;
    expect_same_files(dir / "1", dir / "2");
}

void wait_for_lines(const std::string &run, size_t lines) {
    for (int i = 0; i < 3000 && count_of(read_file(run + "/metrics.jsonl"), "\n") < lines; i++) wait_ms(5);
}

// Slow enough to be caught.
const List slow = {"iterations=45", "particles=5",   "tasks=softmax_regression:features=100,sep=1,batch=50;quadratic:n=50",
                   "window.min=30", "window.max=40", "checkpoint.every=7"};

// Its unbroken run, made once.
const std::string &whole() {
    static ScratchDir dir;
    static const std::string run = dir / "whole";
    static const int status = execute(command(run, slow)).status;
    EXPECT_EQ(status, 0);
    return run;
}

// The process numbers of the ranks that a launcher has started, in the order of the ranks.
std::vector<pid_t> ranks_of(pid_t launcher) {
    std::map<int, pid_t> ranks;
    for (auto &entry : std::filesystem::directory_iterator("/proc")) {
        const std::string base = entry.path().string(), stat = read_file(base + "/stat");
        const size_t at = stat.rfind(')');
        if (at == std::string::npos || atoi(stat.substr(at + 4).c_str()) != launcher) continue;
        const std::string environment = read_file(base + "/environ"), key = "OMPI_COMM_WORLD_RANK=";
        const size_t found = environment.find(key);
        if (found != std::string::npos)
            ranks[atoi(environment.c_str() + found + key.size())] = atoi(entry.path().filename().c_str());
    }
    std::vector<pid_t> out;
    for (const auto &r : ranks) out.push_back(r.second);
    return out;
}

void expect_same_weights(const std::string &a, const std::string &b) {
    const std::string w = read_file(a + "/weights.safetensors");
    EXPECT_FALSE(w.empty());
    EXPECT_TRUE(read_file(b + "/weights.safetensors") == w);
    EXPECT_EQ(files(a)["metrics.jsonl"], files(b)["metrics.jsonl"]);
}

TEST(Dist, StopsByAnySignalAndGoesOnWithAnyNumberOfRanks) {
    NEEDS_MPI();
    ScratchDir dir;
    const std::string run = dir / "run";
    // SIGUSR1 to the launcher, which hands it on
    Outcome r = mpirun(3, command(run, slow), [&](pid_t p) {
        wait_for_lines(run, 10);
        kill(p, SIGUSR1);
    });
    EXPECT_NE(r.status, 0);
    EXPECT_EQ(count_of(r.err, "a checkpoint is written"), 1u) << r.err;
    // to one rank alone: all stop together
    r = mpirun(2, resume(run), [&](pid_t p) {
        wait_for_lines(run, 20);
        kill(ranks_of(p).at(1), SIGUSR1);
    });
    EXPECT_EQ(r.status, 128 + SIGUSR1) << "of every rank, so that a launcher finds no other";
    EXPECT_TRUE(has(r.err, "Stopped by SIGUSR1 after")) << r.err;
    EXPECT_EQ(count_of(r.err, "a checkpoint is written"), 1u) << r.err;
    EXPECT_LT(count_of(read_file(run + "/metrics.jsonl"), "\n"), 45u);
    EXPECT_EQ(mpirun(4, resume(run)).status, 0);
    expect_same_weights(whole(), run);
    EXPECT_EQ(mpirun(2, resume(run)).status, 0); // nothing left to do
}

class Orphans : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Dist, Orphans, testing::Values(1, 2));

// Also where the meta-iteration takes longer than the second after which Open MPI would end processes without a launcher.
TEST_P(Orphans, LeaveACheckpoint) {
    NEEDS_MPI();
    ScratchDir dir;
    const std::string run = dir / "run";
    std::vector<pid_t> ranks;
    List settings = slow;
    settings.insert(settings.end(), {"iterations=1000", "checkpoint.every=1000", "window.max=1000", "window.min=1000"});
    mpirun(GetParam(), command(run, settings), [&](pid_t p) {
        siginfo_t end;
        wait_for_lines(run, 1);
        ranks = ranks_of(p);
        ASSERT_EQ(ranks.size(), size_t(GetParam()));
        kill(p, SIGKILL);
        waitid(P_PID, static_cast<id_t>(p), &end, WEXITED | WNOWAIT); // ranks that stand still at that time would be hung up
        kill(ranks.back(), SIGSTOP);
        wait_ms(2500);
        kill(ranks.back(), SIGCONT);
    });
    for (pid_t rank : ranks) {
        for (int i = 0; i < 3000 && kill(rank, 0) == 0; i++) wait_ms(10);
        EXPECT_NE(kill(rank, 0), 0) << "a rank outlives its launcher";
    }
    EXPECT_TRUE(std::filesystem::exists(run + "/weights.safetensors"));
}

TEST(Dist, AKilledRankCostsOneCheckpointIntervalAtMost) {
    NEEDS_MPI();
    ScratchDir dir;
    const std::string run = dir / "run";
    Outcome r = mpirun(3, command(run, slow), [&](pid_t p) {
        wait_for_lines(run, 16);
        kill(ranks_of(p).at(2), SIGKILL);
    });
    EXPECT_NE(r.status, 0);
    EXPECT_TRUE(std::filesystem::exists(run + "/checkpoint-0000000014.safetensors"));
    r = mpirun(2, resume(run));
    ASSERT_EQ(r.status, 0) << r.err;
    expect_same_weights(whole(), run);
}

TEST(Dist, AFrozenRankIsNamedAndTheRunGoesOn) {
    NEEDS_MPI();
    ScratchDir dir;
    const std::string run = dir / "run";
    Clock::time_point at;
    List settings = slow;
    settings.push_back("comm.deadline=1");
    Outcome r = mpirun(3, command(run, settings), [&](pid_t p) {
        wait_for_lines(run, 9);
        at = Clock::now();
        kill(ranks_of(p).at(0), SIGSTOP);
    });
    EXPECT_LT(seconds_since(at), 1 + 5);
    EXPECT_NE(r.status, 0);
    EXPECT_TRUE(has(r.err, "rank 0 (process ") && has(r.err, "--resume")) << r.err;
    r = mpirun(2, resume(run, {"comm.deadline=300"}));
    ASSERT_EQ(r.status, 0) << r.err;
    EXPECT_EQ(files(whole())["metrics.jsonl"], files(run)["metrics.jsonl"]);
}

TEST(Dist, AFailureIsToldOnceAndByItsRank) {
    NEEDS_MPI();
    ScratchDir dir;
    Outcome r = mpirun(3, command("/proc/nowhere"));
    EXPECT_NE(r.status, 0);
    EXPECT_EQ(count_of(r.err, "lopt: "), 1u) << r.err;
    EXPECT_LT(r.seconds, 10);
    r = mpirun(3, command(dir / "x", {"windw.min=3"}));
    EXPECT_EQ(count_of(r.err, "did you mean window.min?"), 1u) << r.err;
    // one rank of another kind
    List a = command(dir / "y"), b = {":", "-n", "1", "-x", "LOPT_ISA=baseline"};
    a.insert(a.end(), b.begin(), b.end());
    const List c = command(dir / "y");
    a.insert(a.end(), c.begin(), c.end());
    r = mpirun(2, a);
    if (!has(execute({lopt, "info"}).out, "baseline")) {
        EXPECT_NE(r.status, 0);
        EXPECT_EQ(count_of(r.err, "rank 2: this host has the instruction set baseline"), 1u) << r.err;
    }
}

TEST(Dist, OneJobAtATimeInADirectory) {
    NEEDS_MPI();
    ScratchDir dir;
    const std::string run = dir / "run";
    List endless = slow;
    endless[0] = "iterations=1000000";
    size_t lines = 0;
    mpirun(2, command(run, endless), [&](pid_t p) {
        wait_for_lines(run, 2);
        const Outcome other = mpirun(2, resume(run));
        EXPECT_NE(other.status, 0);
        EXPECT_EQ(count_of(other.err, "another training is at work"), 1u) << other.err;
        lines = count_of(read_file(run + "/metrics.jsonl"), "\n");
        wait_for_lines(run, lines + 2); // the first one goes on
        kill(p, SIGUSR1);
    });
    EXPECT_GE(count_of(read_file(run + "/metrics.jsonl"), "\n"), lines + 2);
}

TEST(Dist, ATruncatedNewestCheckpointIsPassedOver) {
    NEEDS_MPI();
    ScratchDir dir;
    ASSERT_EQ(execute(command(dir / "whole")).status, 0);
    const std::string run = dir / "run", newest = run + "/checkpoint-0000000012.safetensors";
    ASSERT_EQ(mpirun(2, command(run)).status, 0);
    std::filesystem::resize_file(newest, std::filesystem::file_size(newest) / 2);
    const Outcome r = mpirun(3, resume(run));
    ASSERT_EQ(r.status, 0) << r.err;
    EXPECT_TRUE(has(r.err, "note: a checkpoint is damaged and passed over") && has(r.err, "checkpoint-0000000012")) << r.err;
    expect_same_files(dir / "whole", run);
}

TEST(Dist, CheckpointsComeByTheClockToo) {
    ScratchDir dir;
    const std::string run = dir / "run";
    List settings = slow;
    settings.insert(settings.end(), {"iterations=100000", "checkpoint.every=1000000", "checkpoint.minutes=0.005"});
    const Outcome r = execute(command(run, settings), [&](pid_t p) {
        for (int i = 0; i < 2000 && !std::filesystem::exists(run + "/weights.safetensors"); i++) wait_ms(5);
        kill(p, SIGKILL);
    });
    EXPECT_EQ(r.status, 128 + SIGKILL);
    EXPECT_EQ(execute(resume(run, {"iterations=1"})).status, 0);
}

#ifdef FAILING_FSYNC
TEST(Dist, AFailingFsyncEndsTheJobAndLosesNothing) {
    NEEDS_MPI();
    ScratchDir dir;
    ASSERT_EQ(execute(command(dir / "whole")).status, 0);
    const std::string run = dir / "run";
    size_t failures = 0;
    for (int good = 0; good < 9; good += 3) { // it fails at ever later files
        List a = {"env", "LD_PRELOAD=" FAILING_FSYNC, "LOPT_FSYNC_GOOD=" + std::to_string(good)};
        const bool begun = std::filesystem::exists(run + "/config.json");
        const List c = begun ? resume(run) : command(run);
        a.insert(a.end(), c.begin(), c.end());
        const Outcome r = mpirun(2, a);
        if (r.status == 0) break;
        failures++;
        EXPECT_EQ(count_of(r.err, "lopt: "), 1u) << r.err;
        EXPECT_TRUE(has(r.err, "Input/output error")) << r.err;
        for (auto &entry : std::filesystem::recursive_directory_iterator(dir.path))
            EXPECT_EQ(entry.path().string().find(".tmp"), std::string::npos) << entry.path();
    }
    EXPECT_GE(failures, 2u);
    const Outcome r = mpirun(3, std::filesystem::exists(run + "/config.json") ? resume(run) : command(run));
    EXPECT_EQ(r.status, 0) << r.err;
    expect_same_files(dir / "whole", run);
}
#endif

} // namespace
