/* Dense layers of the tensor and global RNNs, whose vectors are tens of numbers: y[columns] += x[rows] W, forward and adjoint.
 * Columns are padded to `ld` (a multiple of 16, zeros), so that every row is whole vectors on every instruction set. */
#ifndef LOPT_CELL_DENSE_H
#define LOPT_CELL_DENSE_H

#include "kernels/cell/team.h"

typedef struct dense_matrix {
    int rows, columns;
    int ld, ld_transposed;   /* padded columns, padded rows */
    const float *w;          /* [rows][ld] */
    const float *transposed; /* [columns][ld_transposed] */
} dense_matrix;

/* `tile` vectors of the output stay in registers while the inputs stream by. tile is a constant wherever this is called. */
CELL_FN void dense_tile(int tile, int n, int ld, const float *w, const float *in, float *out) {
    vf sum[8];
    for (int t = 0; t < tile; t++) sum[t] = vf_load(out + t * VF_LANES);
    for (int k = 0; k < n; k++)
        for (int t = 0; t < tile; t++) sum[t] += in[k] * vf_load(w + (size_t)k * (size_t)ld + t * VF_LANES);
    for (int t = 0; t < tile; t++) vf_store(out + t * VF_LANES, sum[t]);
}

/* out[0..ld) += in[0..n) w, w [n][ld]. Each worker of a team keeps to its own columns. */
#if CELL_TEAM_IS_BLOCK
/* Rows whose weights are read before any is multiplied: a thread goes on past a load, but not past the first use of what it loads. As many as the
 * tensor level's gates have in two turns. */
enum { DENSE_BATCH = 26 };
CELL_FN void dense_accumulate(int n, int ld, const float *w, const float *in, float *out) {
#if defined(__CUDA_ARCH__)
    __builtin_assume(__isGlobal(w)); /* loads that need not find out which memory it is */
#endif
    TEAM_FOR(j, ld) {
        float sum = out[j];
        for (int first = 0; first < n; first += DENSE_BATCH) {
            float row[DENSE_BATCH];
            CELL_UNROLL
            for (int k = 0; k < DENSE_BATCH; k++) row[k] = first + k < n ? w[(size_t)(first + k) * (size_t)ld + j] : 0.0f;
            CELL_UNROLL
            for (int k = 0; k < DENSE_BATCH; k++)
                if (first + k < n) sum += in[first + k] * row[k];
        }
        out[j] = sum;
    }
}
#else
CELL_FN void dense_accumulate(int n, int ld, const float *w, const float *in, float *out) {
    int j = 0;
    for (; j + 8 * VF_LANES <= ld; j += 8 * VF_LANES) dense_tile(8, n, ld, w + j, in, out + j);
    for (; j + 4 * VF_LANES <= ld; j += 4 * VF_LANES) dense_tile(4, n, ld, w + j, in, out + j);
    for (; j + 2 * VF_LANES <= ld; j += 2 * VF_LANES) dense_tile(2, n, ld, w + j, in, out + j);
    for (; j < ld; j += VF_LANES) dense_tile(1, n, ld, w + j, in, out + j);
}
#endif

CELL_FN void dense_forward(const dense_matrix *m, const float *in, float *out) { dense_accumulate(m->rows, m->ld, m->w, in, out); }

/* Adjoint of dense_forward in its input: in_adj[0..ld_transposed) += W pre. */
CELL_FN void dense_pull(const dense_matrix *m, const float *pre, float *in_adj) {
    dense_accumulate(m->columns, m->ld_transposed, m->transposed, pre, in_adj);
}

/* Adjoint in the weights: grad[k][j] += in[k] pre[j], grad [rows][ld]. */
CELL_FN void dense_outer(const dense_matrix *m, const float *in, const float *pre, float *grad) {
    for (int k = 0; k < m->rows; k++)
        for (int j = 0; j < m->ld; j += VF_LANES) {
            float *g = grad + (size_t)k * (size_t)m->ld + j;
            vf_store(g, vf_load(g) + in[k] * vf_load(pre + j));
        }
}

#endif
