// What tests turn, and look at, of an emulated GPU: tests/support/cuda_emulation.h's and tests/ptx's.
#pragma once
#include <cstddef>
#include <cstdint>

namespace emulation {

inline uint64_t schedule = 0; // another order of threads and blocks for every number; 0: in order

struct Machine {
    unsigned multiprocessors = 3;
    size_t memory_left = size_t(1) << 40;
    int fail_launches = 0;  // an error number: every launch reports it
    int launches_first = 0; // but so many that succeed
    int launch_error() { return fail_launches == 0 || launches_first-- > 0 ? 0 : fail_launches; }
    bool has_driver = true;
    size_t allocations = 0, waits = 0; // calls so far
};
inline Machine machine;

} // namespace emulation
