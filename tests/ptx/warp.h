// A warp and the block around it. Inside tests/ptx alone.
#pragma once
#include "tests/ptx/machine.h"

namespace ptx {

// What the warps of a block share.
struct Block {
    Machine &machine;
    const Launch &launch;
    Traffic &traffic;
    uint64_t number; // of the launch, from 1
    unsigned index;
    uint32_t stretch;
    Watched shared;
    Clock known, heard; // of the launch's blocks, where they signal: heard counts from the next barrier on

    void pass_barrier();
};

class Warp {
public:
    Warp(Block *b, unsigned index);
    enum class State { RUNNING, AT_BARRIER, DONE };
    State state() const { return state_; }
    // At most so many. Returns whether there was one of which others may take notice: all else may be a wait for them.
    bool run(unsigned instructions);
    void pass_barrier();
    Fault fault(const std::string &sentence) const; // with the place where it stands

private:
    // Lanes that stand at one instruction. Waiting: for others of the warp to come there.
    struct Group {
        size_t at;
        uint32_t lanes;
        bool waiting;
    };

    uint32_t alive() const;
    size_t choose();
    void step(size_t group);
    void branch(size_t group, const Instruction &i, uint32_t taken);
    bool together(size_t group, const Instruction &i);
    void execute(const Instruction &i, uint32_t lanes);

    // memory: access.cpp
    void load(const Instruction &i, uint32_t lanes);
    void store(const Instruction &i, uint32_t lanes);
    void signal(const Instruction &i, uint32_t lanes);
    void prefetch(const Instruction &i, uint32_t lanes);
    void must_have_followed(const char *does) const;
    struct Target {
        Watched *watched = nullptr; // else
        uint8_t *own = nullptr;     // else it is a parameter
        size_t at = 0;
    };
    Target target(Space space, unsigned lane, uint64_t address, unsigned bytes, const char *does);
    void read(Space space, unsigned lane, uint64_t address, unsigned bytes, void *to);
    void write(Space space, unsigned lane, uint64_t address, unsigned bytes, const void *from);
    uint64_t address(const Instruction &i, unsigned lane) const;
    void count(const Instruction &i, uint32_t lanes, unsigned bytes);
    void count_global(const Instruction &i, uint32_t lanes, unsigned bytes, bool reads);
    void count_shared(const Instruction &i, uint32_t lanes, unsigned bytes);
    Moment now(unsigned lane) const;

    // among lanes: collective.cpp
    void shuffle(const Instruction &i);
    void matrix_load(const Instruction &i);
    void matrix_product(const Instruction &i);

    Block &block_;
    const unsigned index_;
    State state_ = State::RUNNING;
    std::unique_ptr<Register[]> registers_;
    std::vector<uint8_t> local_; // [lane][local_bytes]
    std::vector<Group> groups_;
    bool followed_;                         // has waited for the launches before, or need not
    uint16_t barriers_ = 0;                 // of this warp in this stretch
    unsigned lane_ = 0;                     // whose work a fault is about
    bool asleep_ = false, noticed_ = false; // in this turn
    const Instruction *current_ = nullptr;
};

} // namespace ptx
