// What each arithmetic instruction does to a lane. Approximate ones are as wrong as PTX allows, by an amount that hangs on their argument alone: what
// holds here holds on every GPU that keeps to its documents.
#include <cfenv>
#include <cmath>
#include <cstring>
#include <map>

#include "tests/ptx/program.h"

namespace ptx {
namespace {

template <class T> T value(uint64_t bits) {
    T v;
    std::memcpy(&v, &bits, sizeof v);
    return v;
}
template <class T> uint64_t bits(T v) {
    uint64_t b = 0;
    std::memcpy(&b, &v, sizeof v);
    return b;
}

template <class F> void each(uint32_t mask, F f) {
    if (mask == ALL_LANES) {
        for (unsigned l = 0; l < LANES; l++) f(l);
    } else {
        for (unsigned l = 0; l < LANES; l++)
            if (mask >> l & 1) f(l);
    }
}

template <class A, class F> Operation one(F f) {
    return [f](Register *r, const Instruction &i, uint32_t mask) {
        each(mask, [&](unsigned l) { r[i.to[0]][l] = bits(f(value<A>(r[i.from[0]][l]))); });
    };
}
template <class A, class B, class F> Operation two(F f) {
    return [f](Register *r, const Instruction &i, uint32_t mask) {
        each(mask, [&](unsigned l) { r[i.to[0]][l] = bits(f(value<A>(r[i.from[0]][l]), value<B>(r[i.from[1]][l]))); });
    };
}
template <class A, class B, class C, class F> Operation three(F f) {
    return [f](Register *r, const Instruction &i, uint32_t mask) {
        each(mask, [&](unsigned l) {
            r[i.to[0]][l] = bits(f(value<A>(r[i.from[0]][l]), value<B>(r[i.from[1]][l]), value<C>(r[i.from[2]][l])));
        });
    };
}

float flush(float x) { return std::fabs(x) < 0x1p-126f ? std::copysign(0.0f, x) : x; }

// In [-1, 1], by the bits of x.
double slant(float x) {
    uint64_t h = bits(x) * 0x9e3779b97f4a7c15u;
    h ^= h >> 29, h *= 0xbf58476d1ce4e5b9u, h ^= h >> 32;
    return double(h >> 11) * 0x1p-52 - 1.0;
}
float wrong_by(double exact, double relative, float argument) {
    return flush(std::isfinite(exact) ? float(exact * (1.0 + relative * slant(argument))) : float(exact));
}

// x with `digits` binary digits, the last of which stands for no less than 2^least; to even where in the middle.
double rounded(double x, int digits, int least) {
    if (x == 0.0 || !std::isfinite(x)) return x;
    const double unit = std::ldexp(1.0, std::max(std::ilogb(x) - digits + 1, least));
    return std::nearbyint(x / unit) * unit;
}
uint16_t half_bits(double x) {
    const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
    const double a = std::fabs(rounded(x, 11, -24));
    if (std::isnan(x)) return 0x7fff;
    if (a >= 65536.0) return uint16_t(sign | 0x7c00);
    if (a < 0x1p-14) return uint16_t(sign | int(a * 0x1p24));
    const int e = std::ilogb(a);
    return uint16_t(sign | (e + 15) << 10 | (int(std::ldexp(a, 10 - e)) - 1024));
}
uint16_t bfloat_bits(float x) {
    if (std::isnan(x)) return 0x7fff;
    return uint16_t(bits(float(rounded(x, 8, -133))) >> 16);
}

using I = int32_t;
using U = uint32_t;
using L = int64_t;
using W = uint64_t;
using H = uint16_t;

// Bits, whole numbers and addresses.
void add_integers(std::map<std::string, Operation> *t) {
    std::map<std::string, Operation> &o = *t;
    o["add.s32"] = two<U, U>([](U a, U b) { return a + b; });
    o["add.s64"] = o["add.u64"] = two<W, W>([](W a, W b) { return a + b; });
    o["sub.s32"] = two<U, U>([](U a, U b) { return a - b; });
    o["sub.s64"] = two<W, W>([](W a, W b) { return a - b; });
    o["neg.s32"] = one<U>([](U a) { return -a; });
    o["mul.lo.s32"] = two<U, U>([](U a, U b) { return a * b; });
    o["mul.lo.s64"] = two<W, W>([](W a, W b) { return a * b; });
    o["mul.wide.s32"] = two<I, I>([](I a, I b) { return L(a) * b; });
    o["mul.wide.u32"] = two<U, U>([](U a, U b) { return W(a) * b; });
    o["mul.wide.u16"] = two<H, H>([](H a, H b) { return U(a) * b; });
    o["mad.lo.s32"] = three<U, U, U>([](U a, U b, U c) { return a * b + c; });
    o["div.u32"] = two<U, U>([](U a, U b) { return b ? a / b : ~U(0); });
    o["div.u64"] = two<W, W>([](W a, W b) { return b ? a / b : ~W(0); });
    o["rem.u32"] = two<U, U>([](U a, U b) { return b ? a % b : a; });
    o["rem.u64"] = two<W, W>([](W a, W b) { return b ? a % b : a; });
    o["min.u32"] = two<U, U>([](U a, U b) { return a < b ? a : b; });
    o["max.u32"] = two<U, U>([](U a, U b) { return a > b ? a : b; });
    o["min.s32"] = two<I, I>([](I a, I b) { return a < b ? a : b; });
    o["max.s32"] = two<I, I>([](I a, I b) { return a > b ? a : b; });
    o["min.u64"] = two<W, W>([](W a, W b) { return a < b ? a : b; });
    o["max.u64"] = two<W, W>([](W a, W b) { return a > b ? a : b; });
    o["setp.eq.b64"] = two<W, W>([](W a, W b) { return uint8_t(a == b); });
    o["setp.ne.b64"] = two<W, W>([](W a, W b) { return uint8_t(a != b); });
    o["and.b16"] = o["and.b32"] = o["and.b64"] = o["and.pred"] = two<W, W>([](W a, W b) { return a & b; });
    o["or.b16"] = o["or.b32"] = o["or.b64"] = o["or.pred"] = two<W, W>([](W a, W b) { return a | b; });
    o["xor.b32"] = o["xor.b64"] = o["xor.pred"] = two<W, W>([](W a, W b) { return a ^ b; });
    o["not.pred"] = one<W>([](W a) { return a ^ 1; });
    o["not.b32"] = one<U>([](U a) { return ~a; });
    o["not.b64"] = one<W>([](W a) { return ~a; });
    o["shl.b32"] = two<U, U>([](U a, U n) { return n > 31 ? 0 : a << n; });
    o["shl.b64"] = two<W, U>([](W a, U n) { return n > 63 ? 0 : a << n; });
    o["shr.u16"] = two<H, U>([](H a, U n) { return H(n > 15 ? 0 : a >> n); });
    o["shr.u32"] = two<U, U>([](U a, U n) { return n > 31 ? 0 : a >> n; });
    o["shr.s32"] = two<I, U>([](I a, U n) { return a >> (n > 31 ? 31 : n); });
    o["shr.u64"] = two<W, U>([](W a, U n) { return n > 63 ? 0 : a >> n; });
    o["bfi.b32"] = [](Register *r, const Instruction &i, uint32_t mask) {
        each(mask, [&](unsigned l) {
            const U at = U(r[i.from[2]][l]), width = U(r[i.from[3]][l]);
            const W field = ((W(1) << width) - 1) << at;
            r[i.to[0]][l] = U((r[i.from[1]][l] & ~field) | (r[i.from[0]][l] << at & field));
        });
    };
    for (const char *type : {"b16", "b32", "b64", "u32", "u16", "u64", "s32", "s64", "f32", "f64"}) {
        o[std::string("selp.") + type] = three<W, W, W>([](W a, W b, W p) { return p ? a : b; });
    }
    o["mov.pred"] = one<W>([](W a) { return a; });
    o["cvta.to.global.u64"] = one<W>([](W a) { return a; }); // a generic address of global memory is its address
}

template <class T> void add_comparisons(std::map<std::string, Operation> *t, const std::string &type) {
    std::map<std::string, Operation> &o = *t;
    o["setp.eq." + type] = two<T, T>([](T a, T b) { return uint8_t(a == b); });
    o["setp.ne." + type] = two<T, T>([](T a, T b) { return uint8_t(a < b || a > b); });
    o["setp.lt." + type] = two<T, T>([](T a, T b) { return uint8_t(a < b); });
    o["setp.le." + type] = two<T, T>([](T a, T b) { return uint8_t(a <= b); });
    o["setp.gt." + type] = two<T, T>([](T a, T b) { return uint8_t(a > b); });
    o["setp.ge." + type] = two<T, T>([](T a, T b) { return uint8_t(a >= b); });
    o["setp.neu." + type] = two<T, T>([](T a, T b) { return uint8_t(!(a == b)); }); // u: or not comparable
    o["setp.ltu." + type] = two<T, T>([](T a, T b) { return uint8_t(!(a >= b)); });
    o["setp.leu." + type] = two<T, T>([](T a, T b) { return uint8_t(!(a > b)); });
    o["setp.gtu." + type] = two<T, T>([](T a, T b) { return uint8_t(!(a <= b)); });
    o["setp.geu." + type] = two<T, T>([](T a, T b) { return uint8_t(!(a < b)); });
}

// A float that compares as its flushed self.
struct Flushed {
    float x;
    float at() const { return flush(x); }
    bool operator==(Flushed b) const { return at() == b.at(); }
    bool operator<(Flushed b) const { return at() < b.at(); }
    bool operator>(Flushed b) const { return at() > b.at(); }
    bool operator<=(Flushed b) const { return at() <= b.at(); }
    bool operator>=(Flushed b) const { return at() >= b.at(); }
};

// Numbers with a point, rounded as they must be.
void add_exact(std::map<std::string, Operation> *t) {
    std::map<std::string, Operation> &o = *t;
    o["add.ftz.f32"] = two<float, float>([](float a, float b) { return flush(flush(a) + flush(b)); });
    o["sub.ftz.f32"] = two<float, float>([](float a, float b) { return flush(flush(a) - flush(b)); });
    o["mul.ftz.f32"] = two<float, float>([](float a, float b) { return flush(flush(a) * flush(b)); });
    o["fma.rn.ftz.f32"] =
        three<float, float, float>([](float a, float b, float c) { return flush(std::fma(flush(a), flush(b), flush(c))); });
    o["fma.rm.ftz.f32"] = three<float, float, float>([](float a, float b, float c) {
        const int before = std::fegetround();
        std::fesetround(FE_DOWNWARD);
        volatile float x = a, y = b, z = c;
        const float sum = std::fma(x, y, z);
        std::fesetround(before);
        return flush(sum);
    });
    o["div.rn.ftz.f32"] = two<float, float>([](float a, float b) { return flush(flush(a) / flush(b)); });
    o["neg.ftz.f32"] = one<float>([](float a) { return flush(-a); });
    o["abs.ftz.f32"] = one<float>([](float a) { return flush(std::fabs(a)); });
    o["min.ftz.f32"] = two<float, float>([](float a, float b) { return flush(std::fmin(a, b)); });
    o["max.ftz.f32"] = two<float, float>([](float a, float b) { return flush(std::fmax(a, b)); });
    o["add.f64"] = two<double, double>([](double a, double b) { return a + b; });
    o["mul.f64"] = two<double, double>([](double a, double b) { return a * b; });
    o["div.rn.f64"] = two<double, double>([](double a, double b) { return a / b; });
    o["fma.rn.f64"] = three<double, double, double>([](double a, double b, double c) { return std::fma(a, b, c); });
    o["rcp.rn.f64"] = one<double>([](double a) { return 1.0 / a; });
    o["sqrt.rn.f64"] = one<double>([](double a) { return std::sqrt(a); });
}

// PTX ISA, "Floating Point Instructions": the largest error of each.
void add_approximate(std::map<std::string, Operation> *t) {
    std::map<std::string, Operation> &o = *t;
    o["rcp.approx.ftz.f32"] = one<float>([](float a) { return wrong_by(1.0 / double(flush(a)), 0x1p-24, a); });
    o["div.full.ftz.f32"] =
        two<float, float>([](float a, float b) { return wrong_by(double(flush(a)) / double(flush(b)), 0x1p-23, b); });
    o["sqrt.approx.ftz.f32"] = one<float>([](float a) { return wrong_by(std::sqrt(double(flush(a))), 0x1p-23, a); });
    o["rsqrt.approx.ftz.f32"] = one<float>([](float a) { return wrong_by(1.0 / std::sqrt(double(flush(a))), 0x1p-23, a); });
    o["ex2.approx.ftz.f32"] =
        one<float>([](float a) { return wrong_by(std::exp2(double(flush(a))), a == 0.0f ? 0.0 : 0x1p-22, a); });
    o["tanh.approx.f32"] = one<float>([](float a) { return wrong_by(std::tanh(double(a)), std::isinf(a) ? 0.0 : 0x1p-11, a); });
    o["lg2.approx.ftz.f32"] = one<float>([](float a) {
        const double exact = std::log2(double(flush(a)));
        return a > 0.5f && a < 2.0f ? float(exact + 0x1p-22 * slant(a)) : wrong_by(exact, 0x1p-22, a);
    });
}

void add_conversions(std::map<std::string, Operation> *t) {
    std::map<std::string, Operation> &o = *t;
    o["cvt.s64.s32"] = one<I>([](I a) { return L(a); });
    o["cvt.u64.u32"] = one<U>([](U a) { return W(a); });
    o["cvt.u32.u64"] = one<W>([](W a) { return U(a); });
    o["cvt.u32.u16"] = one<H>([](H a) { return U(a); });
    o["cvt.u16.u32"] = o["cvt.u16.u64"] = one<W>([](W a) { return H(a); });
    o["cvt.rn.f32.s32"] = one<I>([](I a) { return float(a); });
    o["cvt.rn.f32.u32"] = one<U>([](U a) { return float(a); });
    o["cvt.rn.f64.u64"] = one<W>([](W a) { return double(a); });
    o["cvt.rzi.u64.f64"] = one<double>([](double a) { return a > 0.0 ? W(a) : 0; });
    o["cvt.rzi.u32.f64"] = one<double>([](double a) { return a > 0.0 ? a < 0x1p32 ? U(a) : ~U(0) : 0; });
    o["cvt.ftz.f64.f32"] = one<float>([](float a) { return double(flush(a)); });
    o["cvt.rn.ftz.f32.f64"] = one<double>([](double a) { return flush(float(a)); });
    o["cvt.ftz.sat.f32.f32"] = one<float>([](float a) { return a > 0.0f ? flush(std::fmin(a, 1.0f)) : 0.0f; });
    o["cvt.rn.f16.f32"] = one<float>([](float a) { return half_bits(a); });
    o["cvt.rn.bf16.f32"] = one<float>(bfloat_bits);
    o["cvt.rn.f16x2.f32"] = two<float, float>([](float high, float low) { return U(half_bits(high)) << 16 | half_bits(low); });
    o["cvt.rn.bf16x2.f32"] = two<float, float>([](float high, float low) { return U(bfloat_bits(high)) << 16 | bfloat_bits(low); });
    o["cvt.f32.f16"] = one<H>(half_value);
}

std::map<std::string, Operation> table() {
    std::map<std::string, Operation> t;
    add_integers(&t);
    add_comparisons<I>(&t, "s32");
    add_comparisons<L>(&t, "s64");
    add_comparisons<U>(&t, "u32");
    add_comparisons<W>(&t, "u64");
    add_comparisons<H>(&t, "u16");
    add_comparisons<int16_t>(&t, "s16");
    add_comparisons<U>(&t, "b32");
    add_comparisons<Flushed>(&t, "ftz.f32");
    add_comparisons<double>(&t, "f64");
    add_exact(&t);
    add_approximate(&t);
    add_conversions(&t);
    return t;
}

} // namespace

float half_value(uint16_t h) {
    static const std::vector<float> all = [] {
        std::vector<float> values;
        for (int k = 0; k < 0x10000; k++) {
            const int e = k >> 10 & 31, m = k & 1023;
            const double a = e == 0 ? m * 0x1p-24 : e == 31 ? (m ? NAN : INFINITY) : std::ldexp(1024 + m, e - 25);
            values.push_back(float(k & 0x8000 ? -a : a));
        }
        return values;
    }();
    return all[h];
}

Operation arithmetic(const std::string &name) {
    static const std::map<std::string, Operation> operations = table();
    const auto found = operations.find(name);
    return found == operations.end() ? Operation() : found->second;
}

} // namespace ptx
