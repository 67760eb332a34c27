// lopt_train as a whole: it learns, its bits depend on neither threads nor interruptions, and nothing is lost when something goes wrong.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>
#include <csignal>
#ifdef _OPENMP
#include <omp.h>
#endif
#ifdef __x86_64__
#include <immintrin.h>
#endif

extern "C" {
#include "csrc/comm/comm.h"
#include "csrc/train/run_directory.h"
}
#include "tests/train/train_support.h"

namespace {

TEST(Train, LearnsAndReports) {
    ScratchDir dir;
    Trained t = train(dir / "run", {"iterations=300", "particles=8", "tasks=quadratic:n=6;bowl:c=1", "weights.options=attention=0",
                                    "window.min=20", "window.mean=0", "horizon.windows_mean=2", "init_lr.min=1e-3",
                                    "init_lr.max=0.1", "meta_optimizer.learning_rate=0.005"});
    ASSERT_EQ(t.status, LOPT_OK) << lopt_last_error();
    EXPECT_EQ(t.stopped, 0);
    ASSERT_EQ(t.seen.size(), 300u);
    EXPECT_EQ(t.seen.back().iteration, 300u);
    EXPECT_EQ(t.seen.back().inner_steps, 300u * 8 * 20);
    double first = 0, last = 0;
    for (int i = 0; i < 20; i++) first += t.seen[i].meta_loss / 20, last += t.seen[280 + i].meta_loss / 20;
    EXPECT_LT(last, first - 2.0); // two nats of the loss ratio: an untrained rule does not drift there
    Weights w;
    ASSERT_EQ(lopt_weights_load((dir / "run/weights.safetensors").c_str(), &w.p), LOPT_OK);
    EXPECT_EQ(lopt_weights_option(w.p, "attention"), 0);
    const std::string provenance = lopt_weights_provenance(w.p);
    for (const char *key : {"configuration", "seed", "corpus", "meta_iterations"})
        EXPECT_NE(provenance.find(key), std::string::npos);
    EXPECT_TRUE(std::filesystem::exists(dir / "run/config.json"));
}

TEST(Train, SaysWhenAttentionCannotLearn) {
    ScratchDir dir;
    Trained t = train(dir / "a", with(with(small_run, "second_derivatives=false"), "iterations=4"));
    ASSERT_EQ(t.status, LOPT_OK) << lopt_last_error();
    ASSERT_EQ(t.notes.size(), 1u);
    EXPECT_NE(t.notes[0].find("attention"), std::string::npos);
    Weights before;
    ASSERT_EQ(lopt_weights_init(nullptr, 0, &before.p), LOPT_OK);
    std::vector<float> after = weights_in(dir / "a");
    const char *name;
    size_t offset, shape[2];
    for (size_t i = 0; lopt_weights_tensor(before.p, i, &name, &offset, shape); i++) {
        bool same = !std::memcmp(lopt_weights_data(before.p) + offset, after.data() + offset, shape[0] * shape[1] * sizeof(float));
        EXPECT_EQ(same, std::string(name).substr(0, 10) == "attention.") << name;
    }
    EXPECT_TRUE(train(dir / "b", with(small_run, "iterations=4")).notes.empty());
}

TEST(Train, SaysWhenRandomWeightsStayAsTheyAre) {
    ScratchDir dir;
    const std::vector<std::string> part = with(with(small_run, "weights.trained=update.*"), "iterations=1");
    Trained t = train(dir / "a", part);
    ASSERT_EQ(t.status, LOPT_OK) << lopt_last_error();
    ASSERT_EQ(t.notes.size(), 1u);
    EXPECT_NE(t.notes[0].find("weights.from"), std::string::npos) << t.notes[0];
    EXPECT_TRUE(train(dir / "b", with(part, "weights.from=" + (dir / "a/weights.safetensors"))).notes.empty());
}

// Every estimator, with as few pairs as each can have.
class Estimators : public ::testing::TestWithParam<const char *> {
protected:
    const std::vector<std::string> run = with(with(small_run, std::string("estimator=") + GetParam()), "es.pairs=2");
};
INSTANTIATE_TEST_SUITE_P(All, Estimators, ::testing::Values("tbptt", "es", "pes", "nres", "mix"));

#ifdef _OPENMP
TEST_P(Estimators, SameBitsForAnyNumberOfThreads) {
    ScratchDir dir;
    const int before = omp_get_max_threads();
    for (int threads : {1, 2, 3, 7}) {
        omp_set_num_threads(threads);
        ASSERT_EQ(train(dir / std::to_string(threads), run).status, LOPT_OK) << lopt_last_error();
    }
    omp_set_num_threads(before);
    for (const char *other : {"2", "3", "7"}) {
        EXPECT_EQ(weights_in(dir / "1"), weights_in(dir / other));
        EXPECT_EQ(metrics_of(dir / "1"), metrics_of(dir / other));
    }
}
#endif

TEST_P(Estimators, SameBitsWhenStoppedAndResumedAnywhere) {
    ScratchDir dir;
    ASSERT_EQ(train(dir / "whole", run).status, LOPT_OK) << lopt_last_error();
    for (uint64_t stop = 1; stop < 12; stop++) {
        const std::string path = dir / ("stop" + std::to_string(stop));
        Trained t = train(path, run, 0, stop);
        ASSERT_EQ(t.status, LOPT_OK) << lopt_last_error();
        ASSERT_EQ(t.stopped, 1);
        ASSERT_EQ(t.seen.back().iteration, stop);
        t = train(path, {}, 1);
        ASSERT_EQ(t.status, LOPT_OK) << lopt_last_error();
        EXPECT_EQ(t.stopped, 0);
        EXPECT_EQ(t.seen.front().iteration, stop + 1);
        EXPECT_EQ(weights_in(dir / "whole"), weights_in(path)) << stop;
        EXPECT_EQ(metrics_of(dir / "whole"), metrics_of(path)) << stop;
        EXPECT_EQ(read_file(dir / "whole/checkpoint-0000000012.safetensors"),
                  read_file(path + "/checkpoint-0000000012.safetensors"));
    }
}

// Weights whose steps grow until floats end.
void save_wild_weights(const std::string &path) {
    Weights w;
    ASSERT_EQ(lopt_weights_init("param=3,tensor=3,global=2", 1, &w.p), LOPT_OK);
    const char *name;
    size_t offset, shape[2];
    for (size_t i = 0; lopt_weights_tensor(w.p, i, &name, &offset, shape); i++)
        if (!std::strcmp(name, "learning_rate.bias")) lopt_weights_data(w.p)[offset] = 20.0f;
    ASSERT_EQ(lopt_weights_save(w.p, path.c_str()), LOPT_OK);
}

// No gradient, the cap as loss, a fresh start.
TEST_P(Estimators, DivergenceCostsTheCapAndNothingElse) {
    ScratchDir dir;
    save_wild_weights(dir / "wild.safetensors");
    const std::vector<std::string> wild = {std::string("estimator=") + GetParam(),
                                           "es.pairs=2",
                                           "tasks=beale",
                                           "weights.from=" + (dir / "wild.safetensors"),
                                           "iterations=4",
                                           "particles=6",
                                           "loss_cap=3",
                                           "average=0"};
    Trained t = train(dir / "run", wild);
    ASSERT_EQ(t.status, LOPT_OK) << lopt_last_error();
    for (const lopt_train_progress &p : t.seen) {
        EXPECT_EQ(p.diverged, 6u);
        EXPECT_EQ(p.restarted, 6u);
        EXPECT_DOUBLE_EQ(p.meta_loss, 3.0);
        EXPECT_EQ(p.gradient_norm, 0.0);
    }
    Weights start;
    ASSERT_EQ(lopt_weights_load((dir / "wild.safetensors").c_str(), &start.p), LOPT_OK);
    EXPECT_EQ(weights_in(dir / "run"),
              std::vector<float>(lopt_weights_data(start.p), lopt_weights_data(start.p) + lopt_weights_count(start.p)));
}

TEST_P(Estimators, LearnsAndCountsItsSteps) {
    ScratchDir dir;
    Trained t = train(dir / "run", {std::string("estimator=") + GetParam(), "es.pairs=4", "es.sigma=0.02", "iterations=60",
                                    "particles=8", "tasks=quadratic:n=4", "weights.options=attention=0,param=3,tensor=3,global=2",
                                    "window.min=10", "window.mean=0", "horizon.windows_mean=1", "init_lr.min=1e-3",
                                    "init_lr.max=1e-3", "meta_optimizer.learning_rate=0.1"});
    ASSERT_EQ(t.status, LOPT_OK) << lopt_last_error();
    double first = 0, last = 0;
    for (int i = 0; i < 10; i++) first += t.seen[i].meta_loss / 10, last += t.seen[50 + i].meta_loss / 10;
    EXPECT_LT(last, first - 0.3);
    const std::string name = GetParam();
    const uint64_t unrolls = name == "tbptt" ? 1 : name == "es" ? 9 : 8;
    EXPECT_EQ(t.seen.back().inner_steps, 60u * 8 * 10 * unrolls);
}

TEST(Train, PerturbationsReachAttentionWithoutSecondDerivatives) {
    ScratchDir dir;
    EXPECT_TRUE(
        train(dir / "a", with(with(with(small_run, "second_derivatives=false"), "iterations=2"), "estimator=pes")).notes.empty());
}

TEST(Train, RefusesWhatWouldLoseSomething) {
    ScratchDir dir;
    ASSERT_EQ(train(dir / "run", small_run).status, LOPT_OK);
    const std::string before = read_file(dir / "run/weights.safetensors");
    EXPECT_EQ(train(dir / "run", small_run).status, LOPT_ERR_ARGUMENT); // holds a run
    EXPECT_EQ(read_file(dir / "run/weights.safetensors"), before);
    EXPECT_EQ(train("", small_run).status, LOPT_ERR_ARGUMENT);
    EXPECT_EQ(train("/proc/nowhere", small_run).status, LOPT_ERR_IO);
    write_file(dir / "file", "x");
    EXPECT_EQ(train(dir / "file", small_run).status, LOPT_ERR_IO);
    EXPECT_EQ(lopt_train(nullptr, nullptr), LOPT_ERR_ARGUMENT);
    lopt_train_options o = LOPT_TRAIN_OPTIONS_INIT;
    EXPECT_EQ(lopt_train(&o, nullptr), LOPT_ERR_ARGUMENT);
}

TEST(Train, ARefusedRunLeavesNothing) {
    ScratchDir dir;
    EXPECT_EQ(train(dir / "new", {}, 1).status, LOPT_ERR_ARGUMENT); // nothing to resume
    EXPECT_EQ(train(dir / "new", with(small_run, "tasks=digits_softmax")).status, LOPT_ERR_CONFIG);
    EXPECT_EQ(train(dir / "new", with(small_run, "weights.from=/nonexistent")).status, LOPT_ERR_IO);
    EXPECT_FALSE(std::filesystem::exists(dir / "new"));
    std::filesystem::create_directory(dir / "new");
    EXPECT_EQ(train(dir / "new", {}, 1).status, LOPT_ERR_ARGUMENT);
    EXPECT_TRUE(std::filesystem::exists(dir / "new")) << "the caller's own";
    EXPECT_EQ(train(dir / "new", small_run).status, LOPT_OK) << lopt_last_error();
}

int inner_status;
int nested(void *self, const lopt_train_progress *) {
    inner_status = train(*static_cast<std::string *>(self), small_run, 1).status;
    return 1;
}
TEST(Train, WhoComesSecondTakesNothingFromWhoIsBeginning) {
    ScratchDir dir;
    run_directory first, second, third;
    ASSERT_EQ(run_directory_open((dir / "run").c_str(), &first), LOPT_OK) << lopt_last_error();
    EXPECT_EQ(run_directory_open((dir / "run").c_str(), &second), LOPT_ERR_IO);
    EXPECT_TRUE(std::filesystem::exists(dir / "run/lock"));
    run_directory_close(&first); // refused
    EXPECT_FALSE(std::filesystem::exists(dir / "run"));
    ASSERT_EQ(run_directory_open((dir / "run/").c_str(), &third), LOPT_OK) << lopt_last_error();
    third.begun = 1;
    run_directory_close(&third);
    EXPECT_TRUE(std::filesystem::exists(dir / "run/lock"));
}

TEST(Train, OneProcessAtATime) {
    ScratchDir dir;
    std::string path = dir / "run";
    lopt_train_options o = LOPT_TRAIN_OPTIONS_INIT;
    o.out_dir = path.c_str();
    o.progress = nested;
    o.self = &path;
    ASSERT_EQ(lopt_train(&o, nullptr), LOPT_OK) << lopt_last_error();
    EXPECT_EQ(inner_status, LOPT_ERR_IO);
}

// The communicator is the caller's, and so is its deadline.
TEST(Train, GivesTheDeadlineBack) {
    ScratchDir dir;
    const std::string path = dir / "run";
    lopt_comm *comm = nullptr;
    ASSERT_EQ(lopt_comm_open("self", &comm), LOPT_OK);
    ASSERT_EQ(lopt_comm_set_deadline(comm, 7.0), LOPT_OK);
    const char *overrides[] = {"iterations=1", "particles=1", "tasks=bowl", "window.min=5"};
    lopt_train_options o = LOPT_TRAIN_OPTIONS_INIT;
    o.out_dir = path.c_str();
    o.comm = comm;
    o.overrides = overrides;
    o.num_overrides = 4;
    ASSERT_EQ(lopt_train(&o, nullptr), LOPT_OK) << lopt_last_error();
    EXPECT_EQ(comm->deadline, 7.0);
    lopt_comm_close(comm);
}

#ifdef __x86_64__
// Whether the caller's program reads subnormal numbers as 0 does not matter. Here some are among the meta-optimizer's averages.
TEST(Train, SameBitsWhateverTheProgramsRounding) {
    ScratchDir dir;
    const std::vector<std::string> tiny = with(with(small_run, "clip.limit=1e-12"), "meta_optimizer.kind=adam");
    ASSERT_EQ(train(dir / "kept", tiny).status, LOPT_OK) << lopt_last_error();
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);
    const lopt_status status = train(dir / "flushed", tiny).status;
    EXPECT_EQ(_mm_getcsr() & 0x8040, 0x8040u) << "the caller's mode";
    _mm_setcsr(before);
    ASSERT_EQ(status, LOPT_OK) << lopt_last_error();
    EXPECT_TRUE(checkpoint_in(dir / "kept", 12) == checkpoint_in(dir / "flushed", 12));
}
#ifdef _OPENMP
// Nor does it matter in its threads. Here some are among the meta-gradients.
TEST(Train, SameBitsWhateverItsThreadsRounding) {
    ScratchDir dir;
    const std::vector<std::string> tiny = {"iterations=1",
                                           "particles=4",
                                           "tasks=quadratic:n=3,sparse=0.9",
                                           "init_lr.min=1e-14",
                                           "init_lr.max=1e-14",
                                           "window.min=3",
                                           "window.max=3",
                                           "weights.options=param=8,tensor=8,global=8",
                                           "clip.kind=none"};
    auto set_all = [](unsigned bits) {
#pragma omp parallel num_threads(3)
        _mm_setcsr((_mm_getcsr() & ~0x8040u) | bits);
    };
    const int before = omp_get_max_threads();
    omp_set_num_threads(3);
    set_all(0);
    const lopt_status kept = train(dir / "kept", tiny).status;
    set_all(0x8040);
    const lopt_status flushed = train(dir / "flushed", tiny).status;
    set_all(0);
    omp_set_num_threads(before);
    ASSERT_EQ(kept, LOPT_OK) << lopt_last_error();
    ASSERT_EQ(flushed, LOPT_OK) << lopt_last_error();
    EXPECT_TRUE(checkpoint_in(dir / "kept", 1) == checkpoint_in(dir / "flushed", 1));
}
#endif
#endif

