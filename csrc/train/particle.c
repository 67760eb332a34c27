#include "csrc/train/particle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "csrc/bench/clock.h"
#include "csrc/train/meta_optimizer.h"
#include "kernels/cell/philox.h"
#include "kernels/cpu/kernels.h"

static double exponential(double mean, float uniform) { return -mean * log1p(-(double)uniform); }

static uint64_t rounded_at_most(double x, int64_t most) { return (uint64_t)fmin(floor(x + 0.5), (double)most); }

size_t window_length(const train_config *c, uint64_t iteration) {
    double extra = exponential(c->window_mean, random_uniform((uint64_t)c->seed, RANDOM_TRAIN_WINDOW, 0, iteration, 0));
    return (size_t)rounded_at_most((double)c->window_min + extra, c->window_max);
}

/* Windows or steps of a run. The first run of each particle is cut at a random place, so that they do not all end together. */
static uint64_t horizon(const train_config *c, uint32_t number, uint64_t restart) {
    const uint64_t seed = (uint64_t)c->seed;
    const float u = random_uniform(seed, RANDOM_TRAIN_HORIZON, number, restart, 0);
    uint64_t length = 0;
    if (c->horizon == HORIZON_WINDOWS) {
        length = rounded_at_most(1.0 + exponential(c->horizon_windows_mean, u), c->horizon_windows_max);
    } else {
        double low = log((double)c->horizon_min), high = log((double)c->horizon_max);
        length = rounded_at_most(exp(low + (high - low) * (double)u), c->horizon_max);
    }
    if (restart == 0)
        length = (uint64_t)ceil((double)length * (1.0 - (double)random_uniform(seed, RANDOM_TRAIN_STAGGER, number, 0, 0)));
    return length > 0 ? length : 1;
}

void particle_free(particle *p) {
    episode_free(p->episode);
    lopt_task_free(p->task);
    free(p->unopened);
    p->unopened = NULL;
    p->episode = NULL;
    p->task = NULL;
}

static uint64_t seed_of(const train_config *c, const particle *p, uint32_t which) {
    return random_seed((uint64_t)c->seed, RANDOM_TRAIN_SEED, (uint32_t)p->number, p->restart, which);
}

size_t particle_spec(const train_config *c, const corpus *tasks, uint64_t number, uint64_t restart) {
    return random_to_below(random_bits((uint64_t)c->seed, RANDOM_TRAIN_TASK, (uint32_t)number, restart, 0).u[0],
                           (uint32_t)tasks->count);
}

lopt_status particle_prepare(const train_config *c, const corpus *tasks, const weight_layout *layout, particle *p) {
    const uint32_t number = (uint32_t)p->number;
    particle_free(p);
    p->spec = particle_spec(c, tasks, p->number, p->restart);
    p->left = horizon(c, number, p->restart);
    const task_spread spread = {c->rescale_model, c->rescale_tensor, c->rescale_parameter};
    const int rescaled = (double)random_uniform((uint64_t)c->seed, RANDOM_TRAIN_AUGMENT, number, p->restart, 0) < c->rescale_share;
    LOPT_TRY(task_create(tasks->spec[p->spec], seed_of(c, p, 0), rescaled ? &spread : NULL, &p->task));
    return episode_create(c, layout, p->task, seed_of(c, p, 1), seed_of(c, p, 2), &p->episode);
}

static void end(particle *p) {
    particle_free(p);
    p->left = 0;
    p->restart++;
}

lopt_status particle_advance(const train_config *c, const corpus *tasks, const prepared_weights *w, size_t steps,
                             estimate_workspace *ws, particle *p, float *gradient, particle_report *out) {
    const size_t count = prepared_layout(w)->count;
    const uint64_t cost = c->horizon == HORIZON_WINDOWS ? 1 : steps;
    const double called = clock_thread_seconds();
    estimate e;
    const int begins = p->left == 0;
    if (begins) LOPT_TRY(particle_prepare(c, tasks, prepared_layout(w), p));
    const double started = clock_thread_seconds();
    LOPT_TRY(estimate_window(c, w, p->episode, steps, ws, gradient, &e));
    const int finite = isfinite(e.meta_loss) && cpu_kernels_current()->all_finite(gradient, count);
    if (finite) meta_clip(c, gradient, count);
    else memset(gradient, 0, count * sizeof(float));
    const int hopeless = !finite || e.meta_loss > c->loss_cap;
    *out = (particle_report){hopeless ? c->loss_cap : e.meta_loss,
                             !finite,
                             hopeless || p->left <= cost,
                             e.bounded,
                             p->spec,
                             begins ? started - called : 0.0,
                             clock_thread_seconds() - started};
    p->left -= cost < p->left ? cost : p->left;
    if (out->restarted) end(p);
    return LOPT_OK;
}
