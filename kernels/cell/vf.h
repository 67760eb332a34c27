/* vf: the number type that the cell is written on. One lane is one parameter.
 *
 * VF_LANES 16, 8, 4: GNU C vector types (AVX-512, AVX2, any 128-bit unit). VF_LANES 1: plain float, as on CUDA, where a thread
 * is a lane. Arithmetic is written with + - * /; the few functions below are all that differs between the two.
 * Compile with -ffp-contract=fast -fno-math-errno -fno-trapping-math, never with -ffast-math (it breaks the rounding in vf_exp2).
 * Accuracy: exp2, log2, log1p, asinh a few units in the last place; sigmoid and tanh 2e-7 absolute.
 * VF_FAST_LOG: log is a special function of the GPU. Largest errors: 2e-7 absolute between 1/2 and 2, as much relative elsewhere; asinh 3e-7
 * absolute, or 7e-7 relative below 2^-9 and 2e-7 above 2.
 * VF_COARSE, for a cell whose operands are rounded to 16 bits anyway: so is tanh, with an error of 2^-11 relative; and VF_FAST_LOG. */
#ifndef LOPT_CELL_VF_H
#define LOPT_CELL_VF_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__FAST_MATH__)
#error "lopt must not be compiled with -ffast-math or -Ofast: numbers that are none would be taken, and rounding be lost"
#endif
#if defined(VF_COARSE) && !defined(VF_FAST_LOG)
#define VF_FAST_LOG
#endif
#ifndef VF_LANES
#if defined(__CUDACC__) || defined(LOPT_CUDA_EMULATION) /* the tests run kernels on the CPU */
#define VF_LANES 1
#elif defined(__AVX512F__)
#define VF_LANES 16
#elif defined(__AVX2__)
#define VF_LANES 8
#else
#define VF_LANES 4
#endif
#endif

#if defined(__CUDACC__)
#define CELL_FN static __host__ __device__ __forceinline__
#elif defined(__SANITIZE_ADDRESS__) /* checked code inlined everywhere takes GCC minutes to compile */
#define CELL_FN static inline __attribute__((unused))
#else
#define CELL_FN static inline __attribute__((always_inline, unused))
#endif

/* Loops over arrays that must live in registers. nvcc keeps an array there only if every index is a constant. */
#if defined(__CUDACC__)
#define CELL_UNROLL _Pragma("unroll")
#define CELL_UNROLL_DEVICE _Pragma("unroll")
#else
#define CELL_UNROLL _Pragma("GCC unroll 16")
#define CELL_UNROLL_DEVICE
#endif

#if VF_LANES == 1
typedef float vf;
typedef int32_t vi;
typedef int vmask;
#else
#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif
typedef float vf __attribute__((vector_size(VF_LANES * 4)));
typedef int32_t vi __attribute__((vector_size(VF_LANES * 4)));
typedef vi vmask;
#endif

/* ---- Moving data ---- */

