/* Small linear algebra in double for a team, for losses that cancel too much for float. A row is padded with zeros to whole vectors of
 * the widest instruction set, so that no loop has a remainder; sums go in a fixed order.
 *
 * Letters: x, y, out [rows][stride]; w [columns][stride]; stride = doubles_stride(columns). */
#ifndef LOPT_TASKS_FAMILIES_DOUBLES_H
#define LOPT_TASKS_FAMILIES_DOUBLES_H

#include "kernels/cell/team.h"

enum { DOUBLES_ALIGNMENT = 64, DOUBLES_PAD = DOUBLES_ALIGNMENT / sizeof(double) };

#if VF_LANES == 1
enum { VD_LANES = 1 };
typedef double vd;
CELL_FN vd vd_set1(double a) { return a; }
CELL_FN vd vd_load(const double *p) { return *p; }
CELL_FN void vd_store(double *p, vd a) { *p = a; }
CELL_FN vd vd_load_floats(const float *p) { return (double)*p; }
CELL_FN double vd_sum(vd a) { return a; }
#else
enum { VD_LANES = VF_LANES / 2 };
typedef double vd __attribute__((vector_size(VF_LANES * 4)));
typedef float vd_floats __attribute__((vector_size(VF_LANES * 2)));
CELL_FN vd vd_set1(double a) { return a - (vd){0}; }
CELL_FN vd vd_load(const double *p) {
    vd r;
    memcpy(&r, p, sizeof r);
    return r;
}
CELL_FN void vd_store(double *p, vd a) { memcpy(p, &a, sizeof a); }
CELL_FN vd vd_load_floats(const float *p) {
    vd_floats r;
    memcpy(&r, p, sizeof r);
    return __builtin_convertvector(r, vd);
}
CELL_FN double vd_sum(vd a) {
    double sum = a[0];
    for (int i = 1; i < VD_LANES; i++) sum += a[i];
    return sum;
}
#endif

CELL_FN size_t doubles_stride(size_t columns) { return (columns + DOUBLES_PAD - 1) / DOUBLES_PAD * DOUBLES_PAD; }
/* Floats of workspace that hold `count` doubles wherever the workspace begins, and where the doubles then begin. */
CELL_FN size_t doubles_floats(size_t count) { return 2 * count + DOUBLES_ALIGNMENT / sizeof(float); }
CELL_FN double *doubles_begin(float *workspace) {
    return (double *)(((uintptr_t)workspace + DOUBLES_ALIGNMENT - 1) / DOUBLES_ALIGNMENT * DOUBLES_ALIGNMENT);
}

/* for each first index j of a whole vector of a row */
#define DOUBLES_FOR(j, stride) for (size_t j = 0; j < (stride); j += VD_LANES)

CELL_FN void doubles_from_floats(size_t rows, size_t columns, const float *from, double *to) {
    const size_t stride = doubles_stride(columns);
    TEAM_FOR(r, rows) {
        for (size_t j = 0; j < columns; j++) to[r * stride + j] = (double)from[r * columns + j];
        for (size_t j = columns; j < stride; j++) to[r * stride + j] = 0.0;
    }
    team_sync();
}

CELL_FN void doubles_clear(size_t rows, size_t stride, double *out) {
    TEAM_FOR(r, rows) DOUBLES_FOR(j, stride) vd_store(out + r * stride + j, vd_set1(0.0));
    team_sync();
}

/* Sum over all entries of x y; every worker gets it. */
CELL_FN double doubles_dot(size_t rows, size_t stride, const double *x, const double *y) {
    vd sum[2] = {vd_set1(0.0), vd_set1(0.0)};
    size_t j = 0;
    for (; j + 2 * VD_LANES <= rows * stride; j += 2 * VD_LANES)
        for (int i = 0; i < 2; i++) sum[i] += vd_load(x + j + i * VD_LANES) * vd_load(y + j + i * VD_LANES);
    for (; j < rows * stride; j += VD_LANES) sum[0] += vd_load(x + j) * vd_load(y + j);
    return vd_sum(sum[0] + sum[1]);
}

/* out [columns][stride] += x' y */
CELL_FN void doubles_gram(size_t rows, size_t columns, size_t stride, const double *x, const double *y, double *out) {
    TEAM_FOR(c, columns) DOUBLES_FOR(j, stride) {
        vd sum = vd_load(out + c * stride + j);
        for (size_t r = 0; r < rows; r++) sum += x[r * stride + c] * vd_load(y + r * stride + j);
        vd_store(out + c * stride + j, sum);
    }
    team_sync();
}

/* out += factor x w */
CELL_FN void doubles_times(size_t rows, size_t columns, size_t stride, double factor, const double *x, const double *w,
                           double *out) {
    TEAM_FOR(r, rows) DOUBLES_FOR(j, stride) {
        vd sum = vd_set1(0.0);
        for (size_t c = 0; c < columns; c++) sum += x[r * stride + c] * vd_load(w + c * stride + j);
        vd_store(out + r * stride + j, vd_load(out + r * stride + j) + factor * sum);
    }
    team_sync();
}

/* out = x y, entry by entry; with doubles_hadamard_add out += x y */
CELL_FN void doubles_hadamard(size_t rows, size_t stride, const double *x, const double *y, double *out) {
    TEAM_FOR(r, rows)
    DOUBLES_FOR(j, stride) vd_store(out + r * stride + j, vd_load(x + r * stride + j) * vd_load(y + r * stride + j));
    team_sync();
}
CELL_FN void doubles_hadamard_add(size_t rows, size_t stride, const double *x, const double *y, double *out) {
    TEAM_FOR(r, rows) DOUBLES_FOR(j, stride) {
        const size_t at = r * stride + j;
        vd_store(out + at, vd_load(out + at) + vd_load(x + at) * vd_load(y + at));
    }
    team_sync();
}

/* A symmetric positive definite matrix [n][stride] as L D L' (Cholesky without square roots; Golub and Van Loan, section 4.1.2). L has a
 * unit diagonal, which is not stored, and stands twice, so that both substitutions run along rows. */
typedef struct doubles_factors {
    size_t n, stride;
    double *lower, *upper; /* L and L', [n][stride] */
    double *inverse;       /* 1 / D [n] */
} doubles_factors;

/* Factors `matrix`, which is overwritten. A pivot below the rounding of its own diagonal entry cannot be told from 0, and is raised to that:
 * a matrix that is singular to rounding gives a solution that is finite. */
CELL_FN void doubles_factor(const doubles_factors *f, double *matrix) {
    const double rounding = 1e-14;
    const size_t stride = f->stride;
    doubles_clear(f->n, stride, f->lower);
    doubles_clear(f->n, stride, f->upper);
    TEAM_FOR(c, f->n) f->inverse[c] = rounding * matrix[c * stride + c];
    team_sync();
    for (size_t c = 0; c < f->n; c++) {
        const double *row = matrix + c * stride;
        double pivot = row[c];
        if (!(pivot > f->inverse[c])) pivot = f->inverse[c];
        const double inverse = 1.0 / pivot;
        TEAM_FOR(later, f->n - c - 1) {
            const size_t r = c + 1 + later;
            const double l = row[r] * inverse;
            f->lower[r * stride + c] = f->upper[c * stride + r] = l;
            for (size_t j = r / VD_LANES * VD_LANES; j < stride; j += VD_LANES)
                vd_store(matrix + r * stride + j, vd_load(matrix + r * stride + j) - l * vd_load(row + j));
        }
        team_sync();
        if (TEAM_RANK == 0) f->inverse[c] = inverse;
    }
    team_sync();
}

/* Solves for each row of x [rows][stride], in place. Rows are the inner loop: their substitutions are independent. */
CELL_FN void doubles_solve(const doubles_factors *f, size_t rows, double *x) {
    const size_t stride = f->stride;
    for (size_t c = 0; c < f->n; c++) TEAM_FOR(r, rows) {
            double *row = x + r * stride;
            const double known = row[c];
            for (size_t j = c / VD_LANES * VD_LANES; j < stride; j += VD_LANES)
                vd_store(row + j, vd_load(row + j) - known * vd_load(f->upper + c * stride + j));
        }
    TEAM_FOR(r, rows) for (size_t c = 0; c < f->n; c++) x[r * stride + c] *= f->inverse[c];
    for (size_t c = f->n; c-- > 0;) TEAM_FOR(r, rows) {
            double *row = x + r * stride;
            const double known = row[c];
            for (size_t j = 0; j <= c; j += VD_LANES)
                vd_store(row + j, vd_load(row + j) - known * vd_load(f->lower + c * stride + j));
        }
    team_sync();
}

#endif
