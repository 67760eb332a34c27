/* vf of two lanes for C++, which has no vector types on CUDA: a thread then works on two parameters at once, and what is the same for both,
 * above all fetching a weight, is done once. Included by vf.h where VF_LANES is 2. */
#ifndef LOPT_CELL_VF_PAIR_H
#define LOPT_CELL_VF_PAIR_H

struct vf {
    float x, y;
};
struct vi {
    int32_t x, y;
};
typedef vi vmask; /* all bits of a lane, or none */

#define VF_PAIR_OPERATOR(op)                                                  \
    CELL_FN vf operator op(vf a, vf b) { return vf{a.x op b.x, a.y op b.y}; } \
    CELL_FN vf operator op(float a, vf b) { return vf{a op b.x, a op b.y}; }  \
    CELL_FN vf operator op(vf a, float b) { return vf{a.x op b, a.y op b}; }
VF_PAIR_OPERATOR(+)
VF_PAIR_OPERATOR(-)
VF_PAIR_OPERATOR(*)
VF_PAIR_OPERATOR(/)
#undef VF_PAIR_OPERATOR
CELL_FN vf operator-(vf a) { return vf{-a.x, -a.y}; }
CELL_FN vf &operator+=(vf &a, vf b) { return a = a + b; }
CELL_FN vf &operator-=(vf &a, vf b) { return a = a - b; }
CELL_FN vf &operator*=(vf &a, vf b) { return a = a * b; }
CELL_FN vf &operator*=(vf &a, float b) { return a = a * b; }
CELL_FN vmask operator<(vf a, vf b) { return vmask{-(a.x < b.x), -(a.y < b.y)}; }
CELL_FN vmask operator>(vf a, vf b) { return vmask{-(a.x > b.x), -(a.y > b.y)}; }
CELL_FN vmask operator<=(vf a, vf b) { return vmask{-(a.x <= b.x), -(a.y <= b.y)}; }

#define VI_PAIR_OPERATOR(op)                                                  \
    CELL_FN vi operator op(vi a, vi b) { return vi{a.x op b.x, a.y op b.y}; } \
    CELL_FN vi operator op(vi a, int32_t b) { return vi{a.x op b, a.y op b}; }
VI_PAIR_OPERATOR(+)
VI_PAIR_OPERATOR(-)
VI_PAIR_OPERATOR(*)
VI_PAIR_OPERATOR(&)
VI_PAIR_OPERATOR(|)
VI_PAIR_OPERATOR(>>)
#undef VI_PAIR_OPERATOR

CELL_FN vf vf_set1(float a) { return vf{a, a}; }
CELL_FN vf vf_load(const float *p) { return vf{p[0], p[1]}; }
CELL_FN void vf_store(float *p, vf a) { p[0] = a.x, p[1] = a.y; }
CELL_FN vf vf_select(vmask m, vf a, vf b) { return vf{m.x ? a.x : b.x, m.y ? a.y : b.y}; }
CELL_FN float vf_sum(vf a) { return a.x + a.y; }
CELL_FN void vf_sum4(const vf a[4], float out[4]) {
    for (int i = 0; i < 4; i++) out[i] = vf_sum(a[i]);
}
CELL_FN vi vf_bits(vf a) {
    vi r;
    memcpy(&r, &a, sizeof r);
    return r;
}
CELL_FN vf vf_from_bits(vi a) {
    vf r;
    memcpy(&r, &a, sizeof r);
    return r;
}
CELL_FN vf vf_from_int(vi a) { return vf{(float)a.x, (float)a.y}; }
CELL_FN vf vf_lane_index(void) { return vf{0.0f, 1.0f}; }

CELL_FN vf vf_sqrt(vf a) { return vf{sqrtf(a.x), sqrtf(a.y)}; }
#if defined(__CUDA_ARCH__)
CELL_FN vf vf_min(vf a, vf b) { return vf{fminf(a.x, b.x), fminf(a.y, b.y)}; }
CELL_FN vf vf_max(vf a, vf b) { return vf{fmaxf(a.x, b.x), fmaxf(a.y, b.y)}; }
CELL_FN vf vf_exp2_fast(vf a) { return vf{exp2f(a.x), exp2f(a.y)}; }
CELL_FN vf vf_log2_fast(vf a) { return vf{__log2f(a.x), __log2f(a.y)}; }
CELL_FN float tanh_fast(float a) {
    float t;
    asm("tanh.approx.f32 %0, %1;" : "=f"(t) : "f"(a));
    return t;
}
CELL_FN vf vf_tanh_fast(vf a) { return vf{tanh_fast(a.x), tanh_fast(a.y)}; }
#endif

#endif