#if VF_LANES == 1
CELL_FN vf vf_set1(float a) { return a; }
CELL_FN vf vf_load(const float *p) { return *p; }
CELL_FN void vf_store(float *p, vf a) { *p = a; }
CELL_FN vf vf_select(vmask m, vf a, vf b) { return m ? a : b; }
CELL_FN float vf_sum(vf a) { return a; }
CELL_FN void vf_sum4(const vf a[4], float out[4]) { memcpy(out, a, 4 * sizeof(float)); }
CELL_FN vi vf_bits(vf a) {
    vi r;
    memcpy(&r, &a, 4);
    return r;
}
CELL_FN vf vf_from_bits(vi a) {
    vf r;
    memcpy(&r, &a, 4);
    return r;
}
CELL_FN vf vf_from_int(vi a) { return (float)a; }
CELL_FN vf vf_lane_index(void) { return 0.0f; }
#else
CELL_FN vf vf_set1(float a) { return a - (vf){0}; }
/* Any alignment of a float array. */
CELL_FN vf vf_load(const float *p) {
    vf r;
    memcpy(&r, p, sizeof r);
    return r;
}
CELL_FN void vf_store(float *p, vf a) { memcpy(p, &a, sizeof a); }
CELL_FN vi vf_bits(vf a) { return (vi)a; }
CELL_FN vf vf_from_bits(vi a) { return (vf)a; }
CELL_FN vf vf_from_int(vi a) { return __builtin_convertvector(a, vf); }
CELL_FN vf vf_select(vmask m, vf a, vf b) { return (vf)(((vi)a & m) | ((vi)b & ~m)); }
/* The lanes added up to four, halves upon halves. */
typedef float vf4 __attribute__((vector_size(16)));
typedef int32_t vi4 __attribute__((vector_size(16)));
CELL_FN vf4 vf_fold(vf a) {
    float lane[VF_LANES];
    vf4 part[VF_LANES / 4];
    memcpy(lane, &a, sizeof a);
    memcpy(part, lane, sizeof a);
    for (int half = VF_LANES / 8; half > 0; half /= 2)
        for (int i = 0; i < half; i++) part[i] += part[i + half];
    return part[0];
}
/* Sum of the lanes, always in the same order. */
CELL_FN float vf_sum(vf a) {
    const vf4 q = vf_fold(a);
    return (q[0] + q[2]) + (q[1] + q[3]);
}
/* Lanes i, j, k, l of a and b in a row. Clang has no __builtin_shuffle, GCC before 12 no __builtin_shufflevector. */
#ifdef __clang__
#define VF4_SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define VF4_SHUFFLE(a, b, i, j, k, l) __builtin_shuffle(a, b, (vi4){i, j, k, l})
#endif
/* out[i] = vf_sum(a[i]), with the same bits and in half the instructions. */
CELL_FN void vf_sum4(const vf a[4], float out[4]) {
    const vf4 p = vf_fold(a[0]), q = vf_fold(a[1]), r = vf_fold(a[2]), s = vf_fold(a[3]);
    const vf4 pq = VF4_SHUFFLE(p, q, 0, 4, 1, 5) + VF4_SHUFFLE(p, q, 2, 6, 3, 7);
    const vf4 rs = VF4_SHUFFLE(r, s, 0, 4, 1, 5) + VF4_SHUFFLE(r, s, 2, 6, 3, 7);
    const vf4 sum = VF4_SHUFFLE(pq, rs, 0, 1, 4, 5) + VF4_SHUFFLE(pq, rs, 2, 3, 6, 7);
    memcpy(out, &sum, sizeof sum);
}
CELL_FN vf vf_lane_index(void) {
    vf r;
    for (int i = 0; i < VF_LANES; i++) r[i] = (float)i;
    return r;
}
#endif

/* The first `count` floats of p, zeros in the other lanes; nothing beyond is read (or written). count 0..VF_LANES */
#if VF_LANES == 16 && defined(__AVX512F__)
CELL_FN vf vf_load_first(const float *p, int count) { return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), p); }
CELL_FN void vf_store_first(float *p, vf a, int count) { _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), (__m512)a); }
#else
CELL_FN vf vf_load_first(const float *p, int count) {
    float lane[VF_LANES];
    for (int i = 0; i < VF_LANES; i++) lane[i] = i < count ? p[i] : 0.0f;
    return vf_load(lane);
}
CELL_FN void vf_store_first(float *p, vf a, int count) {
    float lane[VF_LANES];
    vf_store(lane, a);
    for (int i = 0; i < VF_LANES && i < count; i++) p[i] = lane[i];
}
#endif
/* 1 in the first `count` lanes, 0 in the others. */
CELL_FN vf vf_first_lanes(int count) { return vf_select(vf_lane_index() < vf_set1((float)count), vf_set1(1.0f), vf_set1(0.0f)); }

/* ---- Elementary functions ---- */

/* c - a b in one operation, for GPUs' sake: there the compiler joins a product and a sum, but no difference. The assembler would, in one kernel so and in
 * another so; nvcc's is told not to, so that bits are those of the PTX, which the tests run. (A driver that assembles PTX for a later GPU is not told.)
 * Compilers for CPUs need not be told. */
#if defined(__CUDA_ARCH__)
CELL_FN vf vf_fnma(vf a, vf b, vf c) { return fmaf(-a, b, c); }
#else
CELL_FN vf vf_fnma(vf a, vf b, vf c) { return c - a * b; }
#endif

