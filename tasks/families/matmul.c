/* matmul: find an algorithm for products of n x n matrices with k multiplications (Strassen 1969: n = 2, k = 7). Column c of A and B
 * [n^2, k] says which sums of entries of the two factors multiplication c multiplies; C [k, n^2] puts the products together:
 *
 *   f(A, B) = min over C of |P C - D|^2 + 1e-6 |C|^2,   row (i, j) of P [n^4, k] = A_i o B_j,   of D [n^4, n^2] = unit matrix i times j.
 *
 * C solves (P'P + 1e-6) C = P'D, where P'P = (A'A) o (B'B), and column c of (P'D)' is, as an n x n matrix, A_c B_c. By the envelope theorem
 * the gradient is that of a constant C; the Hessian-vector product differentiates the equation for C. All of it in double: P'P is nearly
 * singular where the columns depend on each other. C is kept as C', [n^2][k], like A and B. */
#include <math.h>

#include "kernels/cell/philox.h"
#include "tasks/families/doubles.h"
#include "tasks/family.h"

enum { KEY_N, KEY_K };
#define RIDGE 1e-6

typedef struct matmul {
    size_t n, rows, k, stride; /* rows: n^2 */
    double *a, *b, *c;         /* [rows][stride] */
    double *d_a, *d_b, *d_c;   /* along a direction; d_c is also P'D's transpose while c is found */
    double *out;               /* [rows][stride] */
    double *aa, *bb, *cc;      /* A'A, B'B, CC' [k][stride] */
    double *d_aa, *d_bb, *d_cc;
    double *work;            /* [k][stride] */
    doubles_factors factors; /* of P'P + 1e-6 */
} matmul;

enum { TALL = 7, SQUARE = 9 }; /* how many arrays [rows][stride] and [k][stride] */

static matmul sizes_of(const task_instance *t) {
    matmul m = {0};
    m.n = (size_t)t->values.number[KEY_N];
    m.rows = m.n * m.n;
    m.k = (size_t)t->values.number[KEY_K];
    m.stride = doubles_stride(m.k);
    return m;
}

static matmul place(const task_instance *t, float *workspace) {
    matmul m = sizes_of(t);
    double *at = doubles_begin(workspace);
    double **tall[TALL] = {&m.a, &m.b, &m.c, &m.d_a, &m.d_b, &m.d_c, &m.out};
    double **square[SQUARE] = {&m.aa, &m.bb, &m.cc, &m.d_aa, &m.d_bb, &m.d_cc, &m.work, &m.factors.lower, &m.factors.upper};
    for (int i = 0; i < TALL; i++, at += m.rows * m.stride) *tall[i] = at;
    for (int i = 0; i < SQUARE; i++, at += m.k * m.stride) *square[i] = at;
    m.factors.inverse = at;
    m.factors.n = m.k;
    m.factors.stride = m.stride;
    return m;
}

static void plan(task_instance *t) {
    const matmul m = sizes_of(t);
    t->num_tensors = 2;
    t->counts[0] = t->counts[1] = m.rows * m.k;
    t->total = 2 * m.rows * m.k;
    t->workspace_floats = doubles_floats((TALL * m.rows + SQUARE * m.k + 1) * m.stride);
}

/* Columns of unit norm. */
static void start(const task_instance *t, uint64_t seed, float *params) {
    const matmul m = sizes_of(t);
    for (uint32_t tensor = 0; tensor < 2; tensor++, params += m.rows * m.k) {
        random_normals(seed, RANDOM_TASK_START, tensor, 0, m.rows * m.k, params);
        for (size_t c = 0; c < m.k; c++) {
            double square = 1e-30;
            for (size_t i = 0; i < m.rows; i++) square += (double)params[i * m.k + c] * (double)params[i * m.k + c];
            for (size_t i = 0; i < m.rows; i++) params[i * m.k + c] *= (float)(1.0 / sqrt(square));
        }
    }
}

/* How a column's n x n matrix lies in [rows][stride]: entry (i, j) in row i down + j across. */
typedef struct layout {
    size_t down, across;
} layout;

