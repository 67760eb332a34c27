// The NCCL communicator over a fake library, and how ranks find each other without MPI; and over NCCL itself, one rank on each of as many GPUs as
// LOPT_TEST_NCCL_GPUS says.
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>

#include "tests/dist/support.h"

namespace {

#ifdef LOPT_HAVE_NCCL
#define NEEDS_NCCL()
#else
#define NEEDS_NCCL() GTEST_SKIP() << "no NCCL in this build"
#endif

using Environment = std::vector<std::pair<std::string, std::string>>;
const std::string worker = LOPT_BINARY_DIR "/tests/dist_worker", lopt = LOPT_BINARY_DIR "/lopt";

Environment fake() {
    const std::string library = LOPT_BINARY_DIR "/tests/libfake_nccl.so";
    return {{"LOPT_NCCL_LIBRARY", library}, {"LOPT_CUDART_LIBRARY", library}, {"OMP_NUM_THREADS", "1"}};
}

// A port for rank 0 that the kernel gives to nobody else, other tests at work beside this one included: bound, but not listening, so that
// rank 0 may bind it as well (both with SO_REUSEADDR) and listen.
class FreePort {
public:
    FreePort() {
        sockaddr_in6 any{};
        any.sin6_family = AF_INET6;
        sockaddr *address = reinterpret_cast<sockaddr *>(&any);
        if (!bind_to(address, sizeof any)) {
            any.sin6_family = AF_INET; // a host without IPv6; the port lies at the same place
            if (!bind_to(address, sizeof(sockaddr_in))) ADD_FAILURE() << "no free port: " << strerror(errno);
        }
        socklen_t bytes = sizeof any;
        if (getsockname(socket_, address, &bytes) == 0) number_ = ntohs(any.sin6_port);
    }
    ~FreePort() { close(socket_); }
    FreePort(const FreePort &) = delete;
    FreePort &operator=(const FreePort &) = delete;
    std::string text() const { return std::to_string(number_); }
    // A connection to whoever listens there, once somebody does; -1: nobody has for ten seconds.
    int connect_to() const {
        sockaddr_in there{};
        there.sin_family = AF_INET;
        there.sin_port = htons(static_cast<uint16_t>(number_));
        there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        for (int i = 0; i < 1000; i++) {
            const int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            if (connect(s, reinterpret_cast<const sockaddr *>(&there), sizeof there) == 0) return s;
            close(s);
            wait_ms(10);
        }
        return -1;
    }

private:
    bool bind_to(const sockaddr *address, socklen_t bytes) {
        const int one = 1;
        if (socket_ >= 0) close(socket_);
        socket_ = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        return bind(socket_, address, bytes) == 0;
    }
    int socket_ = -1, number_ = 0;
};

TEST(FreePort, IsGivenToNobodyElse) {
    std::vector<std::string> ports;
    std::vector<std::unique_ptr<FreePort>> held;
    for (int i = 0; i < 500; i++) {
        held.push_back(std::make_unique<FreePort>());
        ports.push_back(held.back()->text());
    }
    std::sort(ports.begin(), ports.end());
    EXPECT_EQ(std::unique(ports.begin(), ports.end()), ports.end());
}

// Ranks as torchrun would start them. during: gets their process numbers.
std::vector<Outcome> torchrun_over(const Environment &libraries, int ranks, const std::vector<std::string> &command,
                                   const std::function<void(const std::vector<pid_t> &)> &during = nullptr,
                                   const Environment &more = {}) {
    const FreePort port;
    std::vector<Outcome> outcomes;
    outcomes.resize(size_t(ranks));
    std::vector<pid_t> pids;
    pids.resize(size_t(ranks));
    std::vector<std::thread> threads;
    for (int r = 0; r < ranks; r++) {
        Environment e = libraries;
        e.insert(e.end(), {{"RANK", std::to_string(r)},
                           {"LOCAL_RANK", std::to_string(r)},
                           {"WORLD_SIZE", std::to_string(ranks)},
                           {"MASTER_ADDR", "127.0.0.1"},
                           {"MASTER_PORT", port.text()}});
        e.insert(e.end(), more.begin(), more.end());
        threads.emplace_back([=, &outcomes, &pids] {
            outcomes[size_t(r)] = execute(
                command, [&, r](pid_t p) { pids[size_t(r)] = p; }, e);
        });
    }
    for (int i = 0; i < 500 && std::count(pids.begin(), pids.end(), 0) > 0; i++) wait_ms(10);
    if (during) during(pids);
    for (std::thread &t : threads) t.join();
    return outcomes;
}

std::vector<Outcome> torchrun(int ranks, const std::vector<std::string> &command,
                              const std::function<void(const std::vector<pid_t> &)> &during = nullptr,
                              const Environment &more = {}) {
    return torchrun_over(fake(), ranks, command, during, more);
}

class FakeRanks : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Nccl, FakeRanks, testing::Values(1, 2, 3, 8));