/* b where one of them is NaN. Compilers do not make single instructions of the selects. */
#if VF_LANES == 16 && defined(__AVX512F__)
CELL_FN vf vf_min(vf a, vf b) { return (vf)_mm512_min_ps((__m512)a, (__m512)b); }
CELL_FN vf vf_max(vf a, vf b) { return (vf)_mm512_max_ps((__m512)a, (__m512)b); }
#elif VF_LANES == 8 && defined(__AVX2__)
CELL_FN vf vf_min(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }
CELL_FN vf vf_max(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
#elif VF_LANES == 1 && defined(__CUDA_ARCH__) /* the number where one of them is NaN */
CELL_FN vf vf_min(vf a, vf b) { return fminf(a, b); }
CELL_FN vf vf_max(vf a, vf b) { return fmaxf(a, b); }
#else
CELL_FN vf vf_min(vf a, vf b) { return vf_select(a < b, a, b); }
CELL_FN vf vf_max(vf a, vf b) { return vf_select(a > b, a, b); }
#endif
CELL_FN vf vf_abs(vf a) { return vf_from_bits(vf_bits(a) & 0x7fffffff); }
/* |a| with the sign of s. */
CELL_FN vf vf_copysign(vf a, vf s) { return vf_from_bits((vf_bits(a) & 0x7fffffff) | (vf_bits(s) & (int32_t)0x80000000u)); }

#if VF_LANES == 16 && defined(__AVX512F__)
CELL_FN vf vf_sqrt(vf a) { return (vf)_mm512_sqrt_ps((__m512)a); }
CELL_FN vf vf_rcp_estimate(vf a) { return (vf)_mm512_rcp14_ps((__m512)a); }
CELL_FN vf vf_rsqrt_estimate(vf a) { return (vf)_mm512_rsqrt14_ps((__m512)a); }
#elif VF_LANES == 8 && defined(__AVX2__)
CELL_FN vf vf_sqrt(vf a) { return (vf)_mm256_sqrt_ps((__m256)a); }
CELL_FN vf vf_rcp_estimate(vf a) { return (vf)_mm256_rcp_ps((__m256)a); }
CELL_FN vf vf_rsqrt_estimate(vf a) { return (vf)_mm256_rsqrt_ps((__m256)a); }
#elif VF_LANES == 1
CELL_FN vf vf_sqrt(vf a) { return sqrtf(a); }
#if defined(__CUDA_ARCH__)
CELL_FN vf vf_exp2_fast(vf a) { return exp2f(a); }
CELL_FN vf vf_log2_fast(vf a) { return __log2f(a); }
CELL_FN vf vf_tanh_fast(vf a) {
    float t;
    asm("tanh.approx.f32 %0, %1;" : "=f"(t) : "f"(a));
    return t;
}
#endif
#elif VF_LANES == 4
CELL_FN vf vf_sqrt(vf a) {
    for (int i = 0; i < VF_LANES; i++) a[i] = __builtin_sqrtf(a[i]);
    return a;
}
#endif

/* 1/a and 1/sqrt(a) for normal positive a below 2^126: estimate and one Newton step; division would take five times as long. On CUDA
 * the flags -prec-div=false -prec-sqrt=false -ftz=true make one instruction each of them, good to 2 units in the last place. */
#if VF_LANES > 4
CELL_FN vf vf_rcp(vf a) {
    vf y = vf_rcp_estimate(a);
    return y + y * (1.0f - a * y);
}
CELL_FN vf vf_rsqrt(vf a) {
    vf y = vf_rsqrt_estimate(a);
    return y + (0.5f * y) * (1.0f - (a * y) * y);
}
#else
CELL_FN vf vf_rcp(vf a) { return 1.0f / a; }
CELL_FN vf vf_rsqrt(vf a) { return 1.0f / vf_sqrt(a); }
#endif
/* sqrt(a), a >= 0, as fast as there is; of less than 1e-37, not as good. */
#if defined(__CUDA_ARCH__)
CELL_FN vf vf_root(vf a) { return vf_sqrt(a); }
#else
CELL_FN vf vf_root(vf a) { return a * vf_rsqrt(vf_max(a, vf_set1(1e-37f))); }
#endif

/* 2^x, x held below 126 and, where the instruction set has no scaling of its own, above -126; minimax polynomial of degree 6, relative
 * error 2e-9 before rounding. */
CELL_FN vf vf_exp2(vf x) {
    x = vf_min(x, vf_set1(126.0f));
#if defined(__CUDA_ARCH__)
    return vf_exp2_fast(x); /* one instruction, 2 units in the last place */
#else
#if VF_LANES == 16 && defined(__AVX512F__)
    vf whole = (vf)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    vf f = x - whole;
#else
    const float to_integer = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer that stands in the low bits */
    x = vf_max(x, vf_set1(-126.0f));
    vf t = x + to_integer;
    vf f = x - (t - to_integer);
#endif
    vf p = vf_set1(1.53533620e-4f);
    p = p * f + 1.33988747e-3f;
    p = p * f + 9.61843736e-3f;
    p = p * f + 5.55033247e-2f;
    p = p * f + 2.40226479e-1f;
    p = p * f + 6.93147203e-1f;
    p = p * f + 1.0f;
#if VF_LANES == 16 && defined(__AVX512F__)
    return (vf)_mm512_scalef_ps((__m512)p, (__m512)whole);
#else
    return vf_from_bits(vf_bits(p) + (vf_bits(t) - 0x4b400000) * 8388608);
#endif
#endif
}

/* log2 of a normal positive x; f P(f) around 1, relative error 3e-8 before rounding. */
#if defined(VF_FAST_LOG) && defined(__CUDA_ARCH__)
CELL_FN vf vf_log2(vf x) { return vf_log2_fast(x); }
#else
CELL_FN vf vf_log2(vf x) {
    vi b = vf_bits(x);
    vi e = (b - 0x3f3504f3) >> 23; /* sqrt(1/2): the mantissa goes to [sqrt(1/2), sqrt(2)) */
    vf f = vf_from_bits(b - e * 8388608) - 1.0f;
    vf p = vf_set1(0.125836965f);
    p = p * f - 0.207269795f;
    p = p * f + 0.215715648f;
    p = p * f - 0.238944818f;
    p = p * f + 0.287916244f;
    p = p * f - 0.360703683f;
    p = p * f + 0.480910643f;
    p = p * f - 0.721347347f;
    p = p * f + 1.442695f;
    return p * f + vf_from_int(e);
}
#endif

#define VF_LN2 0.693147181f
#define VF_LOG2_E 1.44269504f

CELL_FN vf vf_exp(vf x) { return vf_exp2(x * VF_LOG2_E); }
CELL_FN vf vf_log(vf x) { return vf_log2(x) * VF_LN2; }

/* log(1 + y), y >= 0, accurate for small y: the rounding of 1 + y is put right to first order. */
CELL_FN vf vf_log1p(vf y) {
    vf u = 1.0f + y;
    return vf_log(u) + (y - (u - 1.0f)) * vf_rcp(u);
}

#if !defined(__CUDA_ARCH__)
CELL_FN vf vf_exp2_fast(vf x) { return vf_exp2(x); }
#endif
CELL_FN vf vf_exp_fast(vf x) { return vf_exp2_fast(x * VF_LOG2_E); } /* x below 87 */
/* On CUDA 1/infinity is 0, as it should be here, so that nothing need be held. */
CELL_FN vf vf_sigmoid(vf x) { return vf_rcp(1.0f + vf_exp2_fast(x * -VF_LOG2_E)); }
CELL_FN vf vf_tanh_fine(vf x) { return 1.0f - 2.0f * vf_rcp(1.0f + vf_exp2_fast(x * (2.0f * VF_LOG2_E))); }
#if !defined(VF_COARSE)
CELL_FN vf vf_tanh(vf x) { return vf_tanh_fine(x); }
#elif defined(__CUDA_ARCH__)
CELL_FN vf vf_tanh(vf x) { return vf_tanh_fast(x); }
#else
/* With as large an error as the GPU's may have, so that tests see what it does. */
CELL_FN vf vf_tanh(vf x) { return vf_from_bits(vf_bits(vf_tanh_fine(x)) & (int32_t)0xfffff000u); }
#endif
/* sigmoid(2 x): weights can hold the half that a sigmoid by tanh needs. */
CELL_FN vf vf_sigmoid_twice(vf x) { return 0.5f + 0.5f * vf_tanh(x); }

#ifdef VF_FAST_LOG
/* Odd: log(|q| + root), q itself where the rounding of that would show; beyond 1e18 the value there. */
CELL_FN vf vf_asinh(vf q) {
    vf a = vf_abs(q);
    vf c = vf_min(a, vf_set1(1e18f));
    vf c2 = c * c + 1.0f;
    vf far = vf_log2(c + c2 * vf_rsqrt(c2)) * vf_copysign(vf_set1(VF_LN2), q);
    return vf_select(a < vf_set1(0x1p-9f), q, far);
}
#else
/* Odd: log1p(|q| + q^2 / (1 + root)), whose rounding of 1 + y is put right to first order; log 2|q| where q^2 is so large that
 * + 1 is lost. One logarithm serves both. */
CELL_FN vf vf_asinh(vf q) {
    vf a = vf_abs(q);
    vf c = vf_min(a, vf_set1(1e4f));
    vf c2 = c * c, c3 = c2 + 1.0f;
    vf y = c + c2 * vf_rcp(1.0f + c3 * vf_rsqrt(c3));
    vf u = 1.0f + y;
    vmask far = a > c;
    vf rest = vf_select(far, vf_set1(VF_LN2), (y - (u - 1.0f)) * vf_rcp(u));
    return vf_copysign(vf_log(vf_select(far, a, u)) + rest, q);
}
#endif

#endif
