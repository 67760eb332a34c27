/* Gradients of weights: sums over rows of outer products, grad[k][o] = sum_r a[k][r] delta[o][r], where rows are the fast axis of both. */
#ifndef LOPT_TASKS_FAMILIES_NET_OUTER_H
#define LOPT_TASKS_FAMILIES_NET_OUTER_H

#include "tasks/families/net_product.h"

/* n rounded up to whole multiples. */
CELL_FN size_t net_round(size_t n, size_t to) { return (n + to - 1) / to * to; }

/* to[c][r] = from[r][c], in blocks of four: rows and columns are rounded up to four, in both buffers. A cache line of columns at a time. */
enum { TRANSPOSE_LINE = 16 };
#if VF_LANES == 1
CELL_FN void transpose_block(const float *from, size_t from_stride, float *to, size_t to_stride) {
    for (size_t r = 0; r < 4; r++)
        for (size_t c = 0; c < 4; c++) to[c * to_stride + r] = from[r * from_stride + c];
}
#else
CELL_FN void transpose_block(const float *from, size_t from_stride, float *to, size_t to_stride) {
    vf4 in[4], half[4], out[4];
    for (size_t i = 0; i < 4; i++) memcpy(&in[i], from + i * from_stride, sizeof in[i]);
    for (int i = 0; i < 4; i += 2) {
        half[i] = VF4_SHUFFLE(in[i], in[i + 1], 0, 4, 1, 5);
        half[i + 1] = VF4_SHUFFLE(in[i], in[i + 1], 2, 6, 3, 7);
    }
    for (int i = 0; i < 2; i++) {
        out[2 * i] = VF4_SHUFFLE(half[i], half[i + 2], 0, 1, 4, 5);
        out[2 * i + 1] = VF4_SHUFFLE(half[i], half[i + 2], 2, 3, 6, 7);
    }
    for (size_t i = 0; i < 4; i++) memcpy(to + i * to_stride, &out[i], sizeof out[i]);
}
#endif
PRODUCT_FN void net_transpose(const float *from, size_t from_stride, size_t rows, size_t columns, float *to, size_t to_stride) {
    for (size_t line = 0; line < columns; line += TRANSPOSE_LINE) {
        const size_t end = line + TRANSPOSE_LINE < columns ? line + TRANSPOSE_LINE : columns;
        TEAM_FOR(four, (rows + 3) / 4)
        for (size_t c = line; c < end; c += 4)
            transpose_block(from + 4 * four * from_stride + c, from_stride, to + c * to_stride + 4 * four, to_stride);
    }
    team_sync();
}

/* Distance of rows that hold n outputs: an odd number of cache lines, so that rows below each other do not fall on the same ones. */
CELL_FN size_t net_stride(size_t n) { return net_round(n, 16) | 16; }

/* Many outputs: delta is transposed, so that a vector is neighbouring outputs and nothing needs to be added up across lanes. `chunk`
 * rows, a divisor of `rows`, go at a time. scratch [chunk * net_stride(out)] */
CELL_FN void outer_by_outputs(size_t in, size_t out, const float *a, const float *delta, size_t rows, size_t chunk, int add,
                              float *grad, float *scratch) {
    const size_t stride = net_stride(out);
    net_product p = {.ks = chunk,
                     .outs = in,
                     .columns = out,
                     .w = a,
                     .w_k = 1,
                     .w_o = rows,
                     .x = scratch,
                     .x_k = stride,
                     .z = grad,
                     .z_o = out,
                     .add = add};
    for (size_t r = 0; r < rows; r += chunk, p.add = 1) {
        net_transpose(delta + r, rows, out, chunk, scratch, stride);
        p.w = a + r;
        net_multiply(&p);
    }
}

/* Few outputs or many rows: a vector is neighbouring rows. `ks` x `outs` (constants, at most 4) neighbours of the result. */
CELL_FN void outer_tile(int ks, int outs, size_t out, const float *a, const float *delta, size_t rows, int add, float *grad) {
    vf sum[4][4];
    for (int k = 0; k < 4; k++)
        for (int o = 0; o < 4; o++) sum[k][o] = vf_set1(0.0f);
    for (size_t r = 0; r < rows; r += VF_LANES)
        for (int k = 0; k < ks; k++) {
            const vf x = vf_load(a + (size_t)k * rows + r);
            for (int o = 0; o < outs; o++) sum[k][o] += x * vf_load(delta + (size_t)o * rows + r);
        }
    for (int k = 0; k < ks; k++) {
        float total[4];
        vf_sum4(sum[k], total);
        for (int o = 0; o < outs; o++) {
            float *g = grad + (size_t)k * out + o;
            *g = add ? *g + total[o] : total[o];
        }
    }
}
CELL_FN void outer_rows(int ks, size_t out, const float *a, const float *delta, size_t rows, int add, float *grad) {
    size_t o = 0;
    for (; o + 4 <= out; o += 4) outer_tile(ks, 4, out, a, delta + o * rows, rows, add, grad + o);
    for (; o + 2 <= out; o += 2) outer_tile(ks, 2, out, a, delta + o * rows, rows, add, grad + o);
    for (; o < out; o++) outer_tile(ks, 1, out, a, delta + o * rows, rows, add, grad + o);
}
CELL_FN void outer_by_rows(size_t in, size_t out, const float *a, const float *delta, size_t rows, int add, float *grad) {
    TEAM_FOR(four, in / 4) outer_rows(4, out, a + 4 * four * rows, delta, rows, add, grad + 4 * four * out);
    TEAM_FOR(rest, in % 4)
    outer_rows(1, out, a + (in / 4 * 4 + rest) * rows, delta, rows, add, grad + (in / 4 * 4 + rest) * out);
    team_sync();
}

/* Adding up the lanes of a sum takes about as long as this many multiply-adds. */
#define OUTER_SUM_COST 8

/* grad [in, out] of a layer's weights and, unless NULL, grad_b [out] of its biases. a [in][rows], delta [out][rows]; `add`: onto what
 * is there; chunk and scratch as above. */
PRODUCT_FN void net_outer(size_t in, size_t out, const float *a, const float *delta, size_t rows, size_t chunk, int add,
                          float *grad, float *grad_b, float *scratch) {
    const size_t by_rows = out * (rows / VF_LANES + OUTER_SUM_COST), by_outputs = net_round(out, VF_LANES) / VF_LANES * rows;
    if (by_rows < by_outputs) outer_by_rows(in, out, a, delta, rows, add, grad);
    else outer_by_outputs(in, out, a, delta, rows, chunk, add, grad, scratch);
    TEAM_FOR(o, grad_b ? out : 0) {
        vf sum = vf_set1(0.0f);
        for (size_t r = 0; r < rows; r += VF_LANES) sum += vf_load(delta + o * rows + r);
        grad_b[o] = vf_sum(sum) + (add ? grad_b[o] : 0.0f);
    }
    team_sync();
}

#endif
