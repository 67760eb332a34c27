/* A particle: one of the episodes that go on side by side. All it draws depends on (seed, its number, its restart count) alone. */
#ifndef LOPT_TRAIN_PARTICLE_H
#define LOPT_TRAIN_PARTICLE_H

#include "csrc/train/corpus.h"
#include "csrc/train/estimate.h"

typedef struct particle {
    uint64_t number, restart; /* restart: how many runs it has finished */
    uint64_t left;   /* of the present run: windows, or steps with a log-uniform horizon; 0: the next window begins a new run */
    size_t spec;     /* in the corpus */
    lopt_task *task; /* NULL while left is 0 or its parcel is unopened, as episode */
    episode *episode;
    struct parcel *unopened; /* its state as it has come from another rank; NULL: none */
} particle;

/* What one window of a particle gave. */
typedef struct particle_report {
    double meta_loss; /* capped: a diverged particle counts for the cap */
    int diverged;     /* 1: something was not finite, or beyond 1e18 in the meta-gradient; no gradient */
    int restarted;    /* 1: this run has ended, the next window begins another */
    size_t bounded, spec;
    double setup;   /* processor time that setting its task up took; 0: that was done before */
    double seconds; /* and the window */
} particle_report;

/* The task of the corpus that run `restart` of particle `number` draws. */
size_t particle_spec(const train_config *c, const corpus *tasks, uint64_t number, uint64_t restart);
/* Makes the task and the episode that (number, restart) stand for, not started, with its whole length left: resuming fills in the rest. */
lopt_status particle_prepare(const train_config *c, const corpus *tasks, const weight_layout *layout, particle *p);
void particle_free(particle *p);
/* One window of `steps` steps, the first of a new run if none is under way; gradient [count] out, clipped. A run that is finished or has
 * diverged is dropped. */
lopt_status particle_advance(const train_config *c, const corpus *tasks, const prepared_weights *w, size_t steps,
                             estimate_workspace *ws, particle *p, float *gradient, particle_report *out);

/* Length of the window of a meta-iteration, common to all particles. */
size_t window_length(const train_config *c, uint64_t iteration);

#endif
