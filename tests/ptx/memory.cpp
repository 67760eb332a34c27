#include "tests/ptx/memory.h"

#include <algorithm>
#include <cstring>

namespace ptx {
namespace {

constexpr uint16_t SEVERAL_BLOCKS = 0xffff, SEVERAL_WARPS = 0xfffe, SEVERAL_LANES = 0xff00;

bool several(uint16_t thread) { return thread >= SEVERAL_LANES; }
unsigned warp_of(uint16_t thread) { return several(thread) ? thread - SEVERAL_LANES : thread / LANES; }

// The use that was there comes before this one, for every thread of it.
bool ordered(const Stretches &s, const Use &before, const Moment &now) {
    if (before.stretch == 0 || before.stretch == HOST_STRETCH) return true;
    if (before.thread == SEVERAL_BLOCKS) return !s.same_launch(before.stretch, now.stretch);
    if (before.stretch != now.stretch) return !s.apart(before.stretch, now.stretch);
    if (before.thread == now.thread) return true;
    return before.thread != SEVERAL_WARPS && warp_of(before.thread) == warp_of(now.thread) &&
           before.warp_barriers < now.warp_barriers;
}

void note(const Stretches &s, Use *use, const Moment &now) {
    uint16_t thread = now.thread;
    if (s.apart(use->stretch, now.stretch) || (use->thread == SEVERAL_BLOCKS && s.same_launch(use->stretch, now.stretch)))
        thread = SEVERAL_BLOCKS;
    else if (use->stretch == now.stretch && use->thread != now.thread)
        thread = use->thread == SEVERAL_WARPS || warp_of(use->thread) != warp_of(now.thread)
                     ? SEVERAL_WARPS
                     : uint16_t(SEVERAL_LANES + warp_of(now.thread));
    *use = {now.stretch, thread, now.warp_barriers};
}

} // namespace

Place &Watched::place(size_t at) {
    Page &page = pages_[at / PAGE_BYTES];
    if (page.places == nullptr) {
        page.places.reset(new Place[PAGE_BYTES]);
        if (page.from_host) std::fill_n(page.places.get(), PAGE_BYTES, Place{{HOST_STRETCH, 0, 0}, {}});
    }
    return page.places[at % PAGE_BYTES];
}

void Watched::read(const Stretches &s, const Moment &m, size_t at, unsigned bytes, void *to) {
    for (size_t k = at; k < at + bytes; k++) {
        Place &p = place(k);
        if (p.written.stretch == 0) throw Fault{"reads what nothing has written"};
        if (!ordered(s, p.written, m)) throw Fault{"reads what another thread writes, and nothing orders the two"};
        note(s, &p.read, m);
    }
    std::memcpy(to, data.data() + at, bytes);
}

void Watched::write(const Stretches &s, const Moment &m, size_t at, unsigned bytes, const void *from) {
    const bool same = std::memcmp(data.data() + at, from, bytes) == 0; // as good as not written, whoever is first
    for (size_t k = at; k < at + bytes; k++) {
        Place &p = place(k);
        if (!same && !ordered(s, p.written, m)) throw Fault{"writes what another thread writes, and nothing orders the two"};
        if (!same && !ordered(s, p.read, m)) throw Fault{"writes what another thread reads, and nothing orders the two"};
        note(s, &p.written, m);
    }
    std::memcpy(data.data() + at, from, bytes);
}

void Watched::written_by_host(size_t at, size_t bytes) {
    for (size_t k = at; k < at + bytes;) {
        const bool whole = k % PAGE_BYTES == 0 && at + bytes - k >= PAGE_BYTES;
        if (whole) pages_[k / PAGE_BYTES] = {nullptr, true}, k += PAGE_BYTES;
        else place(k++) = {{HOST_STRETCH, 0, 0}, {}};
    }
}

uint64_t Memory::allocate(int device, size_t bytes) {
    constexpr uint64_t ALIGNED = 512;
    const uint64_t address = next_;
    const std::vector<uint64_t> never((bytes + SECTOR_BYTES - 1) / SECTOR_BYTES, 0);
    allocations_.emplace(address, Allocation{device, Watched(bytes), never, never});
    next_ += (bytes + ALIGNED - 1) / ALIGNED * ALIGNED + ALIGNED; // and a gap
    return address;
}

void Memory::release(uint64_t address) {
    if (allocations_.erase(address) == 0) throw Fault{"releases what is not the start of an allocation"};
}

Allocation *Memory::find(uint64_t address, size_t bytes, size_t *at) {
    auto next = allocations_.upper_bound(address);
    if (next == allocations_.begin()) return nullptr;
    --next;
    *at = size_t(address - next->first);
    const size_t size = next->second.memory.data.size();
    return *at <= size && bytes <= size - *at ? &next->second : nullptr;
}

bool Memory::touch(uint64_t address, bool reads, uint64_t launch) {
    size_t at = 0;
    Allocation *a = find(address, 1, &at);
    if (a == nullptr) return false; // a fault, as the access will say
    uint64_t &last = (reads ? a->read_in : a->written_in)[at / SECTOR_BYTES];
    const bool fresh = last != launch;
    last = launch;
    return fresh;
}

size_t Memory::held(int device) const {
    size_t sum = 0;
    for (const auto &a : allocations_)
        if (a.second.device == device) sum += a.second.memory.data.size();
    return sum;
}

} // namespace ptx
