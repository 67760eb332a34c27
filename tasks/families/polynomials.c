/* Two-dimensional test functions that are polynomials (and Branin, nearly one). */
#include "tasks/families/plane.h"

/* Three terms t_k = c_k - x + x y^k, k = 1..3. */
static plane_point beale_at(const task_instance *t, double x, double y) {
    static const double c[3] = {1.5, 2.25, 2.625};
    plane_point p = {0};
    double power = y, slope = 1.0, bend = 0.0; /* y^k, k y^(k-1), k (k-1) y^(k-2) */
    (void)t;
    for (int k = 1; k <= 3; k++) {
        double r = c[k - 1] - x + x * power, rx = power - 1.0, ry = x * slope;
        p.f += r * r;
        p.gx += 2.0 * r * rx;
        p.gy += 2.0 * r * ry;
        p.hxx += 2.0 * rx * rx;
        p.hxy += 2.0 * (rx * ry + r * slope);
        p.hyy += 2.0 * (ry * ry + r * x * bend);
        bend = (k + 1) * slope; /* (k+1) k y^(k-1) */
        slope = (k + 1) * power;
        power *= y;
    }
    return p;
}
PLANE_FAMILY(beale, -4.5, 4.5, -4.5, 4.5, "Beale's function", "(1.5 - x + xy)^2 + (2.25 - x + xy^2)^2 + (2.625 - x + xy^3)^2")

static plane_point booth_at(const task_instance *t, double x, double y) {
    double a = x + 2.0 * y - 7.0, b = 2.0 * x + y - 5.0;
    plane_point p = {a * a + b * b, 2.0 * a + 4.0 * b, 4.0 * a + 2.0 * b, 10.0, 8.0, 10.0};
    (void)t;
    return p;
}
PLANE_FAMILY(booth, -10, 10, -10, 10, "Booth's function", "(x + 2y - 7)^2 + (2x + y - 5)^2")

static plane_point branin_at(const task_instance *t, double x, double y) {
    const double b = 5.1 / (4.0 * PLANE_PI * PLANE_PI), c = 5.0 / PLANE_PI, s = 10.0, wave = s * (1.0 - 1.0 / (8.0 * PLANE_PI));
    double u = y - b * x * x + c * x - 6.0, ux = c - 2.0 * b * x;
    plane_point p = {u * u + wave * cos(x) + s,
                     2.0 * u * ux - wave * sin(x),
                     2.0 * u,
                     2.0 * ux * ux - 4.0 * b * u - wave * cos(x),
                     2.0 * ux,
                     2.0};
    (void)t;
    return p;
}
PLANE_FAMILY(branin, -5, 10, 0, 15, "Branin's function", "(y - 5.1 x^2/(4 pi^2) + 5x/pi - 6)^2 + 10 (1 - 1/(8 pi)) cos x + 10")

/* 0.26 (x^2 + y^2) - 0.48 xy, written so that rounding cannot make it negative. */
static plane_point matyas_at(const task_instance *t, double x, double y) {
    plane_point p = {
        0.24 * (x - y) * (x - y) + 0.02 * (x * x + y * y), 0.52 * x - 0.48 * y, 0.52 * y - 0.48 * x, 0.52, -0.48, 0.52};
    (void)t;
    return p;
}
PLANE_FAMILY(matyas, -10, 10, -10, 10, "Matyas' function", "0.26 (x^2 + y^2) - 0.48 xy")

static plane_point rosenbrock_at(const task_instance *t, double x, double y) {
    double a = y - x * x, b = 1.0 - x;
    plane_point p = {
        100.0 * a * a + b * b, -400.0 * a * x - 2.0 * b, 200.0 * a, 800.0 * x * x - 400.0 * a + 2.0, -400.0 * x, 200.0};
    (void)t;
    return p;
}
PLANE_FAMILY(rosenbrock, -5, 10, -5, 10, "Rosenbrock's valley", "100 (y - x^2)^2 + (1 - x)^2")

static plane_point styblinski_tang_at(const task_instance *t, double x, double y) {
    plane_point p = {80.0 + 0.5 * (x * x * x * x - 16.0 * x * x + 5.0 * x + y * y * y * y - 16.0 * y * y + 5.0 * y),
                     2.0 * x * x * x - 16.0 * x + 2.5,
                     2.0 * y * y * y - 16.0 * y + 2.5,
                     6.0 * x * x - 16.0,
                     0.0,
                     6.0 * y * y - 16.0};
    (void)t;
    return p;
}
PLANE_FAMILY(styblinski_tang, -5, 5, -5, 5, "Styblinski and Tang's function, raised by 80",
             "0.5 sum (x_i^4 - 16 x_i^2 + 5 x_i) + 80")

/* ---- bowl ---- */
enum { KEY_C, KEY_ANGLE };

static plane_point bowl_at(const task_instance *t, double x, double y) {
    const double c = t->values.number[KEY_C], angle = t->values.number[KEY_ANGLE] * (PLANE_PI / 180.0);
    const double cosine = cos(angle), sine = sin(angle);
    double a = cosine * x - sine * y, b = sine * x + cosine * y;
    plane_point p = {0.5 * (c * a * a + b * b),         c * a * cosine + b * sine, b * cosine - c * a * sine,
                     c * cosine * cosine + sine * sine, (1.0 - c) * cosine * sine, c * sine * sine + cosine * cosine};
    return p;
}
static void bowl_start(const task_instance *t, uint64_t seed, float *params) {
    random_normals(seed, RANDOM_TASK_START, 0, 0, t->total, params);
}
static const lopt_task_key bowl_keys[] = {{"c", "curvature along the first axis", 1, 1e-6, 1e6, 0, 0, "1"},
                                          {"angle", "rotation in degrees", 0, -360, 360, 0, 0, "0"},
                                          TASK_TRANSFORM_KEYS};
static const char *const bowl_instances[] = {
    "bowl:c=0.1",           "bowl:c=1",           "bowl:c=5",           "bowl:c=5,angle=45",
    "bowl:c=0.1,noise=0.1", "bowl:c=1,noise=0.1", "bowl:c=5,noise=0.1", "bowl:c=5,angle=45,noise=0.1"};
PLANE_FAMILY_WITH(bowl, bowl_keys, bowl_instances, "two-dimensional bowls", "0.5 |diag(sqrt c, 1) R(angle) x|^2")
