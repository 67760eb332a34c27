/* Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011).
 * A draw is a pure function of (seed, purpose, three indices); nothing depends on order, threads or devices. */
#ifndef LOPT_CELL_PHILOX_H
#define LOPT_CELL_PHILOX_H

#include "kernels/cell/vf.h"

/* What a draw is for: the streams of different purposes never meet. Append only; the numbers are part of the results. */
typedef enum random_purpose {
    RANDOM_WEIGHTS = 1,      /* initial weights: (tensor id, element) */
    RANDOM_LOG_LR_TENSOR,    /* (tensor) */
    RANDOM_LOG_LR_PARAMETER, /* (tensor, element) */
    RANDOM_TASK_DATA,        /* an instance's data: (what, element), meaning set by the family */
    RANDOM_TASK_START,       /* starting parameters: (tensor, element) */
    RANDOM_TASK_BATCH,       /* minibatches: (epoch, row) */
    RANDOM_TASK_NOISE,       /* gradient noise: (step, element) */
    RANDOM_TRAIN_TASK,       /* which task a particle gets: (particle, restart) */
    RANDOM_TRAIN_HORIZON,    /* how long its run is: (particle, restart) */
    RANDOM_TRAIN_STAGGER,    /* where its first run begins: (particle) */
    RANDOM_TRAIN_WINDOW,     /* window length: (meta-iteration) */
    RANDOM_TRAIN_SEED,       /* seeds of instances and runs: (particle, restart, which) */
    RANDOM_TASK_MASK,        /* which gradient entries are zeroed: (step, element) */
    RANDOM_EVAL_SEED,        /* seeds of evaluation runs: (task, seed index) */
    RANDOM_RESAMPLE,         /* bootstrap resamples: (resample, element) */
    RANDOM_TASK_TERM,        /* seeds of a sum's terms: (term) */
    RANDOM_TASK_SPREAD,      /* rescaling factors: (of the model, a tensor, a parameter; its index) */
    RANDOM_TRAIN_AUGMENT,    /* whether a particle's task is rescaled: (particle, restart) */
    RANDOM_PERTURBATION,     /* of the weights, by a seed of the particle's run: (pair, window of the run, element) */
    RANDOM_TRAIN_SHOCK       /* whether and how far a run's learning rates are thrown off: (window of the run) */
} random_purpose;

typedef struct random4 {
    uint32_t u[4];
} random4;

CELL_FN void philox_round(uint32_t c[4], uint32_t k0, uint32_t k1) {
    uint64_t p0 = (uint64_t)0xD2511F53u * c[0], p1 = (uint64_t)0xCD9E8D57u * c[2];
    uint32_t c1 = c[1], c3 = c[3];
    c[0] = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
    c[1] = (uint32_t)p1;
    c[2] = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c[3] = (uint32_t)p0;
}

CELL_FN random4 philox4x32_10(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t k0, uint32_t k1) {
    random4 r;
    r.u[0] = c0, r.u[1] = c1, r.u[2] = c2, r.u[3] = c3;
    for (int i = 0; i < 10; i++) {
        philox_round(r.u, k0, k1);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return r;
}

/* Four 32-bit draws. a: 32 bits of index; b: 40 bits of index; purpose takes the rest of the counter. */
CELL_FN random4 random_bits(uint64_t seed, random_purpose purpose, uint32_t a, uint64_t b, uint32_t c) {
    return philox4x32_10((uint32_t)b, (uint32_t)((b >> 32) & 0xff) | ((uint32_t)purpose << 8), a, c, (uint32_t)seed,
                         (uint32_t)(seed >> 32));
}

/* Uniform on [0, 1): 24 bits. */
CELL_FN float random_to_uniform(uint32_t u) { return (float)(u >> 8) * 5.9604644775390625e-8f; }
CELL_FN float random_uniform(uint64_t seed, random_purpose purpose, uint32_t a, uint64_t b, uint32_t c) {
    return random_to_uniform(random_bits(seed, purpose, a, b, c).u[0]);
}
/* A seed for something below: 64 bits. */
CELL_FN uint64_t random_seed(uint64_t seed, random_purpose purpose, uint32_t a, uint64_t b, uint32_t c) {
    random4 r = random_bits(seed, purpose, a, b, c);
    return (uint64_t)r.u[0] << 32 | r.u[1];
}
/* Uniform on 0 .. n-1, n > 0 (the high half of a 64-bit product; bias below n / 2^32). */
CELL_FN uint32_t random_to_below(uint32_t u, uint32_t n) { return (uint32_t)(((uint64_t)u * n) >> 32); }

/* sin(2 pi t) for t in [-1/4, 1/4]. */
CELL_FN float random_sin_quarter(float t) {
    float s = t * t;
    float p = -14.3813692f;
    p = p * s + 42.007794f;
    p = p * s - 76.7041701f;
    p = p * s + 81.6052237f;
    p = p * s - 41.3417021f;
    p = p * s + 6.28318531f;
    return p * t;
}

/* Two standard normals from two draws (Box-Muller); the first uniform is moved into (0, 1]. */
CELL_FN void random_to_normals(uint32_t u0, uint32_t u1, float out[2]) {
    float radius = sqrtf(-2.0f * logf(((float)(u0 >> 8) + 1.0f) * 5.9604644775390625e-8f));
    float turn = random_to_uniform(u1);
    /* cos(2 pi t) = sin(2 pi (1/4 - |t - 1/2|)) * -1 folded to a quarter; sin likewise */
    float d = turn - 0.5f;
    float cosine = -random_sin_quarter(0.25f - fabsf(d));
    float folded = fabsf(d) > 0.25f ? (d > 0.0f ? 0.5f - d : -0.5f - d) : d;
    float sine = -random_sin_quarter(folded);
    out[0] = radius * cosine;
    out[1] = radius * sine;
}
CELL_FN float random_normal(uint64_t seed, random_purpose purpose, uint32_t a, uint64_t b, uint32_t c) {
    random4 r = random_bits(seed, purpose, a, b, c);
    float n[2];
    random_to_normals(r.u[0], r.u[1], n);
    return n[0];
}
/* out[0 .. count): standard normals; four neighbours share one Philox call. */
CELL_FN void random_normals(uint64_t seed, random_purpose purpose, uint32_t a, uint32_t c, uint64_t count, float *out) {
    for (uint64_t i = 0; i < count; i += 4) {
        random4 r = random_bits(seed, purpose, a, i / 4, c);
        float n[4];
        random_to_normals(r.u[0], r.u[1], n);
        random_to_normals(r.u[2], r.u[3], n + 2);
        for (uint64_t j = 0; j < 4 && i + j < count; j++) out[i + j] = n[j];
    }
}

#endif
