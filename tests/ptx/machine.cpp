#include "tests/ptx/machine.h"

#include <algorithm>
#include <random>

#include "tests/ptx/warp.h"

namespace ptx {
namespace {

// A warp whose turn it is, or -1: none can go on.
int next_of(const std::vector<std::unique_ptr<Warp>> &warps, std::mt19937 *dice) {
    std::vector<int> ready;
    for (size_t k = 0; k < warps.size(); k++)
        if (warps[k]->state() == Warp::State::RUNNING) ready.push_back(int(k));
    return ready.empty() ? -1 : ready[(*dice)() % ready.size()];
}

void run_block(Block *b, std::mt19937 *dice) {
    std::vector<std::unique_ptr<Warp>> warps;
    for (unsigned k = 0; k < b->launch.block / LANES; k++) warps.emplace_back(new Warp(b, k));
    for (;;) {
        for (int k; (k = next_of(warps, dice)) >= 0;) warps[size_t(k)]->run(1 + (*dice)() % 1000);
        const bool done = std::all_of(warps.begin(), warps.end(), [](const auto &w) { return w->state() == Warp::State::DONE; });
        if (done) return;
        b->stretch = b->machine.stretches.next(b->index);
        for (auto &w : warps) w->pass_barrier();
    }
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
    for (unsigned index : order) {
        Block b = {*this, l, t, number, index, stretches.next(index), Watched(l.kernel->shared_bytes)};
        run_block(&b, &dice);
    }
}

} // namespace ptx
