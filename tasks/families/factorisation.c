/* factorisation: U [60, 5] and V [40, 5] such that U V' is a matrix M of rank 5, of which 40 % of the entries are known: f = mean
 * over these 960 of (U V' - M)^2. M = A B' / sqrt 5 with A, B ~ N(0, 1), so that its entries have variance 1; start 0.1 N(0, 1), near
 * the saddle at 0. Held out: never meta-trained on.
 *
 * Everything is done for the whole matrix with a weight for each entry, 1 / 960 or 1 / batch where it counts and 0 elsewhere: whole
 * vectors over 2,400 entries are several times as fast as a list of 960. */
#include <string.h>

#include "tasks/families/batch.h"
#include "tasks/families/linear.h"

enum { KEY_BATCH };
enum { M_ROWS = 60, M_COLUMNS = 40, RANK = 5, OBSERVED = M_ROWS * M_COLUMNS * 2 / 5 };
enum {
    STRIDE = 48,
    CELLS = M_ROWS * STRIDE,
    TOTAL = (M_ROWS + M_COLUMNS) * RANK
}; /* STRIDE: columns, in whole vectors; weight 0 beyond */
enum { DATA_A, DATA_B, DATA_OBSERVED };

/* Where everything stands in data and workspace. */
typedef struct cells {
    const float *target, *weight; /* [M_ROWS][STRIDE] */
    float *error;                 /* U V' - M; likewise */
    float *vt, *wt;               /* [RANK][STRIDE]: V', and the direction's, transposed */
} cells;

static void plan(task_instance *t) {
    t->num_tensors = 2;
    t->counts[0] = M_ROWS * RANK;
    t->counts[1] = M_COLUMNS * RANK;
    t->total = TOTAL;
    t->data_floats = 2 * CELLS + OBSERVED;
    t->workspace_floats = 3 * CELLS + 2 * RANK * STRIDE; /* weights of a batch, errors, their change along v; V' twice */
}

/* Chooses OBSERVED of all entries, each set as likely (Knuth, TAOCP 3.4.2, algorithm S); lists where they stand. */
static void choose(uint64_t seed, float *weight, float *list) {
    size_t left = M_ROWS * M_COLUMNS, wanted = OBSERVED;
    for (size_t e = 0; e < M_ROWS * M_COLUMNS; e++, left--) {
        const uint32_t u = random_bits(seed, RANDOM_TASK_DATA, DATA_OBSERVED, e, 0).u[0];
        if (random_to_below(u, (uint32_t)left) >= wanted) continue;
        const size_t cell = e / M_COLUMNS * STRIDE + e % M_COLUMNS;
        weight[cell] = 1.0f / (float)OBSERVED;
        list[OBSERVED - wanted--] = (float)cell;
    }
}

static void make(task_instance *t) {
    float a[M_ROWS * RANK], b[M_COLUMNS * RANK];
    random_normals(t->seed, RANDOM_TASK_DATA, DATA_A, 0, M_ROWS * RANK, a);
    random_normals(t->seed, RANDOM_TASK_DATA, DATA_B, 0, M_COLUMNS * RANK, b);
    memset(t->data, 0, t->data_floats * sizeof(float));
    for (size_t i = 0; i < M_ROWS; i++)
        for (size_t j = 0; j < M_COLUMNS; j++) {
            double sum = 0.0;
            for (size_t k = 0; k < RANK; k++) sum += (double)a[i * RANK + k] * (double)b[j * RANK + k];
            t->data[i * STRIDE + j] = (float)(sum / sqrt((double)RANK));
        }
    choose(t->seed, t->data + CELLS, t->data + 2 * CELLS);
}

static void start(const task_instance *t, uint64_t seed, float *params) {
    for (uint32_t i = 0; i < t->num_tensors; params += t->counts[i++]) {
        random_normals(seed, RANDOM_TASK_START, i, 0, t->counts[i], params);
        for (size_t j = 0; j < t->counts[i]; j++) params[j] *= 0.1f;
    }
}

CELL_FN void transpose(const float *v, float *vt) {
    TEAM_FOR(j, STRIDE)
    for (size_t k = 0; k < RANK; k++) vt[k * STRIDE + j] = j < M_COLUMNS ? v[j * RANK + k] : 0.0f;
}

/* Weights of this call, V' and the errors. */
CELL_FN cells prepare(const task_instance *t, const task_draw *draw, const float *params, float *workspace) {
    float *weight = workspace;
    cells c = {t->data, draw ? weight : t->data + CELLS, workspace + CELLS, workspace + 3 * CELLS,
               workspace + 3 * CELLS + RANK * STRIDE};
    if (draw) {
        const uint32_t batch = (uint32_t)t->values.number[KEY_BATCH];
        const batch_order order = batch_begin(draw, OBSERVED, batch);
        uint32_t known[OBSERVED];
        batch_rows(&order, 0, batch, known);
        TEAM_FOR_BLOCKS(i, CELLS) vf_store(weight + i, vf_set1(0.0f));
        team_sync();
        TEAM_FOR(i, batch) weight[(size_t)t->data[2 * CELLS + known[i]]] = 1.0f / (float)batch;
    }
    transpose(params + M_ROWS * RANK, c.vt);
    team_sync();
    TEAM_FOR(i, M_ROWS)
    for (size_t j = 0; j < STRIDE; j += VF_LANES) {
        vf sum = -vf_load(c.target + i * STRIDE + j);
        for (size_t k = 0; k < RANK; k++) sum += params[i * RANK + k] * vf_load(c.vt + k * STRIDE + j);
        vf_store(c.error + i * STRIDE + j, sum);
    }
    team_sync();
    return c;
}

