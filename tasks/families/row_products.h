/* Matrix products for sequence models. 16 sequences go side by side: at each position ("step") an activation is a vector of 16 floats,
 * and activations are [step][unit][16]. Weights are broadcast; several outputs of several steps stay in registers at once. On AVX-512
 * the 16 sequences are one vector, elsewhere a few. */
#ifndef LOPT_TASKS_FAMILIES_ROW_PRODUCTS_H
#define LOPT_TASKS_FAMILIES_ROW_PRODUCTS_H

#include "kernels/cell/team.h"

/* Inlined, so that sizes are constants; but for sanitizers, with which that takes a compiler minutes. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROW_FN static __attribute__((unused, noinline))
#else
#define ROW_FN CELL_FN
#endif

enum { ROW_LANES = 16, ROW_VECTORS = ROW_LANES / VF_LANES };

/* Activations: unit u at step t is at + t * stride + u * ROW_LANES. */
typedef struct row_block {
    float *at;
    size_t stride;
} row_block;

/* A vector more than the units: with strides of 2 or 4 KB, a unit's steps would fight for the same few lines of the first cache. */
CELL_FN size_t rows_stride(size_t units) { return (units + 1) * ROW_LANES; }
/* Takes rows from the workspace. */
CELL_FN row_block rows_take(float **workspace, size_t steps, size_t units) {
    const row_block r = {*workspace, rows_stride(units)};
    *workspace += steps * r.stride;
    return r;
}
CELL_FN size_t rows_floats(size_t steps, size_t units) { return steps * rows_stride(units); }
/* The same rows from a step and a unit on. */
CELL_FN row_block rows_from(row_block r, size_t step, size_t unit) {
    return (row_block){r.at + step * r.stride + unit * ROW_LANES, r.stride};
}
/* Where vector `i` of one unit begins; vectors are counted over the steps. */
CELL_FN float *rows_vector(row_block r, size_t i) { return r.at + i / ROW_VECTORS * r.stride + i % ROW_VECTORS * VF_LANES; }

/* A matrix w: entry (k, o) stands at k * in_stride + o * out_stride. */
typedef struct row_matrix {
    size_t in, out, in_stride, out_stride;
    const float *w;
} row_matrix;
/* Columns [0, out) of a matrix whose rows are `stride` long. */
CELL_FN row_matrix row_weights(size_t in, size_t out, size_t stride, const float *w) { return (row_matrix){in, out, stride, 1, w}; }
CELL_FN row_matrix row_transposed(size_t in, size_t out, size_t stride, const float *w) {
    return (row_matrix){out, in, 1, stride, w};
}

enum { ROW_TILE_MAX = 16 };
/* Outputs at a time and vectors at a time, where there are many steps and where there is one: as many sums as registers hold. */
#if VF_LANES == 16
enum { ROW_OUTS = 4, ROW_WIDE = 4, ROW_OUTS_ALONE = 16, ROW_WIDE_ALONE = 1 };
#elif VF_LANES > 1
enum { ROW_OUTS = 4, ROW_WIDE = 2, ROW_OUTS_ALONE = 4, ROW_WIDE_ALONE = 2 };
#else
enum { ROW_OUTS = 4, ROW_WIDE = 2, ROW_OUTS_ALONE = 1, ROW_WIDE_ALONE = 1 };
#endif

/* What a product starts from. */
typedef enum row_begin { ROW_ADD, ROW_SET } row_begin;

