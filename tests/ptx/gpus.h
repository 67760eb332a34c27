// The GPUs that CUDA's runtime library shows to this program: runtime.cpp defines the library's functions, so that what nvcc has compiled, host code
// and kernels, runs unchanged. Work is done when somebody waits for it, streams taking turns by chance. What tests turn is emulation::machine and
// emulation::schedule, as for the other emulated GPU.
#pragma once
#include <deque>
#include <set>

#include "tests/ptx/machine.h"

namespace ptx {

using Work = std::function<void()>;

struct Graph {
    std::vector<Work> work;
    bool broken = false; // something was called that must not be while a stream is captured
};

struct Stream {
    int device;
    std::deque<Work> queue;
    Graph *captured_into = nullptr;
};

class Gpus {
public:
    static constexpr int DEVICES = 2;
    Machine machine;
    int capability = 9;
    size_t bytes = size_t(1) << 30;  // of each
    std::vector<std::string> faults; // the first one ends all that comes after, as on a GPU

    Gpus();
    void start_again(); // with nothing in memory and no fault
    int count() const;
    Stream *stream(void *handle, int device); // nullptr: there is no such stream
    void *add_stream(int device);
    void remove_stream(Stream *s);
    void enqueue(Stream *s, Work w);
    void wait(Stream *s);
    void wait_for_all();
    bool capturing() const;
    void break_captures();
    const Kernel *kernel(const void *host_function); // nullptr: not of this program
    void name_kernel(const void *host_function, const char *name);

private:
    void read_kernels();
    void fault(const std::string &sentence);
    void work_once();
    std::vector<Stream> defaults_;
    std::set<Stream *> streams_;
    std::map<const void *, std::string> names_;
    uint64_t turns_ = 0;
};

Gpus &gpus();

} // namespace ptx
