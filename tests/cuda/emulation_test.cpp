// The emulation itself: right kernels give right results, and each of the faults that it is there for is found.
#include <gtest/gtest.h>

#include <numeric>

#include "tests/cuda/emulated_gpu.h"

namespace {

constexpr unsigned THREADS = 64;

// Sum of all threads' numbers by halves; `fault` 1: a barrier is missing.
__global__ void sum_halves(const float *in, float *out, int fault) {
    __shared__ float part[THREADS];
    part[threadIdx.x] = in[threadIdx.x + blockIdx.x * blockDim.x];
    __syncthreads();
    for (unsigned half = THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
        if (fault == 0) __syncthreads();
    }
    if (threadIdx.x == 0) out[blockIdx.x] = part[0];
    __syncthreads();
}
__global__ void sum_warp(const float *in, float *out) {
    float a = in[threadIdx.x];
    for (int away = 16; away > 0; away /= 2) a += __shfl_xor_sync(0xffffffffu, a, away);
    out[threadIdx.x] = a;
}
__global__ void some_do_not_come(float *out) {
    if (threadIdx.x < 7) __syncthreads();
    *out = 1.0f;
}
__global__ void two_barriers(float *out) {
    if (threadIdx.x < 7) __syncthreads();
    else __syncthreads();
    *out = 1.0f;
}
__global__ void lane_has_left(float *out) {
    if (threadIdx.x < 16) *out = __shfl_xor_sync(0xffffffffu, 1.0f, 1);
}

template <class... P, class... A> void run(unsigned grid, void (*kernel)(P...), A... arguments) {
    ASSERT_EQ(emulation::launch(nullptr, grid, THREADS, kernel, arguments...), 0);
    emulation::stream_wait(nullptr);
}

struct Emulation : ::testing::Test {
    std::vector<float> in = std::vector<float>(3 * THREADS), out = std::vector<float>(3 * THREADS);
    void SetUp() override {
        std::iota(in.begin(), in.end(), 1.0f);
        emulation::machine = emulation::Machine();
    }
    void TearDown() override { emulation::schedule = 0; }
};

TEST_F(Emulation, RightKernelsAreRightInAnyOrder) {
    for (emulation::schedule = 0; emulation::schedule < 20; emulation::schedule++) {
        run(3, sum_halves, in.data(), out.data(), 0);
        for (int b = 0; b < 3; b++) EXPECT_EQ(out[size_t(b)], 64.0f * (64.0f * float(b) + 32.5f));
        run(1, sum_warp, in.data(), out.data());
        for (size_t i = 0; i < THREADS; i++) EXPECT_EQ(out[i], i < 32 ? 528.0f : 1552.0f);
    }
}

TEST_F(Emulation, AMissingBarrierShowsInSomeOrder) {
    int wrong = 0;
    for (emulation::schedule = 0; emulation::schedule < 20; emulation::schedule++) {
        run(3, sum_halves, in.data(), out.data(), 1);
        wrong += out[0] != 2080.0f;
    }
    EXPECT_GT(wrong, 0);
}

TEST_F(Emulation, WorkWaitsInItsStream) {
    ASSERT_EQ(emulation::launch(nullptr, 1, THREADS, sum_warp, in.data(), out.data()), 0);
    EXPECT_EQ(out[0], 0.0f);
    emulation::stream_wait(nullptr);
    EXPECT_EQ(out[0], 528.0f);
}

using EmulationDeathTest = Emulation;

TEST_F(EmulationDeathTest, BarriersThatNotAllReach) {
    EXPECT_DEATH(run(1, some_do_not_come, out.data()), "not every thread");
    EXPECT_DEATH(run(1, two_barriers, out.data()), "different __syncthreads");
}

TEST_F(EmulationDeathTest, ShufflesThatNameALaneThatHasLeft) { EXPECT_DEATH(run(1, lane_has_left, out.data()), "not every lane"); }

} // namespace
