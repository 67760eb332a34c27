/* lopt_train: a meta-training in a run directory, from its start or from a checkpoint, to its end or to a stop. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/bench/clock.h"
#include "csrc/io/files.h"
#include "csrc/train/checkpoint.h"
#include "csrc/train/config_keys.h"
#include "csrc/train/metrics.h"
#include "csrc/train/run_directory.h"

enum { CHECKPOINTS_TRIED = 8, OPTIONS_MAX = 4096 };

typedef struct session {
    lopt_train_options options;
    run_directory directory;
    train_config config;
    trainer *trainer;
    FILE *metrics;
    double started;
    uint64_t steps_before; /* inner steps done by earlier processes */
} session;

/* ---- Configuration ------------------------------------------------------------------------------------------------------- */

static lopt_status apply(const session *s, train_config *c) {
    if (s->options.config_path) LOPT_TRY(config_read_file(c, s->options.config_path));
    for (size_t i = 0; i < s->options.num_overrides; i++) LOPT_TRY(config_override(c, s->options.overrides[i]));
    return config_check(c);
}

/* What the run has so far, and what the caller wants of it now: only keys marked so may differ. */
static lopt_status resumed_config(session *s, const char *path) {
    lopt_status status = LOPT_OK;
    train_config saved;
    LOPT_TRY(config_defaults(&saved));
    LOPT_TRY_CLEANUP(config_read_file(&saved, path));
    if (s->options.config_path == NULL) LOPT_TRY_CLEANUP(config_read_file(&s->config, path));
    LOPT_TRY_CLEANUP(apply(s, &s->config));
    LOPT_TRY_CLEANUP(config_same_run(&saved, &s->config));
cleanup:
    config_free(&saved);
    return status;
}

static lopt_status make_config(session *s) {
    lopt_status status = LOPT_OK;
    char *path = NULL, *text = NULL;
    const int has_run = run_directory_has_run(&s->directory);
    LOPT_CHECK(s->options.resume || !has_run, LOPT_ERR_ARGUMENT,
               "%s holds a run already: resume goes on with it, or choose another directory", s->directory.path);
    LOPT_CHECK(!s->options.resume || has_run, LOPT_ERR_ARGUMENT, "%s holds no run to resume", s->directory.path);
    LOPT_TRY(config_defaults(&s->config));
    LOPT_TRY_CLEANUP(run_directory_file(&s->directory, "config.json", &path));
    LOPT_TRY_CLEANUP(s->options.resume ? resumed_config(s, path) : apply(s, &s->config));
    LOPT_TRY_CLEANUP(config_json(&s->config, &text));
    LOPT_TRY_CLEANUP(files_write_text(path, text));
cleanup:
    free(text);
    free(path);
    return status;
}

/* ---- Weights that others can use ------------------------------------------------------------------------------------------ */

static lopt_status provenance(const session *s, char **out) {
    char *configuration = NULL, *text = NULL, *tasks_text = NULL, seed[24], iterations[24];
    size_t tasks = 0;
    lopt_status status = LOPT_OK;
    LOPT_TRY(config_json(&s->config, &configuration));
    LOPT_TRY_CLEANUP(config_find("tasks", &tasks));
    LOPT_TRY_CLEANUP(config_text(&s->config, tasks, &tasks_text));
    snprintf(seed, sizeof seed, "%lld", (long long)s->config.seed);
    snprintf(iterations, sizeof iterations, "%llu", (unsigned long long)s->trainer->iteration);
    json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "configuration", configuration, "seed", seed, "corpus", tasks_text, "meta_iterations",
                          iterations);
    text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    LOPT_CHECK_CLEANUP(text != NULL, LOPT_ERR_MEMORY, "no memory for the weights' provenance");
    *out = text;
cleanup:
    free(configuration);
    free(tasks_text);
    return status;
}

static lopt_status save_weights(const session *s) {
    lopt_status status = LOPT_OK;
    lopt_weights *w = NULL;
    char *path = NULL, *text = NULL;
    LOPT_TRY(weights_create(s->trainer->layout.dims, &w));
    memcpy(w->data, s->trainer->meta.average, w->layout.count * sizeof(float));
    LOPT_TRY_CLEANUP(provenance(s, &text));
    LOPT_TRY_CLEANUP(weights_set_provenance(w, text));
    LOPT_TRY_CLEANUP(run_directory_file(&s->directory, "weights.safetensors", &path));
    LOPT_TRY_CLEANUP(lopt_weights_save(w, path));
cleanup:
    free(path);
    free(text);
    lopt_weights_free(w);
    return status;
}

/* ---- Start ----------------------------------------------------------------------------------------------------------------- */

static lopt_status fresh_weights(const train_config *c, lopt_weights **out) {
    LOPT_TRY(lopt_weights_init(c->weights_options, (uint64_t)c->seed, out));
    const weight_tensor *update = &(*out)->layout.tensor[W_UPDATE_KERNEL];
    for (size_t i = 0; i < update->count; i++) (*out)->data[update->offset + i] *= (float)c->weights_update_scale;
    return LOPT_OK;
}

/* A resumed run takes the shape from its own directory: the file that it once started from may be gone. */
static lopt_status starting_weights(const session *s, lopt_weights **out) {
    char *path = NULL;
    if (s->config.weights_from[0] == 0) return fresh_weights(&s->config, out);
    LOPT_TRY(run_directory_file(&s->directory, "weights.safetensors", &path));
    const int own = s->options.resume && access(path, F_OK) == 0; /* there is none before the first checkpoint */
    lopt_status status = lopt_weights_load(own ? path : s->config.weights_from, out);
    free(path);
    return status;
}

