/* outward_snake: f(x) = mean over rows d of d_0 / (|x| + 1e-6) + sum over i of ((x_{i+1} - pi cos x_i) d_{i+1})^2; d binary, 0 and 1
 * evenly. As d^2 = d, with m the mean of the rows: m_0 / (|x| + 1e-6) + sum over i of m_{i+1} (x_{i+1} - pi cos x_i)^2. The first term
 * drives outwards, along the winding valley of the others. */
#include "tasks/families/row_means.h"
#include "tasks/families/sincos.h"

#define PI 3.14159265f

static void plan(task_instance *t) {
    const row_set s = row_set_of(t, ROW_PLAIN);
    row_plan(&s, 1, t);
}
static void make(task_instance *t) { row_make(t, ROW_PLAIN); }

/* Radius |x|, value, and first and second derivative of the radial term's g(r) = m_0 / (r + 1e-6). */
typedef struct radial {
    double r, value, slope, bend;
} radial;

CELL_FN radial radial_at(size_t n, const float *x, float m0) {
    radial g;
    g.r = sqrt(linear_square_norm(n, x));
    g.value = (double)m0 / (g.r + 1e-6);
    g.slope = -g.value / (g.r + 1e-6);
    g.bend = -2.0 * g.slope / (g.r + 1e-6);
    return g;
}
/* x / |x| is this times x; the origin, where there is no direction, pulls nowhere. */
CELL_FN float radial_inverse(const radial *g) { return g->r > 1e-30 ? (float)(1.0 / g->r) : 0.0f; }

/* Block i of a link: c_i = x_{i+1} - pi cos x_i for i < n - 1, with the row mean m_{i+1}, 0 beyond. */
typedef struct link_block {
    vf c, m, sine, cosine;
} link_block;

CELL_FN link_block link_at(const row_set *s, const float *mean, const float *x, size_t i) {
    link_block k;
    sincos_vf(block_load(x, i, s->n), &k.sine, &k.cosine);
    k.c = block_load(x + 1, i, s->n - 1) - PI * k.cosine;
    k.m = vf_load(mean + i + 1);
    return k;
}

/* The forces 2 m_{i+1} c_i on the links stand in force[i + 1], force[0] is 0: the link before x_i is an unaligned load away. */
static double loss_grad(const task_instance *t, const task_draw *draw, const float *x, float *grad, float *workspace) {
    const row_set s = row_set_of(t, ROW_PLAIN);
    const float *mean = row_means(&s, draw, workspace);
    float *force = workspace + s.stride + ROW_PAD;
    const radial g = radial_at(s.n, x, mean[0]);
    const float inverse = radial_inverse(&g), slope = (float)g.slope;
    vf loss = vf_set1(0.0f);
    force[0] = 0.0f;
    for (size_t i = 0; i < s.n; i += VF_LANES) {
        const link_block k = link_at(&s, mean, x, i);
        const vf pull = 2.0f * k.m * k.c;
        loss += k.m * k.c * k.c;
        if (grad == NULL) continue;
        vf_store(force + i + 1, pull);
        block_store(grad, i, s.n, vf_load(force + i) + PI * k.sine * pull + slope * (block_load(x, i, s.n) * inverse));
    }
    return (double)vf_sum(loss) + g.value;
}

/* With u = x / r: the radial term's Hessian is g'' u u' + g' / r (I - u u'). */
static void hvp(const task_instance *t, const task_draw *draw, const float *x, const float *v, float *out, float *workspace) {
    const row_set s = row_set_of(t, ROW_PLAIN);
    const float *mean = row_means(&s, draw, workspace);
    float *force = workspace + s.stride + ROW_PAD;
    const radial g = radial_at(s.n, x, mean[0]);
    const float inverse = radial_inverse(&g), across = (float)g.slope * inverse;
    float along = 0.0f;
    for (size_t i = 0; i < s.n; i++) along += x[i] * inverse * v[i];
    const float toward = ((float)g.bend - across) * along * inverse;
    force[0] = 0.0f;
    for (size_t i = 0; i < s.n; i += VF_LANES) {
        const link_block k = link_at(&s, mean, x, i);
        const vf vx = block_load(v, i, s.n);
        const vf turn = PI * k.sine * vx, pull = 2.0f * k.m * (block_load(v + 1, i, s.n - 1) + turn);
        vf_store(force + i + 1, pull);
        block_store(out, i, s.n,
                    vf_load(force + i) + PI * k.sine * pull + 2.0f * k.m * k.c * PI * k.cosine * vx + across * vx +
                        toward * block_load(x, i, s.n));
    }
}

static const char *const instances[] = ROW_INSTANCES("outward_snake");

const task_family ISA_SYMBOL(outward_snake_family) = {
    {"outward_snake", "a valley that winds outwards",
     "mean over rows d of d_0 / (|x| + 1e-6) + sum ((x_{i+1} - pi cos x_i) d_{i+1})^2; d binary",
     sizeof row_keys / sizeof row_keys[0], row_keys, sizeof instances / sizeof instances[0], instances, 0, 0},
    1,
    plan,
    make,
    row_start,
    loss_grad,
    hvp,
    NULL};
