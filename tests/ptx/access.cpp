// How a warp reads and writes memory, and what that costs.
#include <algorithm>
#include <cstring>

#include "tests/ptx/warp.h"

namespace ptx {
namespace {

unsigned lanes_in(uint32_t lanes) { return unsigned(__builtin_popcount(lanes)); }

template <class F> void each(uint32_t lanes, F f) {
    for (unsigned l = 0; l < LANES; l++)
        if (lanes >> l & 1) f(l);
}

void sort_unique(std::vector<uint64_t> *v) {
    std::sort(v->begin(), v->end());
    v->erase(std::unique(v->begin(), v->end()), v->end());
}

} // namespace

Moment Warp::now(unsigned lane) const {
    return {block_.stretch, uint16_t(index_ * LANES + lane), barriers_, block_.known.empty() ? nullptr : &block_.known};
}

uint64_t Warp::address(const Instruction &i, unsigned lane) const { return registers_[i.address][lane] + uint64_t(i.offset); }

// Where a lane's access goes: to memory that is watched, or to bytes that are its own.
Warp::Target Warp::target(Space space, unsigned lane, uint64_t address, unsigned bytes, const char *does) {
    Target t;
    if (space == Space::GLOBAL) {
        Allocation *a = block_.machine.memory.find(address, bytes, &t.at);
        if (a == nullptr) throw Fault{std::string(does) + " outside of any allocation"};
        t.watched = &a->memory;
        return t;
    }
    const size_t local = block_.launch.kernel->local_bytes;
    const size_t size = space == Space::SHARED  ? block_.shared.data.size()
                        : space == Space::PARAM ? block_.launch.params.size()
                                                : local;
    t.at = space == Space::PARAM ? address : address & 0xffffffffu;
    if (t.at > size || bytes > size - t.at) throw Fault{std::string(does) + " outside of its memory"};
    if (space == Space::SHARED) t.watched = &block_.shared;
    else if (space == Space::LOCAL) t.own = local_.data() + lane * local + t.at;
    return t;
}

// A launch that began early knows of nothing that kernels have done, until it has waited for them.
void Warp::must_have_followed(const char *does) const {
    if (!followed_) throw Fault{std::string(does) + " without having waited for the launches before"};
}

void Warp::read(Space space, unsigned lane, uint64_t address, unsigned bytes, void *to) {
    const Target t = target(space, lane, address, bytes, "reads");
    if (space == Space::GLOBAL && !followed_ && !t.watched->from_host(t.at, bytes)) must_have_followed("reads what a kernel wrote");
    if (t.watched) t.watched->read(block_.machine.stretches, now(lane), t.at, bytes, to);
    else std::memcpy(to, t.own ? t.own : block_.launch.params.data() + t.at, bytes);
}

void Warp::write(Space space, unsigned lane, uint64_t address, unsigned bytes, const void *from) {
    const Target t = target(space, lane, address, bytes, "writes");
    if (space == Space::GLOBAL) must_have_followed("writes");
    if (t.watched) t.watched->write(block_.machine.stretches, now(lane), t.at, bytes, from);
    else if (t.own) std::memcpy(t.own, from, bytes);
    else throw Fault{"writes to its parameters"};
}

void Warp::load(const Instruction &i, uint32_t lanes) {
    const unsigned width = i.bytes * unsigned(i.to.size());
    count(i, lanes, width);
    each(lanes, [&](unsigned l) {
        uint8_t bytes[16];
        lane_ = l;
        const uint64_t from = address(i, l);
        if (from % width) throw Fault{"reads " + std::to_string(width) + " bytes from an address that is no multiple of them"};
        read(i.space, l, from, width, bytes);
        for (size_t k = 0; k < i.to.size(); k++) {
            uint64_t v = 0;
            std::memcpy(&v, bytes + k * i.bytes, i.bytes);
            const unsigned unused = 64 - 8 * i.bytes;
            registers_[i.to[k]][l] = i.is_signed ? uint64_t(int64_t(v << unused) >> unused) : v;
        }
    });
}

void Warp::store(const Instruction &i, uint32_t lanes) {
    const unsigned width = i.bytes * unsigned(i.from.size());
    count(i, lanes, width);
    noticed_ = true;
    each(lanes, [&](unsigned l) {
        uint8_t bytes[16];
        lane_ = l;
        const uint64_t to = address(i, l);
        if (to % width) throw Fault{"writes " + std::to_string(width) + " bytes to an address that is no multiple of them"};
        for (size_t k = 0; k < i.from.size(); k++) std::memcpy(bytes + k * i.bytes, &registers_[i.from[k]][l], i.bytes);
        write(i.space, l, to, width, bytes);
    });
}

// Reads a word, if there is a place for it, and writes what is given, or the sum of both. One that leaves the word as it is may be a wait.
void Warp::signal(const Instruction &i, uint32_t lanes) {
    const bool reads = !i.to.empty(), writes = !i.from.empty();
    if (reads) count_global(i, lanes, i.bytes, true);
    if (writes) count_global(i, lanes, i.bytes, false);
    each(lanes, [&](unsigned l) {
        lane_ = l;
        const uint64_t at = address(i, l);
        if (at % i.bytes) throw Fault{"signals by an address that is no multiple of " + std::to_string(i.bytes)};
        const Target t = target(i.space, l, at, i.bytes, "signals");
        must_have_followed("signals");
        Stretches &s = block_.machine.stretches;
        const uint32_t given = writes ? uint32_t(registers_[i.from[0]][l]) : 0;
        const uint32_t old = reads ? t.watched->read_signal(s, now(l), t.at, i.acquires ? &block_.heard : nullptr) : 0;
        if (reads) registers_[i.to[0]][l] = old;
        if (!writes) return;
        noticed_ = noticed_ || !reads || given != 0;
        t.watched->write_signal(s, now(l), t.at, old + given,
                                reads        ? (i.releases ? Hands::MORE : Hands::NOTHING)
                                : i.releases ? Hands::ANEW
                                             : Hands::NOTHING_ANY_MORE);
    });
}

// Changes nothing, but must be of memory that is there: nobody says what happens elsewhere.
void Warp::prefetch(const Instruction &i, uint32_t lanes) {
    each(lanes, [&](unsigned l) {
        lane_ = l;
        target(i.space, l, address(i, l), 1, "asks for memory");
    });
}

void Warp::count(const Instruction &i, uint32_t lanes, unsigned bytes) {
    if (i.space == Space::GLOBAL) count_global(i, lanes, bytes, i.kind == Kind::LOAD);
    else if (i.space == Space::SHARED) count_shared(i, lanes, bytes);
}

void Warp::count_global(const Instruction &i, uint32_t lanes, unsigned bytes, bool reads) {
    std::vector<uint64_t> sectors;
    each(lanes, [&](unsigned l) {
        for (uint64_t s = address(i, l) / SECTOR_BYTES; s <= (address(i, l) + bytes - 1) / SECTOR_BYTES; s++) sectors.push_back(s);
    });
    sort_unique(&sectors);
    Traffic &t = block_.traffic;
    uint64_t fresh = 0;
    for (uint64_t s : sectors) fresh += block_.machine.memory.touch(s * SECTOR_BYTES, reads, block_.number);
    (reads ? t.sectors_read : t.sectors_written) += sectors.size();
    (reads ? t.first_sectors_read : t.first_sectors_written) += fresh;
    (reads ? t.bytes_read : t.bytes_written) += uint64_t(bytes) * lanes_in(lanes);
}

// 32 banks of 4 bytes: an access of 8 or 16 bytes goes by halves or quarters of the warp, and each time once for every word that a bank is asked for.
void Warp::count_shared(const Instruction &i, uint32_t lanes, unsigned bytes) {
    const unsigned words = std::max(1u, bytes / 4), together = LANES / words;
    for (unsigned first = 0; first < LANES; first += together) {
        std::vector<uint64_t> asked;
        unsigned of_bank[LANES] = {}, passes = 0;
        for (unsigned l = first; l < first + together; l++)
            for (unsigned w = 0; lanes >> l & 1 && w < words; w++) asked.push_back(address(i, l) / 4 + w);
        sort_unique(&asked);
        for (uint64_t word : asked) passes = std::max(passes, ++of_bank[word % LANES]);
        block_.traffic.shared_accesses += passes > 0;
        block_.traffic.shared_passes += passes;
    }
}

} // namespace ptx
