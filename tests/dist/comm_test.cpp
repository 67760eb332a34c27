// The communicator: every call on every number of ranks, and what happens when a rank dies, freezes or is late.
#include <fcntl.h>
#include <lopt/comm.h>

extern "C" {
#include "csrc/comm/peers.h"
#include "csrc/comm/wait.h"
}
#include "tests/dist/support.h"

namespace {

const std::string worker = LOPT_BINARY_DIR "/tests/dist_worker";

class Ranks : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Comm, Ranks, testing::Values(1, 2, 3, 4, 8));

TEST_P(Ranks, EveryCallGivesWhatItMust) {
    NEEDS_MPI();
    const Outcome r = mpirun(GetParam(), {worker, "collectives", "mpi"});
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_EQ(count_of(r.out, ": fine"), size_t(GetParam())) << r.out << r.err;
    EXPECT_TRUE(has(r.out, "of " + std::to_string(GetParam()) + ", " + std::to_string(GetParam()) + " here")) << r.out;
}

TEST(Comm, AutoTakesWhatTheProcessWasStartedBy) {
    const Outcome alone = execute({worker, "collectives", "auto"});
    EXPECT_EQ(alone.out, "rank 0 of 1, 1 here: fine\n") << alone.err;
    const Outcome lost = execute({worker, "collectives", "auto"}, nullptr, {{"SLURM_STEP_NUM_TASKS", "8"}});
    EXPECT_NE(lost.status, 0);
    EXPECT_TRUE(has(lost.err, "8 processes") && has(lost.err, "--mpi=pmix")) << lost.err;
    for (const char *size : {"two", "-2", "0", "99999999", "2x"}) {
        const Outcome odd = execute({worker, "collectives", "auto"}, nullptr, {{"WORLD_SIZE", size}, {"RANK", "0"}});
        EXPECT_NE(odd.status, 0);
        EXPECT_TRUE(has(odd.err, std::string("WORLD_SIZE=") + size + " in the environment is no number of ranks")) << odd.err;
    }
    NEEDS_MPI();
    const Outcome foreign = execute({worker, "collectives", "auto"}, nullptr, {{"PMI_RANK", "0"}, {"PMI_SIZE", "4"}});
    EXPECT_NE(foreign.status, 0);
    EXPECT_TRUE(has(foreign.err, "4 processes were started by a launcher that")) << foreign.err;
    const Outcome two = mpirun(2, {worker, "collectives", "auto"});
    EXPECT_TRUE(has(two.out, "rank 1 of 2")) << two.out << two.err;
}

// A process that waits for a word, two seconds at most, and is stopped for three meanwhile.
TEST(Comm, TimeForWhichAProcessWasStoppedIsNotWaited) {
    int word[2];
    ASSERT_EQ(pipe2(word, O_NONBLOCK), 0);
    const pid_t child = fork();
    if (child == 0) {
        const watch_kind nobody = {[](comm_watch *) {}, [](comm_watch *, char *) {}, [](comm_watch *) { return -1; },
                                   [](comm_watch *) { return -1; }, 0.0};
        comm_watch watch = {&nobody, 0, 1, 2.0, nullptr};
        const comm_poll came = [](void *end, int *done) {
            char letter;
            *done = read(*static_cast<int *>(end), &letter, 1) == 1;
            return LOPT_OK;
        };
        _exit(comm_wait(&watch, "a test", came, &word[0]) == LOPT_OK ? 0 : 1);
    }
    wait_ms(100);
    kill(child, SIGSTOP);
    wait_ms(3000);
    kill(child, SIGCONT);
    wait_ms(100);
    EXPECT_EQ(write(word[1], "w", 1), 1);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(word[0]), close(word[1]);
}

