// Jobs of several ranks, as a user would start them.
#pragma once
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/scratch_dir.h"

struct Outcome {
    int status = -1; // exit status, or 128 + signal
    std::string out, err;
    double seconds = 0;
};

using Clock = std::chrono::steady_clock;
inline double seconds_since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }
inline void wait_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

// Runs a program; during: called with its process id meanwhile.
inline Outcome execute(const std::vector<std::string> &arguments, const std::function<void(pid_t)> &during = nullptr,
                       const std::vector<std::pair<std::string, std::string>> &environment = {}) {
    ScratchDir dir;
    const std::string out = dir / "out", err = dir / "err";
    const Clock::time_point started = Clock::now();
    const pid_t child = fork();
    if (child == 0) {
        for (const auto &e : environment) setenv(e.first.c_str(), e.second.c_str(), 1);
        std::vector<char *> argv;
        for (const std::string &a : arguments) argv.push_back(const_cast<char *>(a.c_str()));
        argv.push_back(nullptr);
        if (!freopen(out.c_str(), "w", stdout) || !freopen(err.c_str(), "w", stderr)) _exit(126);
        execvp(argv[0], argv.data());
        _exit(127);
    }
    if (during) during(child);
    int status = 0;
    waitpid(child, &status, 0);
    Outcome r;
    r.seconds = seconds_since(started);
    r.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    r.out = read_file(out);
    r.err = read_file(err);
    return r;
}

// Under root, on more ranks than cores. MPI leaks so much, from modules that it has unloaded, that leaks are left to the tests without it.
inline std::vector<std::pair<std::string, std::string>> mpi_environment() {
    return {{"OMPI_ALLOW_RUN_AS_ROOT", "1"},
            {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
            {"OMPI_MCA_rmaps_base_oversubscribe", "1"},
            {"OMPI_MCA_hwloc_base_binding_policy", "none"},
            {"OMP_NUM_THREADS", "1"},
            {"ASAN_OPTIONS", "detect_leaks=0"}};
}

inline Outcome mpirun(int ranks, const std::vector<std::string> &command, const std::function<void(pid_t)> &during = nullptr) {
    std::vector<std::string> a = {"mpirun", "-n", std::to_string(ranks)};
    a.insert(a.end(), command.begin(), command.end());
    return execute(a, during, mpi_environment());
}

inline bool has(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }
inline size_t count_of(const std::string &text, const std::string &part) {
    size_t n = 0;
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) n++;
    return n;
}

#ifdef LOPT_HAVE_MPI
#define NEEDS_MPI()
#else
#define NEEDS_MPI() GTEST_SKIP() << "no MPI in this build"
#endif
