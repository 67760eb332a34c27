/* Transforms around a family's functions: data, not code. With z = x / s:
 * f(x / s), gradient grad_z / s, J'v = H_z (v / s) / s; noise is added last and has no Jacobian. */
#include <math.h>
#include <string.h>

#include "kernels/cell/philox.h"
#include "tasks/task_object.h"

static const double *transform_values(const lopt_task *t) {
    return t->instance.values.number + t->family->info.num_keys - TRANSFORM_KEYS;
}

void transform_make(lopt_task *t) {
    const double *v = transform_values(t);
    const double spread = log(v[TRANSFORM_SPREAD]);
    t->transform.noise = (float)v[TRANSFORM_NOISE];
    t->transform.scaled = v[TRANSFORM_SCALE] != 1.0 || spread > 0.0;
    for (size_t i = 0; i < t->instance.num_tensors; i++) {
        double u = (double)random_uniform(t->instance.seed, RANDOM_TASK_DATA, UINT32_MAX, i, 0);
        t->transform.scale[i] = (float)(v[TRANSFORM_SCALE] * exp(spread * (2.0 * u - 1.0)));
    }
}

/* to = from * scale or from / scale, tensor by tensor. to may be from. */
static void multiply(const lopt_task *t, const float *from, float *to) {
    for (size_t i = 0; i < t->instance.num_tensors; i++)
        for (size_t n = t->instance.counts[i]; n > 0; n--) *to++ = *from++ * t->transform.scale[i];
}
static void divide(const lopt_task *t, const float *from, float *to) {
    for (size_t i = 0; i < t->instance.num_tensors; i++)
        for (size_t n = t->instance.counts[i]; n > 0; n--) *to++ = *from++ / t->transform.scale[i];
}

/* The workspace starts with z and, for Hessian-vector products, v / s; each rounded up to whole vectors. */
static size_t padded_total(const lopt_task *t) { return (t->instance.total + 15) / 16 * 16; }
size_t transform_workspace(const lopt_task *t) { return 3 * padded_total(t) + t->instance.workspace_floats; }

void transform_start(const lopt_task *t, uint64_t seed, float *params) {
    t->family->start(&t->instance, seed, params);
    if (t->transform.scaled) multiply(t, params, params);
}

static void add_noise(const lopt_task *t, const task_draw *draw, float *grad, float *noise) {
    const size_t n = t->instance.total;
    random_normals(draw->seed, RANDOM_TASK_NOISE, (uint32_t)draw->step, (uint32_t)(draw->step >> 32), n, noise);
    for (size_t i = 0; i < n; i++) grad[i] += t->transform.noise * noise[i];
}

double transform_loss_grad(const lopt_task *t, const task_draw *draw, const float *params, float *grad, float *workspace) {
    float *z = workspace, *noise = z + padded_total(t), *rest = noise + 2 * padded_total(t);
    const float *at = params;
    if (t->transform.scaled) {
        divide(t, params, z);
        at = z;
    }
    double loss = t->family->loss_grad(&t->instance, draw, at, grad, rest);
    if (t->transform.scaled && grad) divide(t, grad, grad);
    if (draw && grad && t->transform.noise > 0.0f) add_noise(t, draw, grad, noise);
    return loss;
}

void transform_hvp(const lopt_task *t, const task_draw *draw, const float *params, const float *v, float *out, float *workspace) {
    float *z = workspace, *scaled_v = z + padded_total(t), *rest = scaled_v + 2 * padded_total(t);
    if (!t->transform.scaled) {
        t->family->hvp(&t->instance, draw, params, v, out, rest);
        return;
    }
    divide(t, params, z);
    divide(t, v, scaled_v);
    t->family->hvp(&t->instance, draw, z, scaled_v, out, rest);
    divide(t, out, out);
}

double transform_accuracy(const lopt_task *t, const float *params, float *workspace) {
    const float *at = params;
    if (t->transform.scaled) {
        divide(t, params, workspace);
        at = workspace;
    }
    return t->family->accuracy(&t->instance, at, workspace + 3 * padded_total(t));
}