TEST_P(FakeRanks, EveryCallGivesWhatItMust) {
    NEEDS_NCCL();
    for (const Outcome &r : torchrun(GetParam(), {worker, "collectives", "nccl"})) {
        EXPECT_EQ(r.status, 0) << r.err;
        EXPECT_TRUE(has(r.out, "of " + std::to_string(GetParam()) + ", " + std::to_string(GetParam()) + " here: fine")) << r.out;
    }
}

TEST_P(FakeRanks, TheIdGoesByMpiWhereThereIsOne) {
    NEEDS_MPI();
    NEEDS_NCCL();
    std::vector<std::string> a = {"env"};
    for (const auto &e : fake()) a.push_back(e.first + "=" + e.second);
    a.insert(a.end(), {worker, "collectives", "nccl"});
    const Outcome r = mpirun(GetParam(), a);
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_EQ(count_of(r.out, ": fine"), size_t(GetParam())) << r.out << r.err;
}

TEST_P(FakeRanks, BuffersOnTheDeviceAreUsedAsTheyAre) {
    NEEDS_NCCL();
    for (const Outcome &r : torchrun(GetParam(), {worker, "device", "nccl"}))
        EXPECT_TRUE(has(r.out, "on its device: fine")) << r.err;
}

// A run of one process alone, and one of ranks over NCCL.
void same_files(const Environment &libraries, int ranks, const std::vector<std::string> &more) {
    ScratchDir dir;
    auto command = [](const std::string &run, const std::vector<std::string> &last) {
        std::vector<std::string> a = {lopt, "train", "--out", run};
        for (const char *s : {"iterations=8", "particles=5", "tasks=quadratic:n=5,noise=0.5;rosenbrock", "window.min=5",
                              "window.mean=0", "checkpoint.every=5", "horizon.windows_mean=2"})
            a.insert(a.end(), {"--set", s});
        a.insert(a.end(), last.begin(), last.end());
        return a;
    };
    ASSERT_EQ(execute(command(dir / "alone", {})).status, 0);
    for (const Outcome &r : torchrun_over(libraries, ranks, command(dir / "job", more))) ASSERT_EQ(r.status, 0) << r.err;
    for (const char *name :
         {"/weights.safetensors", "/checkpoint-0000000005.safetensors", "/checkpoint-0000000008.safetensors", "/config.json"}) {
        const std::string text = read_file((dir / "alone") + name);
        EXPECT_FALSE(text.empty());
        EXPECT_TRUE(read_file((dir / "job") + name) == text) << name;
    }
}

TEST_P(FakeRanks, TrainingGivesTheSameFiles) {
    NEEDS_NCCL();
    same_files(fake(), GetParam(), {});
}

// One rank, and as many as there are GPUs. The first of a host starts NCCL, which takes seconds.
std::vector<int> ranks_on_gpus() {
    const char *gpus = std::getenv("LOPT_TEST_NCCL_GPUS");
    const int n = gpus ? std::atoi(gpus) : 0;
    return n > 1 ? std::vector<int>{1, n} : std::vector<int>(size_t(n), 1);
}
#define NEEDS_GPUS() \
    NEEDS_NCCL();    \
    if (ranks_on_gpus().empty()) GTEST_SKIP() << "LOPT_TEST_NCCL_GPUS does not say how many GPUs there are"

