/* Losses that see their rows through one mean per column alone: outward_snake, sum_of_quadratics, projection_quadratic. With the
 * means over all rows, found once by make, the whole loss costs no more than a row; a minibatch has its own means.
 *
 * A row takes `stride` floats, zeros behind the n-th; so do means, and ROW_PAD zeros follow them. */
#ifndef LOPT_TASKS_FAMILIES_ROW_MEANS_H
#define LOPT_TASKS_FAMILIES_ROW_MEANS_H

#include <string.h>

#include "tasks/families/batch.h"
#include "tasks/families/linear.h"

enum { ROW_PAD = 16, ROW_TILE = 64, ROW_CHAINS = 4 };
enum { ROW_KEY_N, ROW_KEY_ROWS, ROW_KEY_BATCH };
enum { ROW_DATA_NORMAL, ROW_DATA_BINARY };

/* What the mean is taken of, and the second half of the rows: */
typedef enum row_kind {
    ROW_PLAIN,          /* d; all rows are stored */
    ROW_MIRRORED,       /* d; the second half of the rows are the negatives of the first, which alone is stored */
    ROW_MIRRORED_SQUARE /* d^2; likewise */
} row_kind;

typedef struct row_set {
    row_kind kind;
    size_t n, stride;
    uint32_t rows, stored, batch;
    float *means; /* [stride + ROW_PAD], over all rows */
    float *data;  /* [stored][stride] */
} row_set;

CELL_FN row_set row_set_of(const task_instance *t, row_kind kind) {
    row_set s;
    s.kind = kind;
    s.n = (size_t)t->values.number[ROW_KEY_N];
    s.stride = (s.n + ROW_PAD - 1) / ROW_PAD * ROW_PAD;
    s.rows = (uint32_t)t->values.number[ROW_KEY_ROWS];
    s.stored = kind == ROW_PLAIN ? s.rows : s.rows / 2;
    s.batch = (uint32_t)t->values.number[ROW_KEY_BATCH];
    if (s.batch > s.rows) s.batch = s.rows;
    s.means = t->data;
    s.data = t->data + s.stride + ROW_PAD;
    return s;
}

/* `vectors` more of the workspace, [stride + ROW_PAD] each, than the means of a batch. */
CELL_FN void row_plan(const row_set *s, size_t vectors, task_instance *t) {
    t->num_tensors = 1;
    t->counts[0] = t->total = s->n;
    t->data_floats = s->stride + ROW_PAD + s->stored * s->stride;
    t->workspace_floats = (1 + vectors) * (s->stride + ROW_PAD);
}

/* Where row r is stored, and its factor in a mean. Mirrored rows that are odd in number end with one of zeros, its own negative. */
CELL_FN uint32_t row_stored(const row_set *s, uint32_t r, float *factor) {
    const uint32_t mirrored = r - s->stored;
    *factor = r < s->stored ? 1.0f : mirrored >= s->stored ? 0.0f : s->kind == ROW_MIRRORED ? -1.0f : 1.0f;
    return r < s->stored ? r : mirrored >= s->stored ? 0 : mirrored;
}

/* out[j ...] += sum over `count` rows, in ROW_CHAINS sums side by side, as each addition waits for the one before. */
CELL_FN void row_add_block(const row_set *s, size_t j, size_t count, const uint32_t *at, const float *factor, float *out) {
    vf sum[ROW_CHAINS];
    for (int c = 0; c < ROW_CHAINS; c++) sum[c] = vf_set1(0.0f);
    for (size_t i = 0; i < count; i += ROW_CHAINS)
        for (int c = 0; c < ROW_CHAINS; c++) {
            const vf d = vf_load(s->data + at[i + (size_t)c] * s->stride + j);
            sum[c] += (s->kind == ROW_MIRRORED_SQUARE ? d * d : d) * factor[i + (size_t)c];
        }
    vf_store(out + j, vf_load(out + j) + ((sum[0] + sum[2]) + (sum[1] + sum[3])));
}

