/* 16-bit floats to float and back, rounding to nearest even: plain integer arithmetic that compilers vectorise, single instructions on
 * CUDA (where subnormal floats are flushed, which the integer way to and from fp16 could not stand). */
#ifndef LOPT_CELL_HALF_H
#define LOPT_CELL_HALF_H

#include "kernels/cell/vf.h"

/* What numbers in memory are. */
typedef enum number_type { NUMBER_FP32, NUMBER_BF16, NUMBER_FP16 } number_type;

CELL_FN float bits_to_float(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}
CELL_FN uint32_t float_to_bits(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

CELL_FN float bf16_to_float(uint16_t h) { return bits_to_float((uint32_t)h << 16); }

#if defined(__CUDA_ARCH__)
CELL_FN uint16_t float_to_bf16(float f) {
    uint16_t h;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(h) : "f"(f));
    return h;
}
CELL_FN float fp16_to_float(uint16_t h) {
    float f;
    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
    return f;
}
CELL_FN uint16_t float_to_fp16(float f) {
    uint16_t h;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(f));
    return h;
}
CELL_FN uint32_t floats_to_fp16(float low, float high) {
    uint32_t both;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
}
CELL_FN uint32_t floats_to_bf16(float low, float high) {
    uint32_t both;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
}
#else
CELL_FN uint16_t float_to_bf16(float f) {
    uint32_t u = float_to_bits(f), rounded = (u + 0x7FFFu + ((u >> 16) & 1u)) >> 16;
    return (uint16_t)((u & 0x7FFFFFFFu) > 0x7F800000u ? (u >> 16) | 0x40u : rounded); /* NaN stays NaN */
}

/* The exponent is moved by an addition; subnormals are made from whole numbers, so that no float on the way is one: processors may be set to
 * read those as 0. */
CELL_FN float fp16_to_float(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, size = h & 0x7FFFu, rest = size << 13;
    uint32_t normal = rest + (size < 0x7C00u ? 0x38000000u : 0x70000000u); /* infinities and NaNs keep all bits of the exponent */
    uint32_t subnormal = float_to_bits((float)(int32_t)size * 0x1p-24f);
    return bits_to_float(sign | (size < 0x0400u ? subnormal : normal));
}

CELL_FN uint16_t float_to_fp16(float f) {
    uint32_t u = float_to_bits(f), sign = (u >> 16) & 0x8000u, size = u & 0x7FFFFFFFu;
    /* below 2^-14 the sum with 0.5 leaves the rounded subnormal in the low bits */
    uint32_t subnormal = float_to_bits(bits_to_float(size) + 0.5f) - 0x3F000000u;
    uint32_t normal = (size - 0x38000000u + 0xFFFu + ((size >> 13) & 1u)) >> 13;
    uint32_t result = size < 0x38800000u ? subnormal : normal;
    if (size >= 0x477FF000u) result = 0x7C00u; /* 65520 and beyond round to infinity */
    if (size > 0x7F800000u) result = 0x7E00u;
    return (uint16_t)(sign | result);
}

CELL_FN uint32_t floats_to_fp16(float low, float high) { return float_to_fp16(low) | (uint32_t)float_to_fp16(high) << 16; }
CELL_FN uint32_t floats_to_bf16(float low, float high) { return float_to_bf16(low) | (uint32_t)float_to_bf16(high) << 16; }

#endif

CELL_FN unsigned number_size(number_type type) { return type == NUMBER_FP32 ? sizeof(float) : sizeof(uint16_t); }
/* The address of element i of an array of that type; the element. */
CELL_FN const void *number_at(number_type type, const void *from, size_t i) { return (const char *)from + i * number_size(type); }
/* Its bits, and what they say: apart, where much is read before any of it is used. */
CELL_FN uint32_t number_bits(number_type type, const void *from, size_t i) {
    return type == NUMBER_FP32 ? ((const uint32_t *)from)[i] : ((const uint16_t *)from)[i];
}
CELL_FN float number_value(number_type type, uint32_t bits) {
    if (type == NUMBER_FP32) return bits_to_float(bits);
    return type == NUMBER_BF16 ? bf16_to_float((uint16_t)bits) : fp16_to_float((uint16_t)bits);
}
CELL_FN float number_read(number_type type, const void *from, size_t i) { return number_value(type, number_bits(type, from, i)); }
CELL_FN void number_write(number_type type, void *to, size_t i, float value) {
    if (type == NUMBER_FP32) ((float *)to)[i] = value;
    else ((uint16_t *)to)[i] = type == NUMBER_BF16 ? float_to_bf16(value) : float_to_fp16(value);
}

#endif