TEST(Comm, ArgumentsAreChecked) {
    lopt_comm *c = nullptr;
    EXPECT_EQ(lopt_comm_open("carrier pigeon", &c), LOPT_ERR_ARGUMENT);
    EXPECT_TRUE(has(lopt_last_error(), "auto, self, mpi and nccl"));
    EXPECT_EQ(lopt_comm_open("self", nullptr), LOPT_ERR_ARGUMENT);
    ASSERT_EQ(lopt_comm_open("self", &c), LOPT_OK);
    const size_t one = 1, two = 2;
    char data[2] = {3, 4}, other[2] = {};
    EXPECT_EQ(lopt_comm_broadcast(c, data, 1, 1), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_comm_broadcast(c, nullptr, 1, 0), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_comm_allgather(c, nullptr, &one, other), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_comm_alltoall(c, data, &one, other, &two), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_comm_set_deadline(c, 0), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_comm_set_deadline(c, -1), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_comm_allgather(c, data, &two, other), LOPT_OK);
    EXPECT_EQ(other[1], 4);
    EXPECT_STREQ(lopt_comm_kind(c), "self");
    lopt_comm_close(c);
    lopt_comm_close(nullptr);
}

long pid_in(const std::string &file) {
    for (int i = 0; i < 2000 && !has(read_file(file), "\n"); i++) wait_ms(10);
    return atol(read_file(file).c_str());
}

// A job of barriers in which `signal` hits one rank; the time from then to the end of the job.
Outcome hit(int ranks, int rank, int signal, const std::string &deadline, double *took) {
    ScratchDir dir;
    Clock::time_point at;
    const Outcome r = mpirun(ranks, {worker, "loop", "mpi", deadline, dir.path}, [&](pid_t) {
        for (int i = 0; i < ranks; i++) pid_in(dir / std::to_string(i));
        wait_ms(100);
        at = Clock::now();
        kill(pid_t(pid_in(dir / std::to_string(rank))), signal);
    });
    *took = seconds_since(at);
    return r;
}

class Victims : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Comm, Victims, testing::Values(0, 3));

TEST_P(Victims, AFrozenRankIsNamedAndEndsTheJob) {
    NEEDS_MPI();
    double took = 0;
    const Outcome r = hit(4, GetParam(), SIGSTOP, "1", &took);
    EXPECT_NE(r.status, 0);
    EXPECT_TRUE(has(r.err, "rank " + std::to_string(GetParam()) + " (process ")) << r.err;
    EXPECT_TRUE(has(r.err, "did not come to a barrier within 1 s")) << r.err;
    EXPECT_TRUE(has(r.err, "--resume")) << r.err;
    for (int other = 0; other < 4; other++) // nobody else is blamed
        EXPECT_EQ(has(r.err, "rank " + std::to_string(other) + " (process"), other == GetParam()) << r.err;
    EXPECT_LT(took, 1 + 5);
}

TEST_P(Victims, ADeadRankIsNamedAndEndsTheJob) {
    NEEDS_MPI();
    double took = 0;
    const Outcome r = hit(4, GetParam(), SIGKILL, "60", &took);
    EXPECT_NE(r.status, 0);
    // by a surviving rank, or by the launcher that was quicker
    EXPECT_TRUE(has(r.err, "rank " + std::to_string(GetParam()) + " (process ") ||
                has(r.err, "process rank " + std::to_string(GetParam()) + " with PID"))
        << r.err;
    EXPECT_LT(took, 5);
}

TEST(Comm, ALateRankIsWaitedForUpToTheDeadline) {
    NEEDS_MPI();
    EXPECT_EQ(mpirun(3, {worker, "late", "mpi", "10", "1", "1"}).status, 0);
    const Outcome r = mpirun(3, {worker, "late", "mpi", "2.5", "1", "30"});
    EXPECT_NE(r.status, 0);
    EXPECT_TRUE(has(r.err, "rank 1 (process ")) << r.err;
    EXPECT_FALSE(has(r.err, "rank 2 (process ")) << "it came late, but it came\n" << r.err;
    EXPECT_LT(r.seconds, 2.5 + 5 + 1);
}

TEST(Comm, ADeadProcessOfThisHostIsSeen) {
    const peer self = peer_self();
    peer other = self;
    EXPECT_EQ(peer_gone(&self, &other), 0);
    const pid_t child = fork();
    if (child == 0) _exit(0);
    waitpid(child, nullptr, 0);
    other.pid = child;
    EXPECT_EQ(peer_gone(&self, &other), 1);
    other.pid_room ^= 1; // of another host or container, where the number means another process
    EXPECT_EQ(peer_gone(&self, &other), 0);
}

} // namespace