TEST(Train, GoesOnFromAWeightsFile) {
    ScratchDir dir;
    ASSERT_EQ(train(dir / "first", small_run).status, LOPT_OK);
    const std::string file = dir / "first/weights.safetensors";
    Trained t = train(dir / "second", with(with(small_run, "weights.from=" + file), "meta_optimizer.learning_rate=0"), 0, 3);
    ASSERT_EQ(t.status, LOPT_OK) << lopt_last_error();
    EXPECT_EQ(weights_in(dir / "first"), weights_in(dir / "second"));
    std::filesystem::remove(file); // the run does not need it any more
    EXPECT_EQ(train(dir / "second", {}, 1).status, LOPT_OK) << lopt_last_error();
    // killed before its first checkpoint: it begins again from the file
    ASSERT_EQ(train(dir / "third", with(small_run, "weights.from=" + dir / "second/weights.safetensors"), 0, 3).status, LOPT_OK)
        << lopt_last_error();
    for (const auto &entry : std::filesystem::directory_iterator(dir / "third"))
        if (entry.path().filename() != "config.json") std::filesystem::remove(entry.path());
    EXPECT_EQ(train(dir / "third", {}, 1).status, LOPT_OK) << lopt_last_error();
}

TEST(Train, FreshWeightsCanBeginNearPlainSteps) {
    ScratchDir dir;
    const auto still = with(with(small_run, "meta_optimizer.learning_rate=0"), "iterations=1");
    ASSERT_EQ(train(dir / "whole", still).status, LOPT_OK) << lopt_last_error();
    ASSERT_EQ(train(dir / "tenth", with(still, "weights.update_scale=0.1")).status, LOPT_OK) << lopt_last_error();
    const std::vector<float> a = weights_in(dir / "whole"), b = weights_in(dir / "tenth");
    lopt_weights *w = nullptr;
    ASSERT_EQ(lopt_weights_load((dir / "tenth/weights.safetensors").c_str(), &w), LOPT_OK);
    size_t seen = 0, offset = 0, shape[2];
    const char *name = nullptr;
    for (size_t t = 0; lopt_weights_tensor(w, t, &name, &offset, shape); t++)
        for (size_t i = offset; i < offset + shape[0] * shape[1]; i++, seen++)
            ASSERT_FLOAT_EQ(b[i], std::string(name) == "update.kernel" ? 0.1f * a[i] : a[i]) << name;
    EXPECT_EQ(seen, a.size());
    lopt_weights_free(w);
}

