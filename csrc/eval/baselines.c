/* Formulas and defaults are those of PyTorch 2 (torch.optim.SGD, RMSprop, Adam, AdamW, NAdam; lr_scheduler.CosineAnnealingLR),
 * which are what most people mean by these names. Scalars are formed in double and applied in float32, as there. */
#include "csrc/eval/baselines.h"

#include <math.h>

#include "base/memory.h"
#include "base/status.h"

#define MOMENTUM 0.9
#define RMSPROP_DECAY 0.99
#define ADAM_BETA1 0.9
#define ADAM_BETA2 0.999
#define EPSILON 1e-8f
#define WEIGHT_DECAY 0.01
#define NADAM_MOMENTUM_DECAY 0.004

static void sgd(baseline_state *s, double rate, const float *grad, float *params) {
    const float lr = (float)rate;
    for (size_t i = 0; i < s->n; i++) params[i] -= lr * grad[i];
}

/* b <- 0.9 b + g; theta <- theta - lr b */
static void momentum(baseline_state *s, double rate, const float *grad, float *params) {
    const float lr = (float)rate, mu = (float)MOMENTUM;
    float *restrict b = s->first;
    for (size_t i = 0; i < s->n; i++) {
        b[i] = mu * b[i] + grad[i];
        params[i] -= lr * b[i];
    }
}

/* torch.optim.SGD(nesterov=True): b <- 0.9 b + g; theta <- theta - lr (g + 0.9 b) */
static void nesterov(baseline_state *s, double rate, const float *grad, float *params) {
    const float lr = (float)rate, mu = (float)MOMENTUM;
    float *restrict b = s->first;
    for (size_t i = 0; i < s->n; i++) {
        b[i] = mu * b[i] + grad[i];
        params[i] -= lr * (grad[i] + mu * b[i]);
    }
}

/* v <- 0.99 v + 0.01 g^2; theta <- theta - lr g / (sqrt v + 1e-8) */
static void rmsprop(baseline_state *s, double rate, const float *grad, float *params) {
    const float lr = (float)rate, keep = (float)RMSPROP_DECAY, take = (float)(1.0 - RMSPROP_DECAY);
    float *restrict v = s->second;
    for (size_t i = 0; i < s->n; i++) {
        v[i] = keep * v[i] + take * grad[i] * grad[i];
        params[i] -= lr * grad[i] / (sqrtf(v[i]) + EPSILON);
    }
}

/* m <- beta1 m + (1 - beta1) g; v <- beta2 v + (1 - beta2) g^2 */
static void adam_moments(baseline_state *s, const float *grad) {
    const float keep1 = (float)ADAM_BETA1, take1 = (float)(1.0 - ADAM_BETA1);
    const float keep2 = (float)ADAM_BETA2, take2 = (float)(1.0 - ADAM_BETA2);
    float *restrict m = s->first, *restrict v = s->second;
    for (size_t i = 0; i < s->n; i++) {
        m[i] = keep1 * m[i] + take1 * grad[i];
        v[i] = keep2 * v[i] + take2 * grad[i] * grad[i];
    }
}

static float adam_root_correction(const baseline_state *s) { return (float)sqrt(1.0 - pow(ADAM_BETA2, (double)s->step)); }

/* Kingma & Ba 2015: theta <- theta - lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + 1e-8) */
static void adam(baseline_state *s, double rate, const float *grad, float *params) {
    const float step_size = (float)(rate / (1.0 - pow(ADAM_BETA1, (double)s->step))), root = adam_root_correction(s);
    adam_moments(s, grad);
    const float *restrict m = s->first, *restrict v = s->second;
    for (size_t i = 0; i < s->n; i++) params[i] -= step_size * m[i] / (sqrtf(v[i]) / root + EPSILON);
}

static void decay(const baseline_state *s, double rate, float *params) {
    const float keep = (float)(1.0 - rate * WEIGHT_DECAY);
    for (size_t i = 0; i < s->n; i++) params[i] *= keep;
}

/* Loshchilov & Hutter 2019: theta <- (1 - lr 0.01) theta, then Adam */
static void adamw(baseline_state *s, double rate, const float *grad, float *params) {
    decay(s, rate, params);
    adam(s, rate, grad, params);
}

static double nadam_momentum(size_t step) { return ADAM_BETA1 * (1.0 - 0.5 * pow(0.96, (double)step * NADAM_MOMENTUM_DECAY)); }

/* torch.optim.NAdam(decoupled_weight_decay=True); Dozat 2016. mu_t = beta1 (1 - 0.96^(0.004 t) / 2), M_t = mu_1 .. mu_t:
 * theta <- theta - lr ((1 - mu_t) / (1 - M_t) g + mu_{t+1} / (1 - M_{t+1}) m) / (sqrt(v / (1 - beta2^t)) + 1e-8) */
static void nadamw(baseline_state *s, double rate, const float *grad, float *params) {
    const double mu = nadam_momentum(s->step), mu_next = nadam_momentum(s->step + 1);
    s->momentum_product *= mu;
    const float from_grad = (float)(rate * (1.0 - mu) / (1.0 - s->momentum_product));
    const float from_moment = (float)(rate * mu_next / (1.0 - s->momentum_product * mu_next)), root = adam_root_correction(s);
    decay(s, rate, params);
    adam_moments(s, grad);
    const float *restrict m = s->first, *restrict v = s->second;
    for (size_t i = 0; i < s->n; i++) params[i] -= (from_grad * grad[i] + from_moment * m[i]) / (sqrtf(v[i]) / root + EPSILON);
}

const baseline *baseline_get(baseline_id id) {
    static const baseline table[BASELINE_COUNT] = {
        [BASELINE_SGD] = {"SGD", sgd, 0},
        [BASELINE_MOMENTUM] = {"momentum", momentum, 0},
        [BASELINE_NESTEROV] = {"Nesterov", nesterov, 0},
        [BASELINE_RMSPROP] = {"RMSProp", rmsprop, 0},
        [BASELINE_ADAM] = {"Adam", adam, 0},
        [BASELINE_ADAMW] = {"AdamW", adamw, 0},
        [BASELINE_NADAMW] = {"NAdamW", nadamw, 0},
        [BASELINE_ADAM_COSINE] = {"Adam cosine", adam, 1},
        [BASELINE_ADAMW_COSINE] = {"AdamW cosine", adamw, 1},
    };
    return &table[id];
}

void baseline_step(const baseline *b, baseline_state *s, double rate, size_t steps, const float *grad, float *params) {
    double done = (double)s->step / (double)steps;
    s->step++;
    b->update(s, b->cosine ? rate * 0.5 * (1.0 + cos(M_PI * done)) : rate, grad, params);
}

lopt_status baseline_state_create(size_t n, baseline_state **out) {
    lopt_status status = LOPT_OK;
    void *p = NULL;
    LOPT_TRY(memory_alloc(1, sizeof(baseline_state), "a baseline optimizer", &p));
    baseline_state *s = p;
    s->n = n;
    s->momentum_product = 1.0;
    LOPT_TRY_CLEANUP(memory_floats(n, "a baseline optimizer", &s->first));
    LOPT_TRY_CLEANUP(memory_floats(n, "a baseline optimizer", &s->second));
    *out = s;
    return LOPT_OK;
cleanup:
    baseline_state_free(s);
    return status;
}

void baseline_state_free(baseline_state *s) {
    if (s == NULL) return;
    free(s->first);
    free(s->second);
    free(s);
}
