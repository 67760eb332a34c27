/* Small linear algebra for a team: W row-major, loops over whole vectors, sums in a fixed order. */
#ifndef LOPT_TASKS_FAMILIES_LINEAR_H
#define LOPT_TASKS_FAMILIES_LINEAR_H

#include "kernels/cell/philox.h"
#include "kernels/cell/team.h"

/* out[i] = sum_j w[i][j] x[j], w [rows][columns]. */
CELL_FN void linear_forward(size_t rows, size_t columns, const float *w, const float *x, float *out) {
    TEAM_FOR(i, rows) {
        const float *row = w + i * columns;
        vf sum[2] = {vf_set1(0.0f), vf_set1(0.0f)};
        size_t j = 0;
        for (; j + 2 * VF_LANES <= columns; j += 2 * VF_LANES) {
            sum[0] += vf_load(row + j) * vf_load(x + j);
            sum[1] += vf_load(row + j + VF_LANES) * vf_load(x + j + VF_LANES);
        }
        for (; j < columns; j += VF_LANES) sum[0] += block_load(row, j, columns) * block_load(x, j, columns);
        out[i] = vf_sum(sum[0] + sum[1]);
    }
    team_sync();
}

/* out[j] = sum_i w[i][j] r[i] (+ out[j] where add). */
CELL_FN void linear_transposed(size_t rows, size_t columns, const float *w, const float *r, int add, float *out) {
    TEAM_FOR_BLOCKS(j, columns) {
        vf sum = add ? block_load(out, j, columns) : vf_set1(0.0f);
        for (size_t i = 0; i < rows; i++) sum += r[i] * block_load(w + i * columns, j, columns);
        block_store(out, j, columns, sum);
    }
    team_sync();
}

/* r = W x - y; y NULL: W x. */
CELL_FN void linear_residual(size_t rows, size_t columns, const float *w, const float *x, const float *y, float *r) {
    linear_forward(rows, columns, w, x, r);
    TEAM_FOR(i, y ? rows : 0) r[i] -= y[i];
    team_sync();
}

enum { LINEAR_NEAR = 8192 }; /* floats of W that the nearest cache holds */

/* That and out = W' r: a few rows of W after the other, so that it comes from memory once. */
CELL_FN void linear_normal(size_t rows, size_t columns, const float *w, const float *x, const float *y, float *r, float *out) {
    const size_t group = LINEAR_NEAR / columns > 0 ? LINEAR_NEAR / columns : 1;
    for (size_t first = 0; first < rows; first += group) {
        const size_t count = rows - first < group ? rows - first : group;
        linear_residual(count, columns, w + first * columns, x, y ? y + first : NULL, r + first);
        linear_transposed(count, columns, w + first * columns, r + first, first > 0, out);
    }
}

/* In double, as sixteen sums that do not wait for each other. */
CELL_FN double linear_square_norm(size_t n, const float *x) {
    double part[16] = {0}, sum = 0.0;
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (size_t j = 0; j < 16; j++) part[j] += (double)x[i + j] * (double)x[i + j];
    for (; i < n; i++) part[i % 16] += (double)x[i] * (double)x[i];
    for (size_t j = 0; j < 16; j++) sum += part[j];
    return sum;
}

#endif