/* out_u [M_ROWS, RANK] += 2 (weight o error) V, with V given as vt. */
CELL_FN void pull_rows(const float *weight, const float *error, const float *vt, float *out_u) {
    TEAM_FOR(i, M_ROWS) {
        vf sum[RANK + 3];
        for (int k = 0; k < RANK + 3; k++) sum[k] = vf_set1(0.0f);
        for (size_t j = 0; j < STRIDE; j += VF_LANES) {
            const vf pull = 2.0f * vf_load(weight + i * STRIDE + j) * vf_load(error + i * STRIDE + j);
            for (size_t k = 0; k < RANK; k++) sum[k] += pull * vf_load(vt + k * STRIDE + j);
        }
        float total[RANK + 3];
        for (int k = 0; k < RANK; k += 4) vf_sum4(sum + k, total + k);
        for (size_t k = 0; k < RANK; k++) out_u[i * RANK + k] += total[k];
    }
}
/* out_v [M_COLUMNS, RANK] += 2 (weight o error)' U. */
CELL_FN void pull_columns(const float *weight, const float *error, const float *u, float *out_v) {
    TEAM_FOR_BLOCKS(j, STRIDE) {
        vf sum[RANK];
        for (int k = 0; k < RANK; k++) sum[k] = vf_set1(0.0f);
        for (size_t i = 0; i < M_ROWS; i++) {
            const vf pull = 2.0f * vf_load(weight + i * STRIDE + j) * vf_load(error + i * STRIDE + j);
            for (size_t k = 0; k < RANK; k++) sum[k] += u[i * RANK + k] * pull;
        }
        for (size_t k = 0; k < RANK; k++) {
            float lane[VF_LANES];
            vf_store(lane, sum[k]);
            for (size_t l = 0; l < VF_LANES && j + l < M_COLUMNS; l++) out_v[(j + l) * RANK + k] += lane[l];
        }
    }
}

static double loss_grad(const task_instance *t, const task_draw *draw, const float *params, float *grad, float *workspace) {
    const cells c = prepare(t, draw, params, workspace);
    vf loss = vf_set1(0.0f);
    for (size_t i = 0; i < CELLS; i += VF_LANES) loss += vf_load(c.weight + i) * vf_load(c.error + i) * vf_load(c.error + i);
    if (grad) {
        TEAM_FOR(i, TOTAL) grad[i] = 0.0f;
        team_sync();
        pull_rows(c.weight, c.error, c.vt, grad);
        pull_columns(c.weight, c.error, params, grad + M_ROWS * RANK);
        team_sync();
    }
    return (double)vf_sum(loss);
}

/* The gradient's change along v: by the errors at hand, and by the errors' own change dU V' + U dV'. */
static void hvp(const task_instance *t, const task_draw *draw, const float *params, const float *v, float *out, float *workspace) {
    const cells c = prepare(t, draw, params, workspace);
    float *change = workspace + 2 * CELLS;
    transpose(v + M_ROWS * RANK, c.wt);
    TEAM_FOR(i, TOTAL) out[i] = 0.0f;
    team_sync();
    TEAM_FOR(i, M_ROWS)
    for (size_t j = 0; j < STRIDE; j += VF_LANES) {
        vf sum = vf_set1(0.0f);
        for (size_t k = 0; k < RANK; k++)
            sum += v[i * RANK + k] * vf_load(c.vt + k * STRIDE + j) + params[i * RANK + k] * vf_load(c.wt + k * STRIDE + j);
        vf_store(change + i * STRIDE + j, sum);
    }
    team_sync();
    pull_rows(c.weight, c.error, c.wt, out);
    pull_rows(c.weight, change, c.vt, out);
    pull_columns(c.weight, c.error, v, out + M_ROWS * RANK);
    pull_columns(c.weight, change, params, out + M_ROWS * RANK);
    team_sync();
}

static const lopt_task_key keys[] = {{"batch", "entries in a minibatch", 64, 1, OBSERVED, 1, 0, "64"}, TASK_TRANSFORM_KEYS};
static const char *const instances[] = {"factorisation"};

const task_family ISA_SYMBOL(factorisation_family) = {{"factorisation", "a 60 x 40 matrix of rank 5 from 40 % of its entries",
                                                       "mean over 960 known entries of (U V' - M)^2", sizeof keys / sizeof keys[0],
                                                       keys, 1, instances, 1, 0},
                                                      1,
                                                      plan,
                                                      make,
                                                      start,
                                                      loss_grad,
                                                      hvp,
                                                      NULL};
