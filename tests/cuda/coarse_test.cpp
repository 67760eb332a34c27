// The coarse elementary functions of the tensor-core cell are as good as vf.h says; of the GPU's own instructions this says nothing.
#define VF_COARSE
#define VF_LANES 1
#include "kernels/cell/vf.h"

#include <gtest/gtest.h>

namespace {

TEST(CoarseFunctions, AreAsGoodAsTheySay) {
    for (double exponent = -20.0; exponent < 18.0; exponent += 0.0007)
        for (double sign : {-1.0, 1.0}) {
            const float x = float(sign * std::pow(10.0, exponent));
            const double exact = std::asinh(double(x)), error = std::fabs(double(vf_asinh(x)) - exact);
            ASSERT_LE(error, std::fabs(x) < 0x1p-9f ? 7e-7 * std::fabs(exact) : std::fmax(3e-7, 2e-7 * std::fabs(exact))) << x;
            ASSERT_LE(std::fabs(double(vf_tanh(x)) - std::tanh(double(x))), 0x1p-11 * std::fabs(std::tanh(double(x))) + 2e-7) << x;
            ASSERT_NEAR(double(vf_sigmoid_twice(x)), 1.0 / (1.0 + std::exp(-2.0 * double(x))), 0x1p-12 + 2e-7) << x;
        }
    EXPECT_EQ(vf_asinh(0.0f), 0.0f);
    EXPECT_LT(vf_asinh(3e38f), 50.0f); // finite
}

} // namespace
