// State files in which a tensor's guard holds another number.
#pragma once
#include "tests/support/state_bytes.h"

extern "C" {
#include "kernels/cell/guard.h"
}

// Of the last tensor, or the one so many before it.
inline std::string guard_changed(std::string bytes, int place, float value, size_t tensors_after = 0) {
    bytes = without_checksum(bytes);
    const size_t from_end = GUARD_STATE * (tensors_after + 1) - size_t(place); // the guard comes last
    std::memcpy(&bytes[bytes.size() - from_end * sizeof value], &value, sizeof value);
    return bytes;
}

// All tensors have taken so many steps.
inline std::string guard_aged(std::string bytes, float steps, size_t tensors) {
    for (size_t i = 0; i < tensors; i++) bytes = guard_changed(bytes, GUARD_STEPS, steps, i);
    return bytes;
}