/* out += factor X Y for each column's matrices X, Y, or their transposes if so laid out. */
static void multiply_columns(const matmul *m, double factor, const double *x, layout in_x, const double *y, layout in_y,
                             double *out) {
    TEAM_FOR(entry, m->rows) {
        const size_t i = entry / m->n, j = entry % m->n;
        DOUBLES_FOR(c, m->stride) {
            vd sum = vd_set1(0.0);
            for (size_t l = 0; l < m->n; l++)
                sum += vd_load(x + (i * in_x.down + l * in_x.across) * m->stride + c) *
                       vd_load(y + (l * in_y.down + j * in_y.across) * m->stride + c);
            vd_store(out + entry * m->stride + c, vd_load(out + entry * m->stride + c) + factor * sum);
        }
    }
    team_sync();
}

/* out = x' x; out = x' y + y' x */
static void gram(const matmul *m, const double *x, double *out) {
    doubles_clear(m->k, m->stride, out);
    doubles_gram(m->rows, m->k, m->stride, x, x, out);
}
static void gram_change(const matmul *m, const double *x, const double *y, double *out) {
    doubles_clear(m->k, m->stride, out);
    doubles_gram(m->rows, m->k, m->stride, x, y, out);
    doubles_gram(m->rows, m->k, m->stride, y, x, out);
}

/* C and all that it stands on; returns f. */
static double solve(const matmul *m, const float *params) {
    const layout plain = {m->n, 1};
    doubles_from_floats(m->rows, m->k, params, m->a);
    doubles_from_floats(m->rows, m->k, params + m->rows * m->k, m->b);
    gram(m, m->a, m->aa);
    gram(m, m->b, m->bb);
    doubles_hadamard(m->k, m->stride, m->aa, m->bb, m->work);
    TEAM_FOR(c, m->k) m->work[c * m->stride + c] += RIDGE;
    team_sync();
    doubles_factor(&m->factors, m->work);
    doubles_clear(m->rows, m->stride, m->c);
    multiply_columns(m, 1.0, m->a, plain, m->b, plain, m->c);
    TEAM_FOR(i, m->rows * m->stride) m->d_c[i] = m->c[i];
    team_sync();
    doubles_solve(&m->factors, m->rows, m->c);
    /* |D|^2 - trace(D'P C); in truth never below the ridge's share, so that rounding cannot make it negative */
    const double f = (double)(m->rows * m->n) - doubles_dot(m->rows, m->stride, m->d_c, m->c);
    const double share = RIDGE * doubles_dot(m->rows, m->stride, m->c, m->c);
    return f > share ? f : share;
}

/* params [rows * k] = 2 out */
static void store_twice(const matmul *m, float *params) {
    TEAM_FOR(r, m->rows) for (size_t c = 0; c < m->k; c++) params[r * m->k + c] = (float)(2.0 * m->out[r * m->stride + c]);
    team_sync();
}

/* With E = P C - D constant in C, d f / d A = 2 (A (CC' o B'B) - columns C_c B_c'), and d f / d B = 2 (B (CC' o A'A) - columns A_c' C_c). */
static double loss_grad(const task_instance *t, const task_draw *draw, const float *params, float *grad, float *workspace) {
    const matmul m = place(t, workspace);
    const layout plain = {m.n, 1}, transposed = {1, m.n};
    const double f = solve(&m, params);
    (void)draw;
    if (grad == NULL) return f;
    gram(&m, m.c, m.cc);
    doubles_hadamard(m.k, m.stride, m.cc, m.bb, m.work);
    doubles_clear(m.rows, m.stride, m.out);
    doubles_times(m.rows, m.k, m.stride, 1.0, m.a, m.work, m.out);
    multiply_columns(&m, -1.0, m.c, plain, m.b, transposed, m.out);
    store_twice(&m, grad);
    doubles_hadamard(m.k, m.stride, m.cc, m.aa, m.work);
    doubles_clear(m.rows, m.stride, m.out);
    doubles_times(m.rows, m.k, m.stride, 1.0, m.b, m.work, m.out);
    multiply_columns(&m, -1.0, m.a, transposed, m.c, plain, m.out);
    store_twice(&m, grad + m.rows * m.k);
    return f;
}

