// Runs a launch of a compiled kernel: blocks one after the other, or several at once where they signal to each other; their warps in turns, the lanes
// of a warp together where they stand at one instruction. What a GPU would not allow, or allow without saying what comes of it, is a Fault that names
// the kernel, the line and the thread.
#pragma once
#include "tests/ptx/memory.h"

namespace ptx {

// What a kernel has moved: as a profiler counts it.
struct Traffic {
    uint64_t launches = 0;
    uint64_t sectors_read = 0, sectors_written = 0;             // of 32 bytes, by each access of a warp to global memory
    uint64_t bytes_read = 0, bytes_written = 0;                 // of global memory, those asked for
    uint64_t first_sectors_read = 0, first_sectors_written = 0; // those that no access of the launch had touched
    uint64_t shared_accesses = 0,
             shared_passes = 0; // accesses of a warp to shared memory, and how often they had to go to the banks
};

struct Launch {
    const Kernel *kernel;
    unsigned grid = 1, block = 1;
    std::vector<uint8_t> params;
    bool early = false; // it may begin before those before it have ended
};

class Machine {
public:
    std::map<std::string, Kernel> kernels; // by their mangled names
    Memory memory;
    Stretches stretches;
    std::map<std::string, Traffic> traffic; // by the kernel
    unsigned resident = 5;                  // the most blocks that are at work at once
    unsigned schedule = 0;                  // another one for every number: the order of blocks, and of the turns of warps

    void run(const Launch &l);
};

} // namespace ptx
