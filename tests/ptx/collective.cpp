// Instructions of all lanes of a warp at once. PTX ISA, "Warp-level matrix instructions", says which lane has which elements.
#include <cmath>
#include <cstring>

#include "tests/ptx/warp.h"

namespace ptx {
namespace {

float float_of(uint64_t bits) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

uint64_t bits_of(float x) {
    uint64_t bits = 0;
    std::memcpy(&bits, &x, sizeof x);
    return bits;
}

// As a tensor core may: the sum is cut, not rounded, to a float.
float cut(double x) {
    const float near = float(x);
    return std::fabs(double(near)) > std::fabs(x) ? std::nextafter(near, 0.0f) : near;
}

double power_of_two_below(double x) { // x > 0, not subnormal
    uint64_t bits = 0;
    std::memcpy(&bits, &x, sizeof x);
    bits &= ~uint64_t(0) << 52;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

// Of terms that were put beside the largest, with 24 bits of that one; what is further right is lost. Fasi et al. 2021, Numerical behavior of NVIDIA
// tensor cores; how many bits a GPU keeps is not documented, and these are meant to be as few as any.
struct AlignedSum {
    double terms[17], plain = 0.0, largest = 0.0;
    unsigned n = 0;
    void add(double term) {
        if (term == 0.0) return;
        terms[n++] = term;
        plain += term;
        largest = std::fabs(term) > largest ? std::fabs(term) : largest;
    }
    double value() const {
        if (!std::isfinite(plain) || n < 2) return plain;
        const double last = power_of_two_below(largest) * 0x1p-23, each = 1.0 / last;
        double sum = 0.0;
        for (unsigned k = 0; k < n; k++) sum += double(int64_t(terms[k] * each)); // towards 0
        return sum * last;
    }
};

} // namespace

// shfl.sync.bfly d|p, a, distance, clamp, lanes
void Warp::shuffle(const Instruction &i) {
    Register from;
    std::memcpy(from, registers_[i.from[0]], sizeof from);
    const uint64_t *distance = registers_[i.from[1]], *clamp = registers_[i.from[2]], *members = registers_[i.from[3]];
    for (unsigned l = 0; l < LANES; l++) {
        lane_ = l;
        if (uint32_t(members[l]) != ALL_LANES || clamp[l] != LANES - 1) throw Fault{"a shuffle within a part of a warp"};
        registers_[i.to[0]][l] = from[(l ^ distance[l]) % LANES];
        if (i.to.size() > 1) registers_[i.to[1]][l] = 1;
    }
}

// Four matrices of 8 by 8 halves: lanes 8k to 8k + 7 name the rows of the k-th, and lane l gets the elements 2 (l % 4) and the next of row l / 4.
void Warp::matrix_load(const Instruction &i) {
    count(i, ALL_LANES, 16);
    for (unsigned k = 0; k < 4; k++)
        for (unsigned row = 0; row < 8; row++) {
            uint32_t words[4];
            lane_ = 8 * k + row;
            const uint64_t from = address(i, lane_);
            if (from % 16) throw Fault{"a row of a matrix is at no multiple of 16 bytes"};
            read(Space::SHARED, lane_, from, 16, words);
            for (unsigned l = 0; l < 4; l++) registers_[i.to[k]][4 * row + l] = words[l];
        }
}

// d [16][8] = a [16][K] b [K][8] + c [16][8], K 16 or, with half as many words of a and b, 8.
void Warp::matrix_product(const Instruction &i) {
    const unsigned halves = i.from.size() == 10 ? 2 : 1, columns = 8 * halves, b_at = 2 * halves, c_at = 3 * halves;
    double a[16][16], b[16][8], d[16][8];
    for (unsigned l = 0; l < LANES; l++) {
        const unsigned g = l / 4, t = l % 4;
        for (unsigned k = 0; k < 4 * halves; k++) {
            const uint32_t pair = uint32_t(registers_[i.from[k / 2]][l]);
            a[g + 8 * (k / 2 % 2)][2 * t + k % 2 + 8 * (k / 4)] = half_value(uint16_t(pair >> 16 * (k % 2)));
        }
        for (unsigned k = 0; k < 2 * halves; k++) {
            const uint32_t pair = uint32_t(registers_[i.from[b_at + k / 2]][l]);
            b[2 * t + k % 2 + 8 * (k / 2)][g] = half_value(uint16_t(pair >> 16 * (k % 2)));
        }
        for (unsigned k = 0; k < 4; k++) d[g + 8 * (k / 2)][2 * t + k % 2] = double(float_of(registers_[i.from[c_at + k]][l]));
    }
    for (unsigned row = 0; row < 16; row++)
        for (unsigned column = 0; column < 8; column++) {
            AlignedSum sum;
            sum.add(d[row][column]);
            for (unsigned k = 0; k < columns; k++) sum.add(a[row][k] * b[k][column]);
            d[row][column] = sum.value();
        }
    for (unsigned l = 0; l < LANES; l++)
        for (unsigned k = 0; k < 4; k++) registers_[i.to[k]][l] = bits_of(cut(d[l / 4 + 8 * (k / 2)][2 * (l % 4) + k % 2]));
}

} // namespace ptx