/* How C changes along (d_a, d_b): (P'P + 1e-6) dC = d(P'D) - d(P'P) C. */
static void solve_change(const matmul *m) {
    const layout plain = {m->n, 1};
    gram_change(m, m->a, m->d_a, m->d_aa);
    gram_change(m, m->b, m->d_b, m->d_bb);
    doubles_hadamard(m->k, m->stride, m->d_aa, m->bb, m->work);
    doubles_hadamard_add(m->k, m->stride, m->aa, m->d_bb, m->work);
    doubles_clear(m->rows, m->stride, m->d_c);
    multiply_columns(m, 1.0, m->d_a, plain, m->b, plain, m->d_c);
    multiply_columns(m, 1.0, m->a, plain, m->d_b, plain, m->d_c);
    doubles_times(m->rows, m->k, m->stride, -1.0, m->c, m->work, m->d_c);
    doubles_solve(&m->factors, m->rows, m->d_c);
    gram_change(m, m->c, m->d_c, m->d_cc);
}

/* out = x (cc o other) differentiated: the part of the gradient above that has no column products. */
static void change_of_product(const matmul *m, const double *x, const double *d_x, const double *other, const double *d_other) {
    doubles_clear(m->rows, m->stride, m->out);
    doubles_hadamard(m->k, m->stride, m->cc, other, m->work);
    doubles_times(m->rows, m->k, m->stride, 1.0, d_x, m->work, m->out);
    doubles_hadamard(m->k, m->stride, m->d_cc, other, m->work);
    doubles_hadamard_add(m->k, m->stride, m->cc, d_other, m->work);
    doubles_times(m->rows, m->k, m->stride, 1.0, x, m->work, m->out);
}

/* The gradient's formulas differentiated, C included. */
static void hvp(const task_instance *t, const task_draw *draw, const float *params, const float *v, float *out, float *workspace) {
    const matmul m = place(t, workspace);
    const layout plain = {m.n, 1}, transposed = {1, m.n};
    (void)draw;
    solve(&m, params);
    gram(&m, m.c, m.cc);
    doubles_from_floats(m.rows, m.k, v, m.d_a);
    doubles_from_floats(m.rows, m.k, v + m.rows * m.k, m.d_b);
    solve_change(&m);
    change_of_product(&m, m.a, m.d_a, m.bb, m.d_bb);
    multiply_columns(&m, -1.0, m.d_c, plain, m.b, transposed, m.out);
    multiply_columns(&m, -1.0, m.c, plain, m.d_b, transposed, m.out);
    store_twice(&m, out);
    change_of_product(&m, m.b, m.d_b, m.aa, m.d_aa);
    multiply_columns(&m, -1.0, m.d_a, transposed, m.c, plain, m.out);
    multiply_columns(&m, -1.0, m.a, transposed, m.d_c, plain, m.out);
    store_twice(&m, out + m.rows * m.k);
}

static const lopt_task_key keys[] = {{"n", "side of the matrices", 2, 1, 5, 1, 0, "2"},
                                     {"k", "multiplications that the algorithm may use", 7, 1, 128, 1, 0, "7"},
                                     TASK_TRANSFORM_KEYS};
static const char *const instances[] = {"matmul:n=2,k=5",  "matmul:n=2,k=6",  "matmul:n=2,k=7",  "matmul:n=2,k=8",
                                        "matmul:n=3,k=19", "matmul:n=3,k=20", "matmul:n=3,k=21", "matmul:n=3,k=22",
                                        "matmul:n=3,k=23", "matmul:n=3,k=24"};

const task_family ISA_SYMBOL(matmul_family) = {
    {"matmul", "search for fast algorithms of matrix multiplication",
     "min over C of |P C - D|^2 + 1e-6 |C|^2, row (i, j) of P = A_i o B_j, D the products of unit matrices; A, B [n^2, k]",
     sizeof keys / sizeof keys[0], keys, sizeof instances / sizeof instances[0], instances, 0, 0},
    0,
    plan,
    NULL,
    start,
    loss_grad,
    hvp,
    NULL};