/* z[o] = bias[o] (or what was there) + sum_k w(k, o) a[k], for `outs` x `wide` (constants) neighbours: outputs from `o`, vectors from `i`. */
CELL_FN void row_tile(int outs, int wide, const row_matrix *m, size_t o, size_t i, row_block a, row_begin begin, const float *bias,
                      row_block z) {
    const float *w = m->w + o * m->out_stride;
    vf sum[ROW_TILE_MAX][4];
#pragma GCC unroll 16
    for (int c = 0; c < outs; c++)
#pragma GCC unroll 4
        for (int v = 0; v < wide; v++) {
            const float *was = rows_vector(z, i + (size_t)v) + (o + (size_t)c) * ROW_LANES;
            sum[c][v] = begin == ROW_ADD ? vf_load(was) : vf_set1(bias ? bias[o + (size_t)c] : 0.0f);
        }
    for (size_t k = 0; k < m->in; k++) {
        vf x[4];
#pragma GCC unroll 4
        for (int v = 0; v < wide; v++) x[v] = vf_load(rows_vector(a, i + (size_t)v) + k * ROW_LANES);
#pragma GCC unroll 16
        for (int c = 0; c < outs; c++)
#pragma GCC unroll 4
            for (int v = 0; v < wide; v++) sum[c][v] += w[k * m->in_stride + (size_t)c * m->out_stride] * x[v];
    }
#pragma GCC unroll 16
    for (int c = 0; c < outs; c++)
#pragma GCC unroll 4
        for (int v = 0; v < wide; v++) vf_store(rows_vector(z, i + (size_t)v) + (o + (size_t)c) * ROW_LANES, sum[c][v]);
}
/* The product of all steps. Outputs must be a multiple of 4, of 16 where steps is 1; steps 1 or a multiple of 4. */
ROW_FN void row_product(size_t steps, row_matrix m, row_block a, row_begin begin, const float *bias, row_block z) {
    if (steps == 1) {
        TEAM_FOR(i, ROW_VECTORS / ROW_WIDE_ALONE)
        for (size_t o = 0; o < m.out; o += ROW_OUTS_ALONE)
            row_tile(ROW_OUTS_ALONE, ROW_WIDE_ALONE, &m, o, i * ROW_WIDE_ALONE, a, begin, bias, z);
    } else {
        TEAM_FOR(i, steps * ROW_VECTORS / ROW_WIDE)
        for (size_t o = 0; o < m.out; o += ROW_OUTS) row_tile(ROW_OUTS, ROW_WIDE, &m, o, i * ROW_WIDE, a, begin, bias, z);
    }
    team_sync();
}

/* grad[k][o] += sum over rows of a[k] d[o], 4 x 4 neighbours; grad's rows are `stride` long. */
CELL_FN void row_outer_tile(size_t steps, row_block a, row_block d, size_t stride, float *grad) {
    vf sum[4][4];
    for (int k = 0; k < 4; k++)
        for (int o = 0; o < 4; o++) sum[k][o] = vf_set1(0.0f);
    for (size_t i = 0; i < steps * ROW_VECTORS; i++) {
        const float *x = rows_vector(a, i), *y = rows_vector(d, i);
        for (int k = 0; k < 4; k++)
            for (int o = 0; o < 4; o++) sum[k][o] += vf_load(x + k * ROW_LANES) * vf_load(y + o * ROW_LANES);
    }
    for (int k = 0; k < 4; k++) {
        float total[4];
        vf_sum4(sum[k], total);
        for (int o = 0; o < 4; o++) grad[(size_t)k * stride + (size_t)o] += total[o];
    }
}
/* grad[k][o] += sum over steps and sequences of a[k] d[o], k < in, o < out, both multiples of 4. */
ROW_FN void row_outer(size_t steps, size_t in, size_t out, row_block a, row_block d, size_t stride, float *grad) {
    TEAM_FOR(four, in / 4)
    for (size_t o = 0; o < out; o += 4)
        row_outer_tile(steps, rows_from(a, 0, 4 * four), rows_from(d, 0, o), stride, grad + 4 * four * stride + o);
    team_sync();
}
/* grad[o] += sum over steps and sequences of d[o]. */
ROW_FN void row_sums(size_t steps, size_t out, row_block d, float *grad) {
    TEAM_FOR(o, out) {
        vf sum = vf_set1(0.0f);
        for (size_t i = 0; i < steps * ROW_VECTORS; i++) sum += vf_load(rows_vector(d, i) + o * ROW_LANES);
        grad[o] += vf_sum(sum);
    }
    team_sync();
}

#endif
