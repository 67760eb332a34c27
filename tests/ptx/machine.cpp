#include "tests/ptx/machine.h"

#include <algorithm>
#include <random>

#include "tests/ptx/warp.h"

namespace ptx {
namespace {

// Turns in a row of which nobody else takes notice, until it is clear that nothing will come. A look for a signal between sleeps is one; where nothing
// sleeps, a turn is hundreds of instructions.
constexpr unsigned PATIENCE = 50000;

// A block at work.
struct Resident {
    Resident(Machine *m, const Launch &l, Traffic *t, uint64_t number, unsigned index)
        : block{*m, l, *t, number, index, m->stretches.next(index), Watched(l.kernel->shared_bytes), {}, {}} {
        if (l.kernel->signals) block.known = block.heard = Clock(l.grid, 0);
        for (unsigned k = 0; k < l.block / LANES; k++) warps.emplace_back(new Warp(&block, k));
    }
    bool any(Warp::State state) const {
        return std::any_of(warps.begin(), warps.end(), [=](const auto &w) { return w->state() == state; });
    }
    Block block;
    std::vector<std::unique_ptr<Warp>> warps;
};
using Residents = std::vector<std::unique_ptr<Resident>>;

// One of the warps that can go on: there is one in every block at work.
Warp *next_of(const Residents &residents, size_t *resident, std::mt19937 *dice) {
    size_t ready = 0;
    for (const auto &r : residents)
        for (const auto &w : r->warps) ready += w->state() == Warp::State::RUNNING;
    size_t chosen = (*dice)() % ready;
    for (*resident = 0;; ++*resident)
        for (const auto &w : residents[*resident]->warps)
            if (w->state() == Warp::State::RUNNING && chosen-- == 0) return w.get();
}

// After a turn of one of its warps, a block may be at a barrier, or done.
void settle(Residents *residents, size_t resident) {
    Resident &r = *(*residents)[resident];
    if (r.any(Warp::State::RUNNING)) return;
    if (r.any(Warp::State::AT_BARRIER)) {
        r.block.pass_barrier();
        for (auto &w : r.warps) w->pass_barrier();
    } else residents->erase(residents->begin() + std::ptrdiff_t(resident));
}

} // namespace

void Machine::run(const Launch &l) {
    if (l.block % LANES || l.block == 0 || l.grid == 0) throw Fault{l.kernel->name + ": blocks of " + std::to_string(l.block)};
    std::mt19937 dice(schedule);
    std::vector<unsigned> order(l.grid);
    for (unsigned k = 0; k < l.grid; k++) order[k] = k;
    std::shuffle(order.begin(), order.end(), dice);
    Traffic &t = traffic[l.kernel->name];
    t.launches++;
    const uint64_t number = stretches.begin_launch();
    const size_t most = l.kernel->signals ? std::max(resident, 1u) : 1;
    Residents residents;
    unsigned unnoticed = 0;
    for (size_t next = 0, r = 0; next < order.size() || !residents.empty();) {
        while (residents.size() < most && next < order.size())
            residents.emplace_back(new Resident(this, l, &t, number, order[next++]));
        Warp *w = next_of(residents, &r, &dice);
        unnoticed = w->run(1 + dice() % 1000) ? 0 : unnoticed + 1;
        if (unnoticed > PATIENCE)
            throw w->fault("waits for ever: all blocks at work only wait, and no other begins before one of them ends");
        settle(&residents, r);
    }
}

} // namespace ptx
