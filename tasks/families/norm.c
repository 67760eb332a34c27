/* norm: f(x) = (sum_i a_i^p)^(1/p), a = |W x - y| + 1e-6, W [n, n] and y [n] drawn N(0, 1), start N(0, 1).
 *
 * With the largest a taken out, t_i = a_i / max a is in (0, 1] and S = sum t_i^p in [1, n], so that nothing overflows at any p:
 * f = max a S^(1/p), z_i = a_i / f = t_i S^(-1/p), and d f / d a_i = z_i^(p-1) = t_i^(p-1) S^(1/p) / S. Residuals are formed in double,
 * because a power of 1,000 makes an error of 1e-7 in a_i one of 1e-4 in the gradient. The powers themselves go in whole vectors of floats;
 * for the same reason t_i is then the sum of two. */
#include <math.h>

#include "tasks/families/doubles.h"
#include "tasks/families/linear.h"
#include "tasks/family.h"

enum { KEY_N, KEY_P };
enum { DATA_W, DATA_Y };
#define OFFSET 1e-6
#define RATIO_MIN 1e-30 /* t_i below are taken as this: they do not count, and floats hold it */

typedef struct norm {
    size_t n, stride;                 /* rows of W, padded with zeros */
    double p, f, root, sum;           /* root: S^(1/p), sum: S */
    double *x, *residual, *ratio;     /* x, W x - y, t [stride] */
    double *change;                   /* of the residual along a direction [stride] */
    float *high, *low, *power, *pull; /* t in two parts, t^(p-1), and what goes through W' [stride] */
    float *out;                       /* [stride] */
} norm;

static size_t size_of(const task_instance *t) { return (size_t)t->values.number[KEY_N]; }
static size_t stride_of(const task_instance *t) { return (size_of(t) + 15) / 16 * 16; }

static norm place(const task_instance *t, float *workspace) {
    norm m = {0};
    float *floats;
    m.n = size_of(t);
    m.stride = stride_of(t);
    m.p = t->values.number[KEY_P];
    m.x = doubles_begin(workspace);
    m.residual = m.x + m.stride;
    m.ratio = m.residual + m.stride;
    m.change = m.ratio + m.stride;
    floats = (float *)(m.change + m.stride);
    m.high = floats;
    m.low = m.high + m.stride;
    m.power = m.low + m.stride;
    m.pull = m.power + m.stride;
    m.out = m.pull + m.stride;
    return m;
}

static void plan(task_instance *t) {
    t->num_tensors = 1;
    t->counts[0] = t->total = size_of(t);
    t->data_floats = size_of(t) * stride_of(t) + size_of(t);
    t->workspace_floats = doubles_floats(4 * stride_of(t)) + 5 * stride_of(t);
}

static void make(task_instance *t) {
    const size_t n = size_of(t), stride = stride_of(t);
    random_normals(t->seed, RANDOM_TASK_DATA, DATA_Y, 0, n, t->data + n * stride);
    for (size_t i = 0; i < n; i++) {
        float *row = t->data + i * stride;
        random_normals(t->seed, RANDOM_TASK_DATA, DATA_W, (uint32_t)i, n, row);
        for (size_t j = n; j < stride; j++) row[j] = 0.0f;
    }
}

static void start(const task_instance *t, uint64_t seed, float *params) {
    random_normals(seed, RANDOM_TASK_START, 0, 0, t->total, params);
}

/* out [n] = W x, x [n] floats, in double. */
static void forward(const norm *m, const float *w, const float *x, double *out) {
    for (size_t j = m->n + TEAM_RANK; j < m->stride; j += TEAM_SIZE) m->x[j] = 0.0;
    TEAM_FOR(j, m->n) m->x[j] = (double)x[j];
    team_sync();
    TEAM_FOR(i, m->n) {
        vd sum = vd_set1(0.0);
        DOUBLES_FOR(j, m->stride) sum += vd_load_floats(w + i * m->stride + j) * vd_load(m->x + j);
        out[i] = vd_sum(sum);
    }
    team_sync();
}

/* power = t^(p-1), from log2 t = log2 high + low / high log2 e */
static void take_powers(const norm *m) {
    const float exponent = (float)(m->p - 1.0);
    TEAM_FOR_BLOCKS(i, m->stride) {
        const vf high = vf_load(m->high + i);
        const vf log2_t = vf_log2(high) + vf_load(m->low + i) * vf_rcp(high) * VF_LOG2_E;
        vf_store(m->power + i, vf_exp2(log2_t * exponent));
    }
    team_sync();
}

