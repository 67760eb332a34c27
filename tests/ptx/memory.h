// Memory of a device that watches who uses it. An address belongs to a live allocation or is a fault; what nothing has written is not read; and two
// threads use the same place, one of them writing, only where a barrier or the end of a launch stands between them.
#pragma once
#include <cstddef>
#include <map>

#include "tests/ptx/program.h"

namespace ptx {

// Who is using memory, and when: stretches are what lies between two barriers of a block, numbered as they begin.
struct Moment {
    uint32_t stretch = 0;
    uint16_t thread = 0;
    uint16_t warp_barriers = 0; // of its warp in this stretch, so far
};

// One use of a place.
struct Use {
    uint32_t stretch = 0; // 0: never
    uint16_t thread = 0;  // or SEVERAL_LANES + warp, SEVERAL_WARPS or SEVERAL_BLOCKS
    uint16_t warp_barriers = 0;
};
struct Place { // a byte
    Use written, read;
};
constexpr uint32_t HOST_STRETCH = 1;

// Numbers stretches, and knows of each which block of which launch it belongs to.
class Stretches {
public:
    uint64_t begin_launch() { return ++launch_; }
    uint32_t next(uint32_t block) {
        owners_.push_back({launch_, block});
        return uint32_t(owners_.size() - 1);
    }
    bool same_launch(uint32_t a, uint32_t b) const { return owners_[a].launch == owners_[b].launch; }
    // Blocks of one launch, but not the same: nothing orders them.
    bool apart(uint32_t a, uint32_t b) const { return same_launch(a, b) && owners_[a].block != owners_[b].block; }

private:
    struct Owner {
        uint64_t launch;
        uint32_t block;
    };
    uint64_t launch_ = 1;
    std::vector<Owner> owners_ = {{0, 0}, {0, 0}}; // never, and the host
};

// Bytes with a record of their uses: an allocation, or a block's shared memory.
class Watched {
public:
    explicit Watched(size_t bytes) : data(bytes, 0xff), pages_((bytes + PAGE_BYTES - 1) / PAGE_BYTES) {}
    std::vector<uint8_t> data;
    // Faults where it must not be. `at` and `bytes` lie inside.
    void read(const Stretches &s, const Moment &m, size_t at, unsigned bytes, void *to);
    void write(const Stretches &s, const Moment &m, size_t at, unsigned bytes, const void *from);
    void written_by_host(size_t at, size_t bytes);

private:
    static constexpr size_t PAGE_BYTES = 4096;
    // Places are recorded one by one from the first use by a thread on; until then a page is as it is at its start, or all written by the host.
    struct Page {
        std::unique_ptr<Place[]> places;
        bool from_host = false;
    };
    Place &place(size_t at);
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
