// The number type's functions against the C library in double, on every instruction set that this machine has.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

extern "C" {
#include "kernels/cpu/isa.h"
#include "tests/unit/isa_probe.h"
}

namespace {

struct Range {
    probe which;
    const char *name;
    double (*exact)(double);
    double low, high;
    bool logarithmic; // spread of the arguments, both signs if low < 0
    double relative, absolute;
};
void PrintTo(const Range &r, std::ostream *out) { *out << r.name; }

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double rsqrt(double x) { return 1 / std::sqrt(x); }
double rcp(double x) { return 1 / x; }

std::vector<probe_function> available() {
    std::vector<probe_function> f = {isa_probe_baseline};
#ifdef LOPT_X86_ISAS
    if (isa_current() >= ISA_AVX2) f.push_back(isa_probe_avx2);
    if (isa_current() >= ISA_AVX512) f.push_back(isa_probe_avx512);
#endif
    return f;
}

std::vector<float> arguments(const Range &r) {
    std::vector<float> x(1 << 16);
    for (size_t i = 0; i < x.size(); i++) {
        double t = double(i) / double(x.size() - 1);
        if (!r.logarithmic) x[i] = float(r.low + (r.high - r.low) * t);
        else x[i] = float((r.low < 0 && i % 2 ? -1 : 1) * std::exp(std::log(1e-30) + (std::log(r.high) - std::log(1e-30)) * t));
    }
    return x;
}

class VfFunction : public ::testing::TestWithParam<Range> {};

TEST_P(VfFunction, StaysWithinItsError) {
    const Range r = GetParam();
    const std::vector<float> x = arguments(r);
    std::vector<float> y(x.size());
    for (probe_function f : available()) {
        f(r.which, x.data(), y.data(), x.size());
        for (size_t i = 0; i < x.size(); i++) {
            const double want = r.exact(double(x[i]));
            ASSERT_LE(std::fabs(y[i] - want), r.absolute + r.relative * std::fabs(want)) << r.name << "(" << x[i] << ") = " << y[i];
        }
    }
}
INSTANTIATE_TEST_SUITE_P(All, VfFunction,
                         ::testing::Values(Range{PROBE_EXP2, "exp2", std::exp2, -125, 126, false, 2e-7, 0},
                                           Range{PROBE_LOG2, "log2", std::log2, 0, 1e38, true, 3e-7, 1e-7},
                                           Range{PROBE_LOG1P, "log1p", std::log1p, 0, 1e30, true, 4e-7, 0},
                                           Range{PROBE_SIGMOID, "sigmoid", sigmoid, -80, 80, false, 5e-6, 0},
                                           Range{PROBE_TANH, "tanh", std::tanh, -50, 50, false, 0, 3e-7},
                                           Range{PROBE_ASINH, "asinh near 0", std::asinh, -1e-3, 1e-3, false, 4e-7, 0},
                                           Range{PROBE_ASINH, "asinh", std::asinh, -1, 1e36, true, 5e-7, 0},
                                           Range{PROBE_RSQRT, "rsqrt", rsqrt, 0, 1e36, true, 5e-7, 0},
                                           Range{PROBE_RCP, "rcp", rcp, -1, 1e30, true, 5e-7, 0}));

TEST(Vf, ExtremesAreFinite) {
    const std::vector<float> x = {0,   -0.0f, 1e-38f, -1e-38f, 3e38f, -3e38f, 1e18f, -1e18f,
                                  200, -200,  1,      -1,      5e8f,  -5e8f,  1e10f, -1e10f};
    std::vector<float> y(x.size());
    for (probe_function f : available())
        for (probe which : {PROBE_SIGMOID, PROBE_TANH, PROBE_ASINH}) {
            f(which, x.data(), y.data(), x.size());
            for (size_t i = 0; i < x.size(); i++) EXPECT_TRUE(std::isfinite(y[i])) << which << " " << x[i];
            if (which == PROBE_ASINH) { // odd, exactly
                EXPECT_EQ(y[0], 0.0f);
                for (size_t i = 2; i < x.size(); i += 2) EXPECT_EQ(y[i], -y[i + 1]) << x[i];
            }
        }
}

TEST(Isa, NamesAndOrder) {
    EXPECT_STREQ(isa_name(ISA_BASELINE), "baseline");
    EXPECT_STREQ(isa_name(ISA_AVX2), "avx2");
    EXPECT_STREQ(isa_name(ISA_AVX512), "avx512");
}

} // namespace