TEST(RealNccl, EveryCallGivesWhatItMust) {
    NEEDS_GPUS();
    for (int ranks : ranks_on_gpus())
        for (const Outcome &r : torchrun_over({}, ranks, {worker, "collectives", "nccl"})) {
            EXPECT_EQ(r.status, 0) << r.err;
            EXPECT_TRUE(has(r.out, "of " + std::to_string(ranks) + ", " + std::to_string(ranks) + " here: fine")) << r.out;
        }
}

TEST(RealNccl, BuffersOnTheDeviceAreUsedAsTheyAre) {
    NEEDS_GPUS();
    for (int ranks : ranks_on_gpus())
        for (const Outcome &r : torchrun_over({}, ranks, {worker, "device", "nccl"}))
            EXPECT_TRUE(r.status == 0 && has(r.out, "on its device: fine")) << r.out << r.err;
}

TEST(RealNccl, TrainingGivesTheSameFiles) {
    NEEDS_GPUS();
    for (int ranks : ranks_on_gpus()) same_files({}, ranks, {"--comm", "nccl"});
}

void wait_for_files(const std::string &dir, int ranks) {
    for (int r = 0; r < ranks; r++)
        for (int i = 0; i < 1000 && !has(read_file(dir + "/" + std::to_string(r)), "\n"); i++) wait_ms(10);
    wait_ms(100);
}

// A loop of barriers in which a signal hits one rank; it is gone in the end.
std::vector<Outcome> hit(const Environment &libraries, int ranks, size_t rank, int signal, const std::string &deadline) {
    ScratchDir dir;
    return torchrun_over(libraries, ranks, {worker, "loop", "nccl", deadline, dir.path}, [&](const std::vector<pid_t> &pids) {
        wait_for_files(dir.path, ranks);
        kill(pids[rank], signal);
        if (signal != SIGSTOP) return;
        auto others_live = [&] {
            for (size_t r = 0; r < pids.size(); r++)
                if (r != rank && kill(pids[r], 0) == 0) return true;
            return false;
        };
        for (int i = 0; i < 100 * (atoi(deadline.c_str()) + 5) && others_live(); i++) wait_ms(10);
        kill(pids[rank], SIGKILL);
    });
}

class FakeVictims : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Nccl, FakeVictims, testing::Values(0, 2));

TEST_P(FakeVictims, ADeadRankIsNamed) {
    NEEDS_NCCL();
    const auto outcomes = hit(fake(), 3, size_t(GetParam()), SIGKILL, "60");
    const std::string name = "rank " + std::to_string(GetParam()) + " (process ";
    for (int r = 0; r < 3; r++) EXPECT_NE(outcomes[size_t(r)].status, 0);
    const std::string &told = outcomes[GetParam() == 0 ? 1 : 0].err;
    EXPECT_TRUE(has(told, name) && has(told, "has died")) << told;
    for (const Outcome &r : outcomes) EXPECT_LT(r.seconds, 10);
}

TEST_P(FakeVictims, AFrozenRankIsNamed) {
    NEEDS_NCCL();
    const auto outcomes = hit(fake(), 3, size_t(GetParam()), SIGSTOP, "1");
    const std::string name = "rank " + std::to_string(GetParam()) + " (process ";
    const std::string &told = outcomes[GetParam() == 0 ? 1 : 0].err;
    EXPECT_TRUE(has(told, name) && has(told, "did not come to")) << told;
    for (int r = 0; r < 3; r++) EXPECT_EQ(outcomes[size_t(r)].status, r == GetParam() ? 128 + SIGKILL : 3) << r;
}

