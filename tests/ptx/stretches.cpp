// Which stretches lie before others, in launches whose blocks signal to each other.
#include <algorithm>

#include "tests/ptx/memory.h"

namespace ptx {

void learn(Clock *clock, const Clock &more) {
    if (clock->size() < more.size()) clock->resize(more.size(), 0);
    for (size_t block = 0; block < more.size(); block++) (*clock)[block] = std::max((*clock)[block], more[block]);
}

uint64_t Stretches::begin_launch() {
    members_.clear(), numbers_.clear(), joined_.clear();
    launch_++;
    any_ = add({launch_, SEVERAL});
    return launch_;
}

uint32_t Stretches::add(const Owner &o) {
    owners_.push_back(o);
    return uint32_t(owners_.size() - 1);
}

bool Stretches::all_before(uint32_t several, const Moment &m) const {
    const std::vector<uint32_t> &all = *members_.at(several);
    return std::all_of(all.begin(), all.end(), [&](uint32_t stretch) { return before(stretch, m); });
}

uint32_t Stretches::find_with(uint32_t stretch, const Moment &m) {
    if (before(stretch, m)) return m.stretch;
    if (m.known == nullptr) return any_;
    // what a block knows stays as it is for a stretch, and so does this
    const auto said = joined_.emplace(uint64_t(stretch) << 32 | m.stretch, 0);
    if (said.second) said.first->second = joined(stretch, m);
    return said.first->second;
}

// The number of a moment's stretch and of those of the others that do not lie before it.
uint32_t Stretches::joined(uint32_t stretch, const Moment &m) {
    std::vector<uint32_t> all = {m.stretch};
    const std::vector<uint32_t> one = {stretch};
    for (uint32_t other : owners_[stretch].block == SEVERAL ? *members_.at(stretch) : one)
        if (other != m.stretch && !before(other, m)) all.push_back(other);
    std::sort(all.begin(), all.end());
    const auto found = numbers_.emplace(std::move(all), 0);
    if (found.second) members_[found.first->second = add({launch_, SEVERAL})] = &found.first->first;
    return found.first->second;
}

} // namespace ptx
