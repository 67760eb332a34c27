/* Sine and cosine of a vector of numbers: the argument is brought to [-pi/4, pi/4] by a quarter turn split into three parts (Cody
 * and Waite 1980); the polynomials and the parts are those of Moshier's Cephes (sinf, cosf). Error below 2e-7 for |x| < 8,192, then
 * growing; finite for all finite x. */
#ifndef LOPT_TASKS_FAMILIES_SINCOS_H
#define LOPT_TASKS_FAMILIES_SINCOS_H

#include "kernels/cell/vf.h"

CELL_FN void sincos_vf(vf x, vf *sine, vf *cosine) {
    const float to_integer = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer that stands in the low bits (vf_exp2) */
    const vf eighth = vf_set1(0.785398163f), turned = x * 0.636619772f + to_integer, quarters = turned - to_integer;
    vf r = ((x - quarters * 1.5703125f) - quarters * 4.837512969970703e-4f) - quarters * 7.54978995489188e-8f;
    r = vf_max(vf_min(r, eighth), -eighth);
    const vf r2 = r * r;
    const vf s = r + r * r2 * ((-1.9515295891e-4f * r2 + 8.3321608736e-3f) * r2 - 1.6666654611e-1f);
    const vf c = 1.0f - 0.5f * r2 + r2 * r2 * ((2.443315711809948e-5f * r2 - 1.388731625493765e-3f) * r2 + 4.166664568298827e-2f);
    const vi quadrant = vf_bits(turned);
    const vmask odd = (quadrant & 1) != 0;
    *sine = vf_select(odd, c, s);
    *cosine = vf_select(odd, s, c);
    *sine = vf_select((quadrant & 2) != 0, -*sine, *sine);
    *cosine = vf_select(((quadrant + 1) & 2) != 0, -*cosine, *cosine);
}

#endif
