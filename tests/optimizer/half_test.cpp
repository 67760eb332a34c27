// 16-bit floats against the compiler's own, for every 16-bit pattern and for floats around every rounding border.
#include <gtest/gtest.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include <cmath>
#include <cstring>

extern "C" {
#include "kernels/cell/half.h"
}

namespace {

bool same(float a, float b) { return (std::isnan(a) && std::isnan(b)) || std::memcmp(&a, &b, 4) == 0; }

TEST(Half, EveryPatternToFloatAndBack) {
    for (uint32_t u = 0; u < 65536; u++) {
        const uint16_t h = uint16_t(u);
        _Float16 compiled;
        std::memcpy(&compiled, &h, 2);
        ASSERT_TRUE(same(fp16_to_float(h), float(compiled))) << u;
        if (!std::isnan(float(compiled))) ASSERT_EQ(float_to_fp16(fp16_to_float(h)), h) << u;
        else ASSERT_TRUE(std::isnan(fp16_to_float(float_to_fp16(fp16_to_float(h)))));
        const float b = bf16_to_float(h);
        if (!std::isnan(b)) ASSERT_EQ(float_to_bf16(b), h) << u;
        else ASSERT_TRUE(std::isnan(bf16_to_float(float_to_bf16(b)))) << u;
    }
}

#ifdef __x86_64__
// Where the processor reads subnormals as 0, too.
TEST(Half, SubnormalsInEveryMode) {
    const unsigned before = _mm_getcsr();
    float got[1024];
    _mm_setcsr(before | 0x8040);
    for (uint32_t h = 0; h < 1024; h++) got[h] = fp16_to_float(uint16_t(h));
    _mm_setcsr(before);
    for (uint32_t h = 0; h < 1024; h++) ASSERT_EQ(got[h], float(h) * 0x1p-24f) << h;
}
#endif

TEST(Half, RoundsToNearestEven) {
    for (uint32_t u = 0; u < 65535; u++) {
        const uint16_t h = uint16_t(u);
        const float x = fp16_to_float(h), next = fp16_to_float(uint16_t(h + 1));
        if (!std::isfinite(x) || !std::isfinite(next)) continue;
        const float middle = 0.5f * (x + next);
        for (float f : {middle, std::nextafter(middle, x), std::nextafter(middle, next)}) {
            uint16_t want;
            const _Float16 compiled = _Float16(f);
            std::memcpy(&want, &compiled, 2);
            ASSERT_EQ(float_to_fp16(f), want) << u << " " << f;
        }
        const float b = bf16_to_float(h), bnext = bf16_to_float(uint16_t(h + 1)), bmiddle = b + 0.5f * (bnext - b);
        if (!std::isfinite(b) || !std::isfinite(bnext)) continue;
        ASSERT_EQ(float_to_bf16(bmiddle), h % 2 ? h + 1 : h) << u;
        ASSERT_EQ(float_to_bf16(std::nextafter(bmiddle, b)), h) << u;
        ASSERT_EQ(float_to_bf16(std::nextafter(bmiddle, bnext)), h + 1) << u;
    }
    EXPECT_EQ(float_to_fp16(65519.0f), 0x7BFF);
    EXPECT_EQ(float_to_fp16(65520.0f), 0x7C00);
    EXPECT_EQ(float_to_fp16(-1e30f), 0xFC00);
    EXPECT_EQ(float_to_fp16(1e-30f), 0);
    EXPECT_EQ(float_to_bf16(3.4e38f), 0x7F80);
}

} // namespace