/* The means to use: those of all rows, or those of the batch, found in out [stride + ROW_PAD]. */
CELL_FN const float *row_means(const row_set *s, const task_draw *draw, float *out) {
    if (draw == NULL) return s->means;
    const batch_order order = batch_begin(draw, s->rows, s->batch);
    const float share = 1.0f / (float)s->batch;
    TEAM_FOR_BLOCKS(j, s->stride + ROW_PAD) vf_store(out + j, vf_set1(0.0f));
    for (uint32_t first = 0; first < s->batch; first += ROW_TILE) {
        const uint32_t left = s->batch - first, count = left < ROW_TILE ? left : ROW_TILE;
        uint32_t at[ROW_TILE] = {0};
        float factor[ROW_TILE] = {0}; /* whole chains: what is beyond the batch counts nothing */
        batch_rows(&order, first, count, at);
        for (uint32_t i = 0; i < count; i++) {
            at[i] = row_stored(s, at[i], &factor[i]);
            factor[i] *= share;
        }
        TEAM_FOR_BLOCKS(j, s->stride) row_add_block(s, j, count, at, factor, out);
    }
    team_sync();
    return out;
}

static inline void row_draw_binary(const row_set *s, uint64_t seed, uint32_t r, float *row) {
    for (size_t j = 0; j < s->n; j += 128) {
        const random4 bits = random_bits(seed, RANDOM_TASK_DATA, ROW_DATA_BINARY, j / 128, r);
        for (size_t k = 0; k < 128 && j + k < s->n; k++) row[j + k] = (float)(bits.u[k / 32] >> (k % 32) & 1);
    }
}

/* Means over all rows, summed in double. */
static inline void row_find_means(const row_set *s) {
    for (size_t j = 0; j < s->stride; j += ROW_PAD) {
        double sum[ROW_PAD] = {0};
        for (uint32_t r = 0; s->kind != ROW_MIRRORED && r < s->stored; r++) /* d and -d leave nothing */
            for (size_t k = 0; k < ROW_PAD; k++) {
                const double d = (double)s->data[r * s->stride + j + k];
                sum[k] += s->kind == ROW_PLAIN ? d : 2.0 * d * d;
            }
        for (size_t k = 0; k < ROW_PAD; k++) s->means[j + k] = (float)(sum[k] / (double)s->rows);
    }
}

/* The data: binary, 0 and 1 evenly, where all rows are stored; N(0, 1) where they are mirrored. */
static inline void row_make(task_instance *t, row_kind kind) {
    const row_set s = row_set_of(t, kind);
    memset(t->data, 0, t->data_floats * sizeof(float));
    for (uint32_t r = 0; r < s.stored; r++) {
        if (kind == ROW_PLAIN) row_draw_binary(&s, t->seed, r, s.data + r * s.stride);
        else random_normals(t->seed, RANDOM_TASK_DATA, ROW_DATA_NORMAL, r, s.n, s.data + r * s.stride);
    }
    row_find_means(&s);
}

static inline void row_start(const task_instance *t, uint64_t seed, float *params) {
    random_normals(seed, RANDOM_TASK_START, 0, 0, t->total, params);
}

static const lopt_task_key row_keys[] = {
    {"n", "number of parameters", 20, 2, 1024, 1, 0, "20"},
    {"rows", "rows of data", 1000, 2, 65536, 1, 0, "1000"},
    {"batch", "rows in a minibatch (all of them where there are no more)", 100, 1, 65536, 1, 0, "100"},
    TASK_TRANSFORM_KEYS};

/* The default instances of the three families. */
#define ROW_INSTANCES(name)                                                                                 \
    {                                                                                                       \
        name ":n=20,rows=1000,batch=100", name ":n=12,rows=200,batch=10", name ":n=56,rows=5000,batch=100", \
            name ":n=64,rows=1000,batch=50", name ":n=13,rows=10000,batch=50"                               \
    }

#endif