static lopt_status load_checkpoint(session *s, const lopt_weights *start, uint64_t iteration) {
    char *path = NULL;
    trainer *fresh = NULL;
    LOPT_TRY(run_directory_checkpoint(&s->directory, iteration, &path));
    lopt_status status = trainer_create(&s->config, start, &fresh);
    if (status == LOPT_OK) status = checkpoint_load(fresh, path);
    free(path);
    if (status != LOPT_OK) {
        trainer_free(fresh);
        return status;
    }
    trainer_free(s->trainer);
    s->trainer = fresh;
    return LOPT_OK;
}

/* The newest checkpoint that is whole. No checkpoint at all: the run was stopped before its first, and starts anew. */
static lopt_status newest_checkpoint(session *s, const lopt_weights *start) {
    uint64_t iterations[CHECKPOINTS_TRIED];
    size_t count = 0;
    lopt_status status = LOPT_OK;
    LOPT_TRY(run_directory_checkpoints(&s->directory, iterations, CHECKPOINTS_TRIED, &count));
    for (size_t i = 0; i < count; i++) {
        status = load_checkpoint(s, start, iterations[i]);
        if (status == LOPT_OK) return LOPT_OK;
    }
    return status;
}

static lopt_status begin(session *s) {
    lopt_status status = LOPT_OK;
    lopt_weights *start = NULL;
    char *path = NULL;
    LOPT_TRY(starting_weights(s, &start));
    LOPT_TRY_CLEANUP(trainer_create(&s->config, start, &s->trainer));
    if (s->options.resume) LOPT_TRY_CLEANUP(newest_checkpoint(s, start));
    LOPT_TRY_CLEANUP(run_directory_file(&s->directory, "metrics.jsonl", &path));
    LOPT_TRY_CLEANUP(metrics_open(path, s->trainer->iteration, &s->metrics));
    s->steps_before = s->trainer->inner_steps;
    s->started = clock_seconds();
cleanup:
    free(path);
    lopt_weights_free(start);
    return status;
}

/* ---- Going on -------------------------------------------------------------------------------------------------------------- */

static lopt_status save(const session *s) {
    char *path = NULL;
    LOPT_TRY(run_directory_checkpoint(&s->directory, s->trainer->iteration, &path));
    lopt_status status = checkpoint_save(s->trainer, path);
    free(path);
    LOPT_TRY(status);
    LOPT_TRY(save_weights(s));
    return run_directory_prune(&s->directory);
}

/* Tells the caller; 1: to stop. */
static int report(const session *s, const iteration_report *r, const char *note) {
    const trainer *t = s->trainer;
    const lopt_train_progress p = {t->iteration, (uint64_t)s->config.iterations, t->inner_steps - s->steps_before,
                                   clock_seconds() - s->started, r->meta_loss, t->meta_loss_average, r->gradient_norm,
                                   r->learning_rate, r->diverged, r->restarted, r->window, note};
    int stop = s->options.progress ? s->options.progress(s->options.self, &p) : 0;
    return stop || (s->options.stop && *s->options.stop);
}

static const char *note_of(const session *s) {
    const int only_exact = !estimator_of(&s->config)->perturbs; /* perturbations reach every weight */
    if (s->trainer->layout.dims.attention && !s->config.second_derivatives && only_exact)
        return "second_derivatives is false: the attention.* weights get no gradient and stay as they are";
    return NULL;
}

static lopt_status iterate(session *s, int *stopped) {
    const uint64_t wanted = (uint64_t)s->config.iterations;
    trainer *t = s->trainer;
    iteration_report r = {0};
    uint64_t saved = UINT64_MAX;
    *stopped = note_of(s) ? report(s, &r, note_of(s)) : (s->options.stop && *s->options.stop);
    while (t->iteration < wanted && !*stopped) {
        LOPT_TRY(trainer_iterate(t, &r));
        LOPT_TRY(metrics_write(s->metrics, t, &r, clock_seconds() - s->started));
        if (t->iteration % (uint64_t)s->config.checkpoint_every == 0) {
            LOPT_TRY(save(s));
            saved = t->iteration;
        }
        *stopped = report(s, &r, NULL);
    }
    *stopped = t->iteration < wanted;
    return saved == t->iteration ? LOPT_OK : save(s);
}

static lopt_status check(const lopt_train_options *o) {
    LOPT_CHECK(o != NULL && o->struct_size >= sizeof(size_t) && o->struct_size <= OPTIONS_MAX, LOPT_ERR_ARGUMENT,
               "lopt_train: options must be given; start from LOPT_TRAIN_OPTIONS_INIT");
    return LOPT_OK;
}

lopt_status lopt_train(const lopt_train_options *options, int *stopped) {
    session s = {.options = LOPT_TRAIN_OPTIONS_INIT};
    int early = 0;
    LOPT_TRY(check(options));
    memcpy(&s.options, options, options->struct_size < sizeof s.options ? options->struct_size : sizeof s.options);
    LOPT_CHECK(s.options.out_dir != NULL && s.options.out_dir[0] != 0, LOPT_ERR_ARGUMENT, "lopt_train: a run directory (out_dir) is needed");
    LOPT_CHECK(s.options.num_overrides == 0 || s.options.overrides != NULL, LOPT_ERR_ARGUMENT, "lopt_train: overrides is NULL");
    LOPT_TRY(run_directory_open(s.options.out_dir, &s.directory));
    lopt_status status = make_config(&s);
    if (status == LOPT_OK) status = begin(&s);
    if (status == LOPT_OK) status = iterate(&s, &early);
    lopt_status closed = metrics_close(s.metrics);
    if (status == LOPT_OK) status = closed;
    trainer_free(s.trainer);
    config_free(&s.config);
    run_directory_close(&s.directory);
    if (status == LOPT_OK && stopped) *stopped = early;
    return status;
}