TEST(Train, FullDiskKeepsTheLastCheckpoint) {
    ScratchDir dir;
    ASSERT_EQ(train(dir / "run", small_run, 0, 3).status, LOPT_OK);
    const std::vector<float> before = weights_in(dir / "run");
    struct rlimit old, low;
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
    low = old;
    low.rlim_cur = 20000; // less than a checkpoint
    signal(SIGXFSZ, SIG_IGN);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
    const lopt_status status = train(dir / "run", {}, 1).status;
    const std::string sentence = lopt_last_error();
    setrlimit(RLIMIT_FSIZE, &old);
    EXPECT_EQ(status, LOPT_ERR_IO) << sentence;
    EXPECT_EQ(weights_in(dir / "run"), before);
    for (auto &entry : std::filesystem::directory_iterator(dir / "run"))
        EXPECT_EQ(entry.path().string().find("tmp"),
                  entry.path().string().rfind("tmp/lopt-test") == std::string::npos ? std::string::npos : 1u);
    EXPECT_EQ(train(dir / "run", {}, 1).status, LOPT_OK) << lopt_last_error();
    ASSERT_EQ(train(dir / "whole", small_run).status, LOPT_OK);
    EXPECT_EQ(weights_in(dir / "whole"), weights_in(dir / "run"));
}

} // namespace
