// Memory of a device that watches who uses it. An address belongs to a live allocation or is a fault; what nothing has written is not read; and two
// threads use the same place, one of them writing, only where a barrier, the end of a launch, or a signal from block to block stands between them.
#pragma once
#include <cstddef>
#include <map>
#include <unordered_map>

#include "tests/ptx/program.h"

namespace ptx {

// Of every block of a launch, the last stretch that is known to lie before. 0, or nothing: none is.
using Clock = std::vector<uint32_t>;
void learn(Clock *clock, const Clock &more);

// Who is using memory, and when: stretches are what lies between two barriers of a block, numbered as they begin.
struct Moment {
    uint32_t stretch = 0;
    uint16_t thread = 0;
    uint16_t warp_barriers = 0;   // of its warp in this stretch, so far
    const Clock *known = nullptr; // by its block; nullptr: of a launch without signals
};

// One use of a place.
struct Use {
    uint32_t stretch = 0; // or those of several blocks, as Stretches::with numbers them; 0: never
    uint16_t thread = 0;  // or SEVERAL_LANES + warp or SEVERAL_WARPS; of no meaning for several blocks
    uint16_t warp_barriers = 0;
};
struct Place { // a byte
    Use written, read;
};
constexpr uint32_t HOST_STRETCH = 1, SIGNAL_STRETCH = 2; // the latter: by signals, whose word knows more

// Numbers stretches, and knows of each which block of which launch it belongs to.
class Stretches {
public:
    uint64_t begin_launch();
    uint32_t next(uint32_t block) { return add({launch_, block}); }
    // Whether a stretch, or each of several, lies before a moment: in an earlier launch, before a barrier of its block, or so that its block knows.
    bool before(uint32_t stretch, const Moment &m) const {
        const Owner &o = owners_[stretch], &now = owners_[m.stretch];
        if (o.launch != now.launch) return true;
        if (o.block == SEVERAL) return m.known && all_before(stretch, m);
        if (o.block == now.block) return stretch != m.stretch;
        return m.known && (*m.known)[o.block] >= stretch;
    }
    // The number for those that use a place, one or several as numbered before, and now a moment's: its own where they all lie before it, as what comes
    // after it then comes after them. Which ones they are is kept for launches with signals; in others no two blocks are ordered.
    uint32_t with(uint32_t stretch, const Moment &m) {
        if (stretch != last_.stretch || m.stretch != last_.now) last_ = {stretch, m.stretch, find_with(stretch, m)};
        return last_.with;
    }

private:
    struct Owner {
        uint64_t launch;
        uint32_t block;
    };
    static constexpr uint32_t SEVERAL = 0xffffffffu; // in place of a block
    uint32_t add(const Owner &o);
    bool all_before(uint32_t several, const Moment &m) const;
    uint32_t find_with(uint32_t stretch, const Moment &m);
    uint32_t joined(uint32_t stretch, const Moment &m);
    uint64_t launch_ = 1;
    std::vector<Owner> owners_ = {{0, 0}, {0, 0}, {0, 0}}; // never, the host, and signals
    uint32_t any_ = 0;                                     // several of this launch, whichever
    // Of this launch: numbers of several stretches, whose they are, and what with has said of two numbers.
    std::map<std::vector<uint32_t>, uint32_t> numbers_;
    std::unordered_map<uint32_t, const std::vector<uint32_t> *> members_;
    std::unordered_map<uint64_t, uint32_t> joined_;
    struct {
        uint32_t stretch = 0, now = 0, with = 0;
    } last_; // bytes side by side are mostly alike
};

// A word by which blocks signal: such uses are no race among themselves.
struct Word {
    Place uses;
    Clock handed; // to who acquires it; nothing comes of what an earlier launch handed, as stretches have other numbers now
};
// Of what the writer's block knows: nothing, in addition to what the word has, or instead of that; or nothing at all, not what the word had either.
enum class Hands { NOTHING, MORE, ANEW, NOTHING_ANY_MORE };

// Bytes with a record of their uses: an allocation, or a block's shared memory.
class Watched {
public:
    explicit Watched(size_t bytes) : data(bytes, 0xff), pages_((bytes + PAGE_BYTES - 1) / PAGE_BYTES) {}
    std::vector<uint8_t> data;
    // Faults where it must not be. `at` and `bytes` lie inside, and `at` is a multiple of `bytes`: so they lie within a page.
    void read(Stretches &s, const Moment &m, size_t at, unsigned bytes, void *to);
    void write(Stretches &s, const Moment &m, size_t at, unsigned bytes, const void *from);
    // A word; what comes with it is added to what its block has heard, if that is wanted.
    uint32_t read_signal(Stretches &s, const Moment &m, size_t at, Clock *heard);
    void write_signal(Stretches &s, const Moment &m, size_t at, uint32_t number, Hands hands);
    void written_by_host(size_t at, size_t bytes);
    bool from_host(size_t at, unsigned bytes); // as it was written last

private:
    static constexpr size_t PAGE_BYTES = 4096;
    // Places are recorded one by one from the first use by a thread on; until then a page is as it is at its start, or all written by the host.
    struct Page {
        std::unique_ptr<Place[]> places;
        bool from_host = false;
        std::unique_ptr<std::map<size_t, Word>> words; // nullptr: none
    };
    Place &place(size_t at);
    bool has_signals(size_t at) const { return pages_[at / PAGE_BYTES].words != nullptr; }
    Word &word(size_t at);
    void meet_signals(const Stretches &s, const Moment &m, size_t at, unsigned bytes, bool writes);
    std::vector<Page> pages_;
};

constexpr unsigned SECTOR_BYTES = 32;

struct Allocation {
    int device;
    Watched memory;
    std::vector<uint64_t> read_in, written_in; // [sector]: the last launch, as touch was told
};

// The address space of all devices. Addresses are not the host's: whoever uses one there is stopped by the processor.
class Memory {
public:
    uint64_t allocate(int device, size_t bytes);
    void release(uint64_t address); // of an allocation
    // The allocation that holds `bytes` from an address, and where in it; nullptr: none.
    Allocation *find(uint64_t address, size_t bytes, size_t *at);
    // Whether the sector at an address, a multiple of SECTOR_BYTES, has not been read (or written) before in a launch.
    bool touch(uint64_t address, bool reads, uint64_t launch);
    size_t held(int device) const;

private:
    std::map<uint64_t, Allocation> allocations_;
    uint64_t next_ = uint64_t(1) << 45;
};

} // namespace ptx
