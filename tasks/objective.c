/* What a task minimises, before rescaling and noise: F = L(sum over terms i of L_i(f_i)), each L the identity or
 * L(f) = log(f + e) - log e with L' = 1/(f + e) and L'' = -L'^2, e = 1e-6. */
#include <math.h>

#include "kernels/cell/philox.h"
#include "tasks/task_object.h"

#define LOG_FLOOR 1e-6

uint64_t term_seed(uint64_t seed, size_t term) {
    return term == 0 ? seed : random_seed(seed, RANDOM_TASK_TERM, (uint32_t)term, 0, 0);
}

static double log_value(double f) { return log1p(f / LOG_FLOOR); }
static double log_slope(double f) { return 1.0 / (f + LOG_FLOOR); }

static void multiply(size_t n, float factor, float *x) {
    for (size_t i = 0; i < n; i++) x[i] *= factor;
}

static double dot(size_t n, const float *a, const float *b) {
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

/* The draw of term i. own: where it is put; NULL stays NULL. */
static const task_draw *draw_of(const task_draw *draw, size_t term, task_draw *own) {
    if (draw == NULL) return NULL;
    *own = (task_draw){term_seed(draw->seed, term), draw->step};
    return own;
}

/* L(f), and its gradient in place; grad NULL: not wanted. */
static double log_loss_grad(double f, size_t n, float *grad) {
    if (grad) multiply(n, (float)log_slope(f), grad);
    return log_value(f);
}

double objective_loss_grad(const lopt_task *t, const task_draw *draw, const float *z, float *grad, float *workspace) {
    double sum = 0.0;
    for (size_t i = 0; i < t->num_terms; i++) {
        const task_term *term = &t->term[i];
        task_draw own;
        float *part = grad ? grad + term->first : NULL;
        double f = term->family->loss_grad(&term->instance, draw_of(draw, i, &own), z + term->first, part, workspace);
        sum += term->transform.log ? log_loss_grad(f, term->instance.total, part) : f;
    }
    return t->transform.log ? log_loss_grad(sum, t->total, grad) : sum;
}

/* With g = grad f and H v in out: (L' H + L'' g g') v into out. */
static void log_product(double f, size_t n, const float *g, const float *v, float *out) {
    const double slope = log_slope(f), pull = slope * slope * dot(n, g, v);
    for (size_t i = 0; i < n; i++) out[i] = (float)(slope * (double)out[i] - pull * (double)g[i]);
}

/* One term; loss and gradient of it are formed, into *value and grad, where a logarithm somewhere needs them. */
static void term_product(const task_term *term, int needed, const task_draw *draw, const float *z, const float *v, float *out,
                         float *grad, double *value, float *workspace) {
    const size_t n = term->instance.total;
    term->family->hvp(&term->instance, draw, z, v, out, workspace);
    if (!needed && !term->transform.log) return;
    *value = term->family->loss_grad(&term->instance, draw, z, grad, workspace);
    if (!term->transform.log) return;
    log_product(*value, n, grad, v, out);
    *value = log_loss_grad(*value, n, grad);
}

void objective_hvp(const lopt_task *t, const task_draw *draw, const float *z, const float *v, float *out, float *grad,
                   float *workspace) {
    double sum = 0.0;
    for (size_t i = 0; i < t->num_terms; i++) {
        const task_term *term = &t->term[i];
        const size_t at = term->first;
        task_draw own;
        double value = 0.0;
        term_product(term, t->transform.log, draw_of(draw, i, &own), z + at, v + at, out + at, grad + at, &value, workspace);
        sum += value;
    }
    if (t->transform.log) log_product(sum, t->total, grad, v, out);
}