TEST(RealNccl, AFrozenRankIsNamed) {
    NEEDS_GPUS();
    if (ranks_on_gpus().back() < 2) GTEST_SKIP() << "needs two GPUs";
    const auto outcomes = hit({}, ranks_on_gpus().back(), 1, SIGSTOP, "15"); // starting takes seconds
    EXPECT_TRUE(has(outcomes[0].err, "rank 1 (process ") && has(outcomes[0].err, "did not come to")) << outcomes[0].err;
}

TEST(Nccl, WhatIsMissingIsSaid) {
    NEEDS_NCCL();
    auto one = [](const Environment &e) { return execute({worker, "collectives", "nccl"}, nullptr, e).err; };
    const FreePort port;
    const Environment alone = {{"RANK", "0"}, {"WORLD_SIZE", "1"}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", port.text()}};
    auto with = [](Environment a, const Environment &b) {
        a.insert(a.end(), b.begin(), b.end());
        return a;
    };
    EXPECT_TRUE(has(one(fake()), "WORLD_SIZE must be a number")) << one(fake());
    EXPECT_TRUE(has(one(with(with(fake(), alone), {{"MASTER_PORT", "x"}})), "MASTER_PORT must be a number"));
    EXPECT_TRUE(has(one(with(with(fake(), alone), {{"FAKE_NCCL_DEVICES", "0"}})), "has none (CUDA driver version is insufficient"));
    EXPECT_TRUE(has(one(with(alone, {{"LOPT_NCCL_LIBRARY", "/nonexistent.so"}})), "/nonexistent.so"));
    bool told = false;
    for (const Outcome &r : torchrun(3, {worker, "collectives", "nccl"}, nullptr, {{"FAKE_NCCL_DEVICES", "2"}}))
        told |= has(r.err, "there are 3 ranks on this host, and 2 GPUs");
    EXPECT_TRUE(told);
}

TEST(Nccl, RanksThatAreShownOneGpuEachAreTaken) {
    NEEDS_NCCL();
    for (const Outcome &r :
         torchrun(2, {worker, "collectives", "nccl"}, nullptr, {{"FAKE_NCCL_DEVICES", "1"}, {"CUDA_VISIBLE_DEVICES", "0"}}))
        EXPECT_EQ(r.status, 0) << r.err;
}

// Rank `number` of two, as torchrun's job `job` would start it.
Outcome one_of_two(const FreePort &port, const char *number, const char *job) {
    Environment e = fake();
    e.insert(e.end(), {{"RANK", number}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", port.text()}});
    e.push_back({"TORCHELASTIC_RUN_ID", job});
    return execute({worker, "collectives", "nccl"}, nullptr, e);
}

TEST(Nccl, ARankOfAnotherJobIsTurnedAway) {
    NEEDS_NCCL();
    const FreePort port;
    Outcome first, second;
    std::thread host([&] { first = one_of_two(port, "0", "a"); }), own([&] {
        const Outcome other = one_of_two(port, "1", "b");
        EXPECT_NE(other.status, 0);
        EXPECT_TRUE(has(other.err, "turned away as no rank of its job")) << other.err;
        second = one_of_two(port, "1", "a");
    });
    host.join(), own.join();
    EXPECT_EQ(first.status, 0) << first.err;
    EXPECT_EQ(second.status, 0) << second.err;
}

TEST(Nccl, ConnectionsThatSayNothingHoldNobodyUp) {
    NEEDS_NCCL();
    const FreePort port;
    Outcome first, second;
    std::thread host([&] { first = one_of_two(port, "0", "a"); });
    std::vector<int> silent;
    for (int i = 0; i < 3; i++) silent.push_back(port.connect_to()); // each would be listened to for ten seconds
    second = one_of_two(port, "1", "a");
    host.join();
    for (int s : silent) EXPECT_TRUE(s >= 0 && close(s) == 0);
    EXPECT_EQ(first.status, 0) << first.err;
    EXPECT_EQ(second.status, 0) << second.err;
    EXPECT_LT(second.seconds, 20);
}

} // namespace
