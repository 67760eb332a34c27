/* Matrix products of the networks: one kernel, blocked in registers so that each weight that is broadcast serves several vectors, and
 * each vector several weights. */
#ifndef LOPT_TASKS_FAMILIES_NET_PRODUCT_H
#define LOPT_TASKS_FAMILIES_NET_PRODUCT_H

#include "kernels/cell/team.h"

/* A block of the result fills the registers: 24 sums of 32 with AVX-512, 12 of 16 elsewhere. */
enum { PRODUCT_OUTS = 6, PRODUCT_VECTORS = VF_LANES == 16 ? 4 : 2 };

/* One copy, not one for each call: 18 loops. */
#if defined(__CUDACC__)
#define PRODUCT_FN static __host__ __device__ __noinline__
#else
#define PRODUCT_FN static __attribute__((noinline, unused))
#endif

/* z[o][j] = sum_k w(k, o) x[k][j] + bias[o] (+ z[o][j] where add); w(k, o) stands at k * w_k + o * w_o. x is readable, not
 * necessarily filled, up to whole vectors of columns. */
typedef struct net_product {
    size_t ks, outs, columns;
    const float *w, *x;
    size_t w_k, w_o, x_k;
    float *z;
    size_t z_o;
    const float *bias; /* NULL: none */
    int add;
} net_product;

/* `outs` x `vectors` (constants) of the result, from (o, j) on. */
CELL_FN void product_block(int outs, int vectors, const net_product *p, size_t first, size_t j) {
    const size_t w_k = p->w_k, w_o = p->w_o, x_k = p->x_k;
    const float *w = p->w + first * w_o, *x = p->x + j;
    vf sum[PRODUCT_OUTS][PRODUCT_VECTORS];
#pragma GCC unroll 8
    for (int o = 0; o < outs; o++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) sum[o][v] = vf_set1(p->bias ? p->bias[first + (size_t)o] : 0.0f);
    for (size_t k = p->ks; k > 0; k--, w += w_k, x += x_k) {
        vf row[PRODUCT_VECTORS];
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) row[v] = vf_load(x + v * VF_LANES);
#pragma GCC unroll 8
        for (int o = 0; o < outs; o++)
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++) sum[o][v] += w[(size_t)o * w_o] * row[v];
    }
#pragma GCC unroll 8
    for (int o = 0; o < outs; o++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) {
            float *z = p->z + (first + (size_t)o) * p->z_o;
            const size_t at = j + (size_t)v * VF_LANES;
            block_store(z, at, p->columns, p->add ? sum[o][v] + block_load(z, at, p->columns) : sum[o][v]);
        }
}
CELL_FN void product_columns(int vectors, const net_product *p, size_t j) {
    size_t o = 0;
    for (; o + PRODUCT_OUTS <= p->outs; o += PRODUCT_OUTS) product_block(PRODUCT_OUTS, vectors, p, o, j);
    switch (p->outs - o) {
    case 5: product_block(5, vectors, p, o, j); break;
    case 4: product_block(4, vectors, p, o, j); break;
    case 3: product_block(3, vectors, p, o, j); break;
    case 2: product_block(2, vectors, p, o, j); break;
    case 1: product_block(1, vectors, p, o, j); break;
    default: break;
    }
}
PRODUCT_FN void net_multiply(const net_product *p) {
    const size_t vectors = (p->columns + VF_LANES - 1) / VF_LANES, blocks = vectors / PRODUCT_VECTORS;
    TEAM_FOR(b, blocks) product_columns(PRODUCT_VECTORS, p, b * PRODUCT_VECTORS * VF_LANES);
    size_t at = blocks * PRODUCT_VECTORS;
    if (PRODUCT_VECTORS > 2 && at + 2 <= vectors) {
        TEAM_FOR(b, 1) product_columns(2, p, at * VF_LANES);
        at += 2;
    }
    TEAM_FOR(b, vectors - at) product_columns(1, p, (at + b) * VF_LANES);
    team_sync();
}

#endif
