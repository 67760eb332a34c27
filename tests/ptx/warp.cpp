#include "tests/ptx/warp.h"

#include <algorithm>
#include <cstring>

namespace ptx {

// A block hands on what it has done before its last barrier, and what it knew there.
void Block::pass_barrier() {
    if (!known.empty()) {
        learn(&known, heard);
        known[index] = stretch;
    }
    stretch = machine.stretches.next(index);
}

Warp::Warp(Block *b, unsigned index)
    : block_(*b), index_(index), registers_(new Register[size_t(b->launch.kernel->registers)]()),
      local_(LANES * b->launch.kernel->local_bytes, 0xff), groups_(1, Group{0, ALL_LANES, false}), followed_(!b->launch.early) {
    const Kernel &k = *b->launch.kernel;
    for (const auto &c : k.constants) std::fill_n(registers_[c.first], LANES, c.second);
    for (const auto &s : k.special)
        for (unsigned l = 0; l < LANES; l++) {
            uint64_t &r = registers_[s.first][l];
            if (s.second == "%tid.x") r = index * LANES + l;
            else if (s.second == "%ctaid.x") r = b->index;
            else if (s.second == "%ntid.x") r = b->launch.block;
            else if (s.second == "%nctaid.x") r = b->launch.grid;
            else throw Fault{"unknown register " + s.second};
        }
}

uint32_t Warp::alive() const {
    uint32_t lanes = 0;
    for (const Group &g : groups_) lanes |= g.lanes;
    return lanes;
}

// The group that is furthest behind and waits for nobody: so lanes that went different ways come together where the ways do.
size_t Warp::choose() {
    size_t best = groups_.size();
    if (best == 1) groups_[0].waiting = false; // those it waited for have returned
    for (size_t k = 0; k < groups_.size(); k++)
        if (!groups_[k].waiting && (best == groups_.size() || groups_[k].at < groups_[best].at)) best = k;
    if (best == groups_.size()) throw Fault{"lanes of a warp wait for each other at different instructions"};
    for (size_t k = groups_.size(); k-- > 0;) {
        if (k == best || groups_[k].at != groups_[best].at) continue;
        groups_[best].lanes |= groups_[k].lanes;
        groups_.erase(groups_.begin() + std::ptrdiff_t(k));
        if (k < best) best--;
    }
    return best;
}

bool Warp::run(unsigned instructions) {
    asleep_ = noticed_ = false;
    try {
        while (state_ == State::RUNNING && !asleep_ && instructions-- > 0) step(choose());
    } catch (const Fault &f) {
        throw fault(f.sentence);
    }
    return noticed_ || state_ != State::RUNNING;
}

Fault Warp::fault(const std::string &sentence) const {
    const std::string where = current_ ? " at line " + std::to_string(current_->line) + ", \"" + current_->text + "\"" : "";
    return {block_.launch.kernel->name + where + ", block " + std::to_string(block_.index) + ", thread " +
            std::to_string(index_ * LANES + lane_) + ": " + sentence};
}

void Warp::step(size_t group) {
    const Instruction &i = block_.launch.kernel->code.at(groups_[group].at);
    uint32_t lanes = groups_[group].lanes;
    current_ = &i;
    if (i.guard >= 0) {
        uint32_t yes = 0;
        for (unsigned l = 0; l < LANES; l++) yes |= uint32_t((registers_[i.guard][l] & 1) != i.guard_negated) << l;
        lanes &= yes;
    }
    if (i.kind == Kind::BRANCH) {
        branch(group, i, lanes);
        return;
    }
    if (i.kind == Kind::RETURN) {
        groups_[group].lanes &= ~lanes;
        groups_[group].at++;
        if (groups_[group].lanes == 0) groups_.erase(groups_.begin() + std::ptrdiff_t(group));
        if (groups_.empty()) {
            must_have_followed("ends");
            state_ = State::DONE;
        }
        return;
    }
    if (i.kind >= Kind::BARRIER && !together(group, i)) return;
    groups_[group].at++;
    if (lanes) execute(i, lanes);
}

void Warp::branch(size_t group, const Instruction &i, uint32_t taken) {
    Group &g = groups_[group];
    const uint32_t rest = g.lanes & ~taken;
    if (rest == 0) {
        g.at = i.target;
        return;
    }
    g.at++;
    g.lanes = rest;
    if (taken) groups_.push_back({i.target, taken, false});
}

// All lanes that are left must come to these instructions together: a part of them waits for the rest.
bool Warp::together(size_t group, const Instruction &i) {
    if (i.guard >= 0) throw Fault{"an instruction of the whole warp that hangs on a predicate"};
    if (groups_[group].lanes == alive()) {
        if (i.kind != Kind::BARRIER && alive() != ALL_LANES) throw Fault{"waits for lanes that have returned"};
        return true;
    }
    groups_[group].waiting = true;
    return false;
}

void Warp::execute(const Instruction &i, uint32_t lanes) {
    switch (i.kind) {
    case Kind::ARITHMETIC: i.operation(registers_.get(), i, lanes); break;
    case Kind::LOAD: load(i, lanes); break;
    case Kind::STORE: store(i, lanes); break;
    case Kind::SIGNAL: signal(i, lanes); break;
    case Kind::PREFETCH: prefetch(i, lanes); break;
    case Kind::SLEEP: asleep_ = true; break;
    case Kind::FOLLOW: followed_ = true; break;
    case Kind::LEAD: must_have_followed("lets the next launch begin"); break;
    case Kind::BARRIER: state_ = State::AT_BARRIER; break;
    case Kind::WARP_BARRIER: barriers_++; break;
    case Kind::SHUFFLE: shuffle(i); break;
    case Kind::MATRIX_LOAD: matrix_load(i); break;
    case Kind::MATRIX_PRODUCT: matrix_product(i); break;
    case Kind::BRANCH:
    case Kind::RETURN: break; // in step
    }
}

void Warp::pass_barrier() {
    barriers_ = 0;
    if (state_ == State::AT_BARRIER) state_ = State::RUNNING;
}

} // namespace ptx
