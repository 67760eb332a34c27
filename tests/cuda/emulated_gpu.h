// A GPU of the tests' own: gpu_runtime over the emulated kernels. Device memory is the host's, but known by address.
#pragma once
#include <cstddef>

#include "tests/support/cuda_emulation.h"

extern "C" {
#include "kernels/cuda/gpu.h"
}

namespace emulation {

constexpr int DEVICES = 2;

const gpu_runtime *runtime();

Stream *stream_create(int device);
void stream_destroy(Stream *s);
void stream_wait(void *stream);
void *device_memory(int device, size_t bytes);
void device_free(void *memory);

} // namespace emulation
