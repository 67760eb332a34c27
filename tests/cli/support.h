// Runs the built command as a user would: arguments in, exit status, stdout and stderr out.
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
};

// during: called with the process id while it runs.
inline Outcome lopt(const std::vector<std::string> &arguments, const std::function<void(pid_t)> &during = nullptr) {
    ScratchDir dir;
    const std::string out = dir / "out", err = dir / "err";
    const pid_t child = fork();
    if (child == 0) {
        std::vector<char *> argv = {const_cast<char *>("lopt")};
        for (const std::string &a : arguments) argv.push_back(const_cast<char *>(a.c_str()));
        argv.push_back(nullptr);
        if (!freopen(out.c_str(), "w", stdout) || !freopen(err.c_str(), "w", stderr)) _exit(126);
        execv(LOPT_BINARY_DIR "/lopt", argv.data());
        _exit(127);
    }
    if (during) during(child);
    int status = 0;
    waitpid(child, &status, 0);
    Outcome r;
    r.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    r.out = read_file(out);
    r.err = read_file(err);
    return r;
}

inline bool has(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }
