/* Two-dimensional test functions with exponentials and waves. */
#include "tasks/families/plane.h"

/* The part -20 exp(-0.2 r), r = sqrt((x^2 + y^2)/2); its gradient at r = 0, a cusp, is taken as 0. */
static void ackley_cone(double x, double y, plane_point *p) {
    double r = sqrt(0.5 * (x * x + y * y)), a = 20.0 * exp(-0.2 * r);
    p->f = 20.0 - a;
    if (r < 1e-12) return;
    double k = 0.1 * a / r, bend = -0.1 * k / r - 0.5 * k / (r * r); /* d k / d r^2-ish: k_x = bend x */
    p->gx = k * x;
    p->gy = k * y;
    p->hxx = k + bend * x * x;
    p->hxy = bend * x * y;
    p->hyy = k + bend * y * y;
}

static plane_point ackley_at(const task_instance *t, double x, double y) {
    const double pi = PLANE_PI;
    double sx = sin(2 * pi * x), cx = cos(2 * pi * x), sy = sin(2 * pi * y), cy = cos(2 * pi * y);
    double b = exp(0.5 * (cx + cy));
    plane_point p = {0};
    (void)t;
    ackley_cone(x, y, &p);
    p.f += exp(1.0) - b;
    p.gx += pi * b * sx;
    p.gy += pi * b * sy;
    p.hxx += pi * pi * b * (2.0 * cx - sx * sx);
    p.hxy -= pi * pi * b * sx * sy;
    p.hyy += pi * pi * b * (2.0 * cy - sy * sy);
    if (p.f < 0.0) p.f = 0.0; /* rounding at the minimum */
    return p;
}
PLANE_FAMILY(ackley, -32.768, 32.768, -32.768, 32.768, "Ackley's function",
             "-20 exp(-0.2 sqrt(|x|^2/2)) - exp((cos 2 pi x + cos 2 pi y)/2) + e + 20")

/* Softmax over four affine functions; gradient and Hessian are its mean and covariance. */
static plane_point log_sum_exp_at(const task_instance *t, double x, double y) {
    static const double ax[4] = {1, 1, -1, 0}, ay[4] = {3, -3, 0, 0}, offset[4] = {-0.1, -0.1, -0.1, 0};
    double a[4], top = 0.0, total = 0.0;
    plane_point p = {0};
    (void)t;
    for (int i = 0; i < 4; i++) {
        a[i] = ax[i] * x + ay[i] * y + offset[i];
        top = a[i] > top ? a[i] : top;
    }
    for (int i = 0; i < 4; i++) total += exp(a[i] - top);
    p.f = top + log(total);
    for (int i = 0; i < 4; i++) {
        double w = exp(a[i] - top) / total;
        p.gx += w * ax[i];
        p.gy += w * ay[i];
        p.hxx += w * ax[i] * ax[i];
        p.hxy += w * ax[i] * ay[i];
        p.hyy += w * ay[i] * ay[i];
    }
    p.hxx -= p.gx * p.gx;
    p.hxy -= p.gx * p.gy;
    p.hyy -= p.gy * p.gy;
    return p;
}
static void log_sum_exp_start(const task_instance *t, uint64_t seed, float *params) {
    random_normals(seed, RANDOM_TASK_START, 0, 0, t->total, params);
}
static const char *const log_sum_exp_instances[] = {"log_sum_exp", "log_sum_exp:noise=1"};
PLANE_FAMILY_WITH(log_sum_exp, plane_keys, log_sum_exp_instances, "a smooth maximum (Boyd and Vandenberghe, section 9.3)",
                  "log(e^(x+3y-.1) + e^(x-3y-.1) + e^(-x-.1) + 1)")

/* sin(x) s^10, s = sin(a x^2): value, first and second derivative. */
static void michalewicz_term(double x, double a, double out[3]) {
    double s = sin(a * x * x), ds = cos(a * x * x) * 2.0 * a * x;
    double dds = cos(a * x * x) * 2.0 * a - s * 4.0 * a * a * x * x;
    double s2 = s * s, s4 = s2 * s2, s8 = s4 * s4, s9 = s8 * s, s10 = s8 * s2;
    out[0] = sin(x) * s10;
    out[1] = cos(x) * s10 + sin(x) * 10.0 * s9 * ds;
    out[2] = -sin(x) * s10 + 20.0 * cos(x) * s9 * ds + sin(x) * (90.0 * s8 * ds * ds + 10.0 * s9 * dds);
}

static plane_point michalewicz_at(const task_instance *t, double x, double y) {
    double u[3], v[3];
    (void)t;
    michalewicz_term(x, 1.0 / PLANE_PI, u);
    michalewicz_term(y, 2.0 / PLANE_PI, v);
    plane_point p = {2.0 - u[0] - v[0], -u[1], -v[1], -u[2], 0.0, -v[2]};
    return p;
}
PLANE_FAMILY(michalewicz, 0, PLANE_PI, 0, PLANE_PI, "Michalewicz's function, raised by 2", "2 - sum sin(x_i) sin^10(i x_i^2 / pi)")
