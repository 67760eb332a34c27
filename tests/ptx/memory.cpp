#include "tests/ptx/memory.h"

#include <algorithm>
#include <cstring>

namespace ptx {
namespace {

constexpr uint16_t SEVERAL_WARPS = 0xffff, SEVERAL_LANES = 0xff00;

bool several(uint16_t thread) { return thread >= SEVERAL_LANES; }
unsigned warp_of(uint16_t thread) { return several(thread) ? thread - SEVERAL_LANES : thread / LANES; }

// The use that was there comes before this one, for every thread of it.
bool ordered(const Stretches &s, const Use &before, const Moment &now) {
    if (before.stretch <= SIGNAL_STRETCH) return true;
    if (before.stretch != now.stretch) return s.before(before.stretch, now);
    if (before.thread == now.thread) return true;
    return before.thread != SEVERAL_WARPS && warp_of(before.thread) == warp_of(now.thread) &&
           before.warp_barriers < now.warp_barriers;
}

// Of several blocks' uses, the threads are not kept: none of those blocks learns of the others' before its stretch ends.
void note(Stretches &s, Use *use, const Moment &now) {
    if (use->stretch != now.stretch) {
        *use = {s.with(use->stretch, now), now.thread, now.warp_barriers};
        return;
    }
    if (use->thread != now.thread)
        use->thread = use->thread == SEVERAL_WARPS || warp_of(use->thread) != warp_of(now.thread)
                          ? SEVERAL_WARPS
                          : uint16_t(SEVERAL_LANES + warp_of(now.thread));
    use->warp_barriers = now.warp_barriers;
}

void must_be_readable(const Stretches &s, const Place &p, const Moment &m) {
    if (p.written.stretch == 0) throw Fault{"reads what nothing has written"};
    if (!ordered(s, p.written, m)) throw Fault{"reads what another thread writes, and nothing orders the two"};
}

void must_be_writable(const Stretches &s, const Place &p, const Moment &m) {
    if (!ordered(s, p.written, m)) throw Fault{"writes what another thread writes, and nothing orders the two"};
    if (!ordered(s, p.read, m)) throw Fault{"writes what another thread reads, and nothing orders the two"};
}

inline bool alike(const Use &a, const Use &b) {
    return a.stretch == b.stretch && a.thread == b.thread && a.warp_barriers == b.warp_barriers;
}

// Bytes side by side are mostly alike: what becomes of the first then becomes of the next.
template <class F> void each_place(Place *p, size_t bytes, F f) {
    const Place before = *p;
    f(p);
    for (size_t k = 1; k < bytes; k++)
        if (alike(p[k].written, before.written) && alike(p[k].read, before.read)) p[k] = *p;
        else f(p + k);
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

void Watched::read(Stretches &s, const Moment &m, size_t at, unsigned bytes, void *to) {
    if (has_signals(at)) meet_signals(s, m, at, bytes, false);
    each_place(&place(at), bytes, [&](Place *p) {
        must_be_readable(s, *p, m);
        note(s, &p->read, m);
    });
    std::memcpy(to, data.data() + at, bytes);
}

void Watched::write(Stretches &s, const Moment &m, size_t at, unsigned bytes, const void *from) {
    const bool same = std::memcmp(data.data() + at, from, bytes) == 0; // as good as not written, whoever is first
    if (has_signals(at)) meet_signals(s, m, at, bytes, true);
    each_place(&place(at), bytes, [&](Place *p) {
        if (!same) must_be_writable(s, *p, m);
        note(s, &p->written, m);
    });
    std::memcpy(data.data() + at, from, bytes);
}

uint32_t Watched::read_signal(Stretches &s, const Moment &m, size_t at, Clock *heard) {
    uint32_t number = 0;
    each_place(&place(at), sizeof number, [&](Place *p) { must_be_readable(s, *p, m); });
    Word &w = word(at);
    note(s, &w.uses.read, m);
    if (heard) learn(heard, w.handed);
    std::memcpy(&number, data.data() + at, sizeof number);
    return number;
}

void Watched::write_signal(Stretches &s, const Moment &m, size_t at, uint32_t number, Hands hands) {
    each_place(&place(at), sizeof number, [&](Place *p) {
        must_be_writable(s, *p, m);
        if (p->written.stretch == 0 || p->written.stretch == HOST_STRETCH) p->written.stretch = SIGNAL_STRETCH;
    });
    Word &w = word(at);
    note(s, &w.uses.written, m);
    if (hands == Hands::ANEW) w.handed = *m.known;
    else if (hands == Hands::MORE) learn(&w.handed, *m.known);
    else if (hands == Hands::NOTHING_ANY_MORE) w.handed = {};
    std::memcpy(data.data() + at, &number, sizeof number);
}

Word &Watched::word(size_t at) {
    std::unique_ptr<std::map<size_t, Word>> &words = pages_[at / PAGE_BYTES].words;
    if (words == nullptr) words.reset(new std::map<size_t, Word>);
    return (*words)[at];
}

// Another use, of what may be a signal's. A write leaves what the word hands on as it is: who acquires it after the write knows that already.
void Watched::meet_signals(const Stretches &s, const Moment &m, size_t at, unsigned bytes, bool writes) {
    std::map<size_t, Word> &words = *pages_[at / PAGE_BYTES].words;
    for (auto w = words.lower_bound(at / sizeof(uint32_t) * sizeof(uint32_t)); w != words.end() && w->first < at + bytes; ++w) {
        const Place &p = w->second.uses;
        if (!ordered(s, p.written, m)) throw Fault{"uses a word by which others signal, and nothing orders the two"};
        if (writes && !ordered(s, p.read, m))
            throw Fault{"writes a word in which others look for a signal, and nothing orders the two"};
    }
}

void Watched::written_by_host(size_t at, size_t bytes) {
    for (size_t k = at; k < at + bytes;) {
        const bool whole = k % PAGE_BYTES == 0 && at + bytes - k >= PAGE_BYTES;
        if (whole) pages_[k / PAGE_BYTES] = {nullptr, true, nullptr}, k += PAGE_BYTES;
        else place(k++) = {{HOST_STRETCH, 0, 0}, {}};
    }
}

bool Watched::from_host(size_t at, unsigned bytes) {
    const Place *p = &place(at);
    return std::all_of(p, p + bytes, [](const Place &q) { return q.written.stretch == HOST_STRETCH; });
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
