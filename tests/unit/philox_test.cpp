// Philox4x32-10 against its published vectors, and what is made of its bits.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

extern "C" {
#include "kernels/cell/philox.h"
}

namespace {

// Random123's known-answer tests (kat_vectors, philox4x32 10).
TEST(Philox, KnownAnswers) {
    random4 zero = philox4x32_10(0, 0, 0, 0, 0, 0);
    EXPECT_EQ(zero.u[0], 0x6627e8d5u);
    EXPECT_EQ(zero.u[1], 0xe169c58du);
    EXPECT_EQ(zero.u[2], 0xbc57ac4cu);
    EXPECT_EQ(zero.u[3], 0x9b00dbd8u);
    random4 ones = philox4x32_10(~0u, ~0u, ~0u, ~0u, ~0u, ~0u);
    EXPECT_EQ(ones.u[0], 0x408f276du);
    EXPECT_EQ(ones.u[1], 0x41c83b0eu);
    EXPECT_EQ(ones.u[2], 0xa20bc7c6u);
    EXPECT_EQ(ones.u[3], 0x6d5451fdu);
    random4 pi = philox4x32_10(0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0);
    EXPECT_EQ(pi.u[0], 0xd16cfe09u);
    EXPECT_EQ(pi.u[1], 0x94fdccebu);
    EXPECT_EQ(pi.u[2], 0x5001e420u);
    EXPECT_EQ(pi.u[3], 0x24126ea1u);
}

TEST(Random, UniformMomentsAndRange) {
    double sum = 0, square = 0;
    const int n = 200000;
    for (int i = 0; i < n; i++) {
        float u = random_uniform(7, RANDOM_TASK_DATA, 1, uint64_t(i), 2);
        ASSERT_GE(u, 0.0f);
        ASSERT_LT(u, 1.0f);
        sum += u, square += double(u) * u;
    }
    EXPECT_NEAR(sum / n, 0.5, 0.003);
    EXPECT_NEAR(square / n, 1.0 / 3, 0.003);
}

TEST(Random, NormalMoments) {
    const int n = 400000;
    std::vector<float> x(n);
    random_normals(3, RANDOM_TASK_DATA, 0, 0, n, x.data());
    double m[5] = {};
    int beyond = 0;
    for (float v : x) {
        double p = 1;
        for (int k = 1; k < 5; k++) m[k] += (p *= v) / n;
        beyond += std::fabs(v) > 3;
    }
    EXPECT_NEAR(m[1], 0, 0.006);
    EXPECT_NEAR(m[2], 1, 0.01);
    EXPECT_NEAR(m[3], 0, 0.03);
    EXPECT_NEAR(m[4], 3, 0.08);
    EXPECT_NEAR(beyond / double(n), 0.0027, 0.0004);
    // four share a call, yet each is a function of its own index
    std::vector<float> part(7);
    random_normals(3, RANDOM_TASK_DATA, 0, 0, 7, part.data());
    for (int i = 0; i < 7; i++) EXPECT_EQ(part[i], x[i]);
}

TEST(Random, StreamsDiffer) {
    const uint32_t here = random_bits(1, RANDOM_TASK_DATA, 2, 3, 4).u[0];
    EXPECT_NE(here, random_bits(2, RANDOM_TASK_DATA, 2, 3, 4).u[0]);
    EXPECT_NE(here, random_bits(1ull << 40 | 1, RANDOM_TASK_DATA, 2, 3, 4).u[0]);
    EXPECT_NE(here, random_bits(1, RANDOM_TASK_START, 2, 3, 4).u[0]);
    EXPECT_NE(here, random_bits(1, RANDOM_TASK_DATA, 3, 3, 4).u[0]);
    EXPECT_NE(here, random_bits(1, RANDOM_TASK_DATA, 2, 4, 4).u[0]);
    EXPECT_NE(here, random_bits(1, RANDOM_TASK_DATA, 2, 3 | 1ull << 33, 4).u[0]);
    EXPECT_NE(here, random_bits(1, RANDOM_TASK_DATA, 2, 3, 5).u[0]);
}

TEST(Random, BelowIsEven) {
    std::vector<int> seen(7);
    for (uint32_t i = 0; i < 70000; i++) {
        uint32_t k = random_to_below(random_bits(1, RANDOM_RESAMPLE, i, 0, 0).u[0], 7);
        ASSERT_LT(k, 7u);
        seen[k]++;
    }
    for (int n : seen) EXPECT_NEAR(n, 10000, 500);
}

} // namespace
