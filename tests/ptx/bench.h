// For the machine's own tests: kernels of a few lines of PTX, on a machine for each.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "tests/ptx/machine.h"

namespace ptx {

// A kernel with one parameter, the address of `bytes` bytes that the host has written, or not.
struct Bench {
    Machine machine;
    uint64_t memory = 0;
    size_t bytes;

    explicit Bench(bool written = true, size_t size = 1024) : bytes(size) {
        memory = machine.memory.allocate(0, bytes);
        if (written) watched().written_by_host(0, bytes);
    }
    // The sentence of the fault, or "". Registers: rd1 the address, r1 the thread, r2 the block, rd3 the thread's word, r4 and r5 likewise of shared memory.
    std::string run(const std::string &body, unsigned grid = 1, unsigned block = 64, bool early = false) {
        const std::string text = ".version 9.0\n.visible .entry k(\n.param .u64 k_param_0\n)\n{\n.shared .align 16 .b8 s[4096];\n"
                                 "ld.param.u64 %rd1, [k_param_0];\nmov.u32 %r1, %tid.x;\nmov.u32 %r2, %ctaid.x;\n"
                                 "mul.wide.u32 %rd2, %r1, 4;\nadd.s64 %rd3, %rd1, %rd2;\nshl.b32 %r3, %r1, 2;\nmov.u32 %r4, s;\n"
                                 "add.s32 %r5, %r4, %r3;\n" +
                                 body + "ret;\n}\n";
        try {
            read_program(text, &machine.kernels);
            Launch l = {&machine.kernels.at("k"), grid, block, std::vector<uint8_t>(8), early};
            std::memcpy(l.params.data(), &memory, 8);
            machine.run(l);
        } catch (const Fault &f) {
            return f.sentence;
        }
        return "";
    }
    Watched &watched() {
        size_t at = 0;
        return machine.memory.find(memory, bytes, &at)->memory;
    }
    template <class T> T at(size_t i) {
        T value;
        std::memcpy(&value, watched().data.data() + i * sizeof(T), sizeof(T));
        return value;
    }
};

inline void expect_fault(const std::string &got, const char *words) {
    EXPECT_NE(got.find(words), std::string::npos) << "\"" << got << "\" instead of " << words;
}

constexpr unsigned SCHEDULES = 25;

struct Zeros : Bench {
    Zeros() : Bench(true, 4096) { std::fill(watched().data.begin(), watched().data.end(), uint8_t(0)); }
};

using Check = void (*)(Zeros &);

// In every schedule without a fault.
inline void expect_fine(const std::string &body, unsigned grid, Check check = nullptr, unsigned resident = 5,
                        unsigned schedules = SCHEDULES) {
    for (unsigned schedule = 0; schedule < schedules; schedule++) {
        Zeros b;
        b.machine.schedule = schedule, b.machine.resident = resident;
        ASSERT_EQ(b.run(body, grid), "") << body << schedule;
        if (check) check(b);
    }
}

// In some schedule.
inline void expect_seen(const std::string &body, unsigned grid, const char *words, unsigned resident = 5) {
    std::string all;
    for (unsigned schedule = 0; schedule < SCHEDULES; schedule++) {
        Zeros b;
        b.machine.schedule = schedule, b.machine.resident = resident;
        const std::string fault = b.run(body, grid);
        if (fault.find(words) != std::string::npos) return;
        all += fault + "\n";
    }
    ADD_FAILURE() << body << "never " << words << ", but\n" << all;
}
inline void expect_always(const std::string &body, unsigned grid, const char *words) {
    for (unsigned schedule = 0; schedule < SCHEDULES; schedule++) {
        Zeros b;
        b.machine.schedule = schedule;
        expect_fault(b.run(body, grid), words);
    }
}

} // namespace ptx
