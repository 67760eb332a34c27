#include "csrc/train/meta_optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"

lopt_status meta_state_create(size_t count, const float *weights, meta_state *out) {
    float *storage = NULL;
    LOPT_TRY(memory_floats(5 * count, "the meta-optimizer", &storage));
    *out = (meta_state){count, storage, storage + count, storage + 2 * count, storage + 3 * count, storage + 4 * count, storage};
    for (size_t i = 0; i < count; i++) out->trained[i] = 1.0f;
    memcpy(out->weights, weights, count * sizeof(float));
    memcpy(out->average, weights, count * sizeof(float));
    return LOPT_OK;
}

void meta_state_free(meta_state *s) {
    free(s->storage);
    memset(s, 0, sizeof *s);
}

double meta_rate(const train_config *c, uint64_t iteration) {
    const double at = (double)iteration, warmup = (double)c->warmup, end = (double)c->iterations;
    if (at < warmup) return c->learning_rate * (at + 1.0) / warmup;
    double progress = end > warmup ? fmin(1.0, (at - warmup) / (end - warmup)) : 1.0, left = 1.0;
    if (c->decay == DECAY_LINEAR) left = 1.0 - progress;
    if (c->decay == DECAY_COSINE) left = 0.5 * (1.0 + cos(M_PI * progress));
    return c->learning_rate * (c->decay_to + (1.0 - c->decay_to) * left);
}

/* RMSProp (Tieleman and Hinton 2012): v = b2 v + (1 - b2) g^2, w -= rate g / (sqrt(v) + eps). */
static void rmsprop(const train_config *c, double rate, const float *g, meta_state *s) {
    for (size_t i = 0; i < s->count; i++) {
        s->square[i] = (float)(c->beta2 * s->square[i] + (1.0 - c->beta2) * g[i] * g[i]);
        s->weights[i] -= (float)(rate * g[i] / (sqrt(s->square[i]) + c->epsilon));
    }
}

/* Adam (Kingma and Ba 2015, algorithm 1); `decay` makes it AdamW (Loshchilov and Hutter 2019, algorithm 2). */
static void adam(const train_config *c, double rate, double decay, uint64_t iteration, const float *g, meta_state *s) {
    const double unbias1 = 1.0 - pow(c->beta1, (double)iteration + 1.0), unbias2 = 1.0 - pow(c->beta2, (double)iteration + 1.0);
    for (size_t i = 0; i < s->count; i++) {
        s->moment[i] = (float)(c->beta1 * s->moment[i] + (1.0 - c->beta1) * g[i]);
        s->square[i] = (float)(c->beta2 * s->square[i] + (1.0 - c->beta2) * g[i] * g[i]);
        double step = s->moment[i] / unbias1 / (sqrt(s->square[i] / unbias2) + c->epsilon) + decay * s->trained[i] * s->weights[i];
        s->weights[i] -= (float)(rate * step);
    }
}

void meta_step(const train_config *c, uint64_t iteration, const float *gradient, meta_state *s) {
    const double rate = meta_rate(c, iteration);
    if (c->meta_optimizer == META_RMSPROP) rmsprop(c, rate, gradient, s);
    else adam(c, rate, c->meta_optimizer == META_ADAMW ? c->weight_decay : 0.0, iteration, gradient, s);
    /* short memory at first, so that the average is not held back by the untrained start */
    const double keep = fmin(c->average, (1.0 + (double)iteration) / (10.0 + (double)iteration));
    for (size_t i = 0; i < s->count; i++)
        s->average[i] = c->average > 0.0 ? (float)(keep * s->average[i] + (1.0 - keep) * s->weights[i]) : s->weights[i];
}

void meta_clip(const train_config *c, float *g, size_t count) {
    const float limit = (float)c->clip_limit;
    double square = 0.0;
    if (c->clip == CLIP_ELEMENT)
        for (size_t i = 0; i < count; i++) g[i] = fminf(fmaxf(g[i], -limit), limit);
    if (c->clip != CLIP_NORM && c->clip != CLIP_ROOT) return;
    for (size_t i = 0; i < count; i++) square += (double)g[i] * g[i];
    if (square <= c->clip_limit * c->clip_limit) return;
    const double share = c->clip_limit / sqrt(square);
    const float shrink = (float)(c->clip == CLIP_ROOT ? sqrt(share) : share);
    for (size_t i = 0; i < count; i++) g[i] *= shrink;
}