/* Everything up to f at params. */
static norm solve(const task_instance *t, const float *params, float *workspace) {
    norm m = place(t, workspace);
    const float *y = t->data + m.n * m.stride;
    double largest = 0.0;
    forward(&m, t->data, params, m.residual);
    TEAM_FOR(i, m.n) m.residual[i] -= (double)y[i];
    team_sync();
    for (size_t i = 0; i < m.n; i++) {
        const double size = fabs(m.residual[i]);
        largest = size > largest ? size : largest;
    }
    largest += OFFSET;
    TEAM_FOR(i, m.stride) {
        double ratio = i < m.n ? (fabs(m.residual[i]) + OFFSET) / largest : 1.0;
        if (ratio < RATIO_MIN) ratio = RATIO_MIN;
        m.ratio[i] = ratio;
        m.high[i] = (float)ratio;
        m.low[i] = (float)(ratio - (double)m.high[i]);
    }
    team_sync();
    take_powers(&m);
    for (size_t i = 0; i < m.n; i++) m.sum += (double)m.power[i] * m.ratio[i];
    m.root = pow(m.sum, 1.0 / m.p);
    m.f = largest * m.root;
    return m;
}

/* The derivative of |r|, 0 at its cusp. */
static double sign(double r) { return (double)((r > 0.0) - (r < 0.0)); }

/* out [n] = W' pull */
static void transposed(const task_instance *t, const norm *m, float *out) {
    linear_transposed(m->n, m->stride, t->data, m->pull, 0, m->out);
    TEAM_FOR(j, m->n) out[j] = m->out[j];
    team_sync();
}

static double loss_grad(const task_instance *t, const task_draw *draw, const float *params, float *grad, float *workspace) {
    const norm m = solve(t, params, workspace);
    (void)draw;
    if (grad == NULL) return m.f;
    TEAM_FOR(i, m.n) m.pull[i] = (float)(sign(m.residual[i]) * (double)m.power[i] * (m.root / m.sum));
    team_sync();
    transposed(t, &m, grad);
    return m.f;
}

/* In a: (H u)_i = (p - 1)/f z_i^(p-1) (u_i/z_i - mean), the mean over j of u_j/z_j with weights z_j^p, which add up to 1. The weighted mean
 * is subtracted, not two products, because they nearly cancel where one residual rules. */
static void hvp(const task_instance *t, const task_draw *draw, const float *params, const float *v, float *out, float *workspace) {
    const norm m = solve(t, params, workspace);
    const double factor = (m.p - 1.0) / m.f * (m.root / m.sum);
    double mean = 0.0;
    (void)draw;
    forward(&m, t->data, v, m.change);
    TEAM_FOR(i, m.n) m.change[i] *= sign(m.residual[i]) * m.root / m.ratio[i]; /* u_i / z_i */
    team_sync();
    for (size_t i = 0; i < m.n; i++) mean += (double)m.power[i] * m.ratio[i] / m.sum * m.change[i];
    TEAM_FOR(i, m.n) m.pull[i] = (float)(factor * sign(m.residual[i]) * (double)m.power[i] * (m.change[i] - mean));
    team_sync();
    transposed(t, &m, out);
}

static const lopt_task_key keys[] = {{"n", "number of parameters", 25, 1, 4096, 1, 0, "25"},
                                     {"p", "which norm: 1 the sum of sizes, large the largest size", 2, 1, 1000, 0, 0, "2"},
                                     TASK_TRANSFORM_KEYS};
static const char *const instances[] = {"norm:n=27,p=1",           "norm:n=25,p=2",           "norm:n=22,p=3",
                                        "norm:n=19,p=1,noise=0.1", "norm:n=26,p=2,noise=0.1", "norm:n=23,p=3,noise=0.1"};

const task_family ISA_SYMBOL(norm_family) = {{"norm", "p-norms of the residuals of random linear equations",
                                              "(sum (abs(W x - y) + 1e-6)^p)^(1/p), W [n, n], y [n] ~ N(0, 1)",
                                              sizeof keys / sizeof keys[0], keys, sizeof instances / sizeof instances[0], instances,
                                              0, 0},
                                             0,
                                             plan,
                                             make,
                                             start,
                                             loss_grad,
                                             hvp,
                                             NULL};
