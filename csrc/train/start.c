/* How a training begins or goes on: rank 0 reads what there is, and tells the others. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/bench/clock.h"
#include "csrc/comm/agree.h"
#include "csrc/io/files.h"
#include "csrc/train/checkpoint.h"
#include "csrc/train/config_keys.h"
#include "csrc/train/metrics.h"
#include "csrc/train/session.h"

enum { CHECKPOINTS_TRIED = 8 };

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

/* Rank 0: *text out, the whole of it. */
static lopt_status make_config(session *s, char **text) {
    lopt_status status = LOPT_OK;
    char *path = NULL;
    const int has_run = run_directory_has_run(&s->directory);
    s->directory.made &= !has_run; /* somebody else's by now: nothing of it is ours to remove */
    LOPT_CHECK(s->options.resume || !has_run, LOPT_ERR_ARGUMENT,
               "%s holds a run already: resume (--resume) goes on with it, or choose another directory", s->directory.path);
    LOPT_CHECK(!s->options.resume || has_run, LOPT_ERR_ARGUMENT, "%s holds no run to resume", s->directory.path);
    LOPT_TRY(run_directory_file(&s->directory, "config.json", &path));
    LOPT_TRY_CLEANUP(s->options.resume ? resumed_config(s, path) : apply(s, &s->config));
    LOPT_TRY_CLEANUP(config_json(&s->config, text));
cleanup:
    free(path);
    return status;
}

static lopt_status open_directory(session *s, char **text) {
    LOPT_TRY(run_directory_open(s->options.out_dir, &s->directory));
    return make_config(s, text);
}

static lopt_status share_config(session *s) {
    char *text = NULL;
    lopt_status status = config_defaults(&s->config);
    if (status == LOPT_OK && s->first) status = open_directory(s, &text);
    status = comm_agree(s->comm, status);
    if (status == LOPT_OK) status = comm_broadcast_text(s->comm, &text);
    if (status == LOPT_OK) status = comm_agree(s->comm, s->first ? LOPT_OK : config_read_text(&s->config, text));
    s->deadline_before = s->comm->deadline;
    if (status == LOPT_OK) status = lopt_comm_set_deadline(s->comm, s->config.comm_deadline);
    free(text);
    return status;
}

/* ---- Weights to start from ------------------------------------------------------------------------------------------------- */

static lopt_status fresh_weights(const train_config *c, lopt_weights **out) {
    LOPT_TRY(lopt_weights_init(c->weights_options, (uint64_t)c->seed, out));
    const weight_tensor *update = &(*out)->layout.tensor[W_UPDATE_KERNEL];
    for (size_t i = 0; i < update->count; i++) (*out)->data[update->offset + i] *= (float)c->weights_update_scale;
    return LOPT_OK;
}

/* A resumed run takes the shape from its own directory, since the file that it once started from may be gone; or from that, if its own is damaged. */
static lopt_status starting_weights(const session *s, lopt_weights **out) {
    char *path = NULL;
    if (s->config.weights_from[0] == 0) return fresh_weights(&s->config, out);
    LOPT_TRY(run_directory_file(&s->directory, "weights.safetensors", &path));
    const int own = s->options.resume && access(path, F_OK) == 0; /* there is none before the first checkpoint */
    lopt_status status = lopt_weights_load(own ? path : s->config.weights_from, out);
    if (own && status != LOPT_OK && access(s->config.weights_from, F_OK) == 0)
        status = lopt_weights_load(s->config.weights_from, out);
    free(path);
    return status;
}

static lopt_status share_weights(const session *s, lopt_weights **out) {
    lopt_weights *w = NULL;
    lopt_dims dims;
    memset(&dims, 0, sizeof dims);
    lopt_status status = s->first ? starting_weights(s, &w) : LOPT_OK;
    if (w) dims = w->layout.dims;
    LOPT_TRY_CLEANUP(comm_agree(s->comm, status));
    LOPT_TRY_CLEANUP(lopt_comm_broadcast(s->comm, &dims, sizeof dims, 0));
    LOPT_TRY_CLEANUP(comm_agree(s->comm, s->first ? LOPT_OK : weights_create(dims, &w)));
    LOPT_TRY_CLEANUP(lopt_comm_broadcast(s->comm, w->data, w->layout.count * sizeof(float), 0));
    *out = w;
    return LOPT_OK;
cleanup:
    lopt_weights_free(w);
    return status;
}

/* ---- The newest checkpoint -------------------------------------------------------------------------------------------------- */

/* In place of the trainer that there is: two at once might be more than memory holds. */
static lopt_status load_checkpoint(session *s, const lopt_weights *start, uint64_t iteration) {
    char *path = NULL;
    trainer *fresh = NULL;
    trainer_free(s->trainer);
    s->trainer = NULL;
    LOPT_TRY(trainer_create(&s->config, start, s->comm, &fresh));
    lopt_status status = comm_agree(s->comm, s->first ? run_directory_checkpoint(&s->directory, iteration, &path) : LOPT_OK);
    if (status == LOPT_OK) status = checkpoint_load(fresh, path);
    free(path);
    if (status != LOPT_OK) {
        trainer_free(fresh);
        return status;
    }
    s->trainer = fresh;
    return LOPT_OK;
}

/* Says, in the end, that a checkpoint was passed over, and why. */
static void note_damage(session *s) {
    char *note = NULL;
    if (asprintf(&note, "a checkpoint is damaged and passed over for the one before: %s", lopt_last_error()) < 0) return;
    free(s->note);
    s->note = note;
}

/* Rank 0. Without any checkpoint the run was stopped before its first, and starts anew; the weights are written after that. */
static lopt_status list_checkpoints(const session *s, uint64_t *iterations, size_t *count) {
    char *weights = NULL;
    LOPT_TRY(run_directory_checkpoints(&s->directory, iterations, CHECKPOINTS_TRIED, count));
    LOPT_TRY(run_directory_file(&s->directory, "weights.safetensors", &weights));
    const int had_some = access(weights, F_OK) == 0;
    free(weights);
    LOPT_CHECK(*count > 0 || !had_some, LOPT_ERR_ARGUMENT,
               "%s holds weights but no checkpoint any more, so that this run cannot go on; start a new one from them with "
               "weights.from",
               s->directory.path);
    return LOPT_OK;
}

static lopt_status newest_checkpoint(session *s, const lopt_weights *start) {
    uint64_t iterations[CHECKPOINTS_TRIED + 1] = {0}; /* the last: how many */
    size_t count = 0;
    lopt_status status = s->first ? list_checkpoints(s, iterations, &count) : LOPT_OK;
    iterations[CHECKPOINTS_TRIED] = count;
    LOPT_TRY(comm_agree(s->comm, status));
    LOPT_TRY(lopt_comm_broadcast(s->comm, iterations, sizeof iterations, 0));
    for (size_t i = 0; i < iterations[CHECKPOINTS_TRIED]; i++) {
        status = load_checkpoint(s, start, iterations[i]);
        if (status != LOPT_ERR_FORMAT && status != LOPT_ERR_IO) return status;
        note_damage(s);
    }
    return status;
}

/* ---- All of it ---------------------------------------------------------------------------------------------------------------- */

/* The run is there from now on: only after all that may refuse it, so that one refused can be begun again as it should be. */
static lopt_status open_files(session *s) {
    lopt_status status = LOPT_OK;
    char *config = NULL, *metrics = NULL, *text = NULL;
    LOPT_TRY_CLEANUP(run_directory_file(&s->directory, "config.json", &config));
    LOPT_TRY_CLEANUP(run_directory_file(&s->directory, "metrics.jsonl", &metrics));
    LOPT_TRY_CLEANUP(config_json(&s->config, &text));
    LOPT_TRY_CLEANUP(files_write_text(config, text));
    LOPT_TRY_CLEANUP(metrics_open(metrics, s->trainer->iteration, &s->metrics));
    s->directory.begun = 1;
    /* Those that were passed over are damaged, and must not count among the ones that are kept. */
    if (s->options.resume) LOPT_TRY_CLEANUP(run_directory_prune(&s->directory, s->trainer->iteration));
    run_directory_tidy(&s->directory);
cleanup:
    free(config);
    free(metrics);
    free(text);
    return status;
}

/* Ranks that round differently would each be right, and together wrong. */
typedef struct kind {
    char version[32], isa[32];
} kind;

static lopt_status same_kind(const session *s) {
    kind mine, first;
    memset(&mine, 0, sizeof mine);
    strncpy(mine.version, lopt_version(), sizeof mine.version - 1);
    strncpy(mine.isa, lopt_isa(), sizeof mine.isa - 1);
    first = mine;
    LOPT_TRY(lopt_comm_broadcast(s->comm, &first, sizeof first, 0));
    lopt_status status = LOPT_OK;
    if (strcmp(first.version, mine.version) != 0)
        status = lopt_fail(LOPT_ERR_CONFIG, "this is lopt %s, and rank 0 is lopt %s: install one version on all hosts",
                           mine.version, first.version);
    else if (strcmp(first.isa, mine.isa) != 0)
        status =
            lopt_fail(LOPT_ERR_CONFIG,
                      "this host has the instruction set %s, and rank 0's has %s: the result would depend on who does what; set "
                      "LOPT_ISA to the lesser of the two for all ranks",
                      mine.isa, first.isa);
    return comm_agree(s->comm, status);
}

lopt_status session_start(session *s) {
    lopt_status status = LOPT_OK;
    lopt_weights *start = NULL;
    LOPT_TRY(same_kind(s));
    LOPT_TRY(share_config(s));
    LOPT_TRY_CLEANUP(share_weights(s, &start));
    LOPT_TRY_CLEANUP(trainer_create(&s->config, start, s->comm, &s->trainer));
    if (s->options.resume) LOPT_TRY_CLEANUP(newest_checkpoint(s, start));
    LOPT_TRY_CLEANUP(comm_agree(s->comm, s->first ? open_files(s) : LOPT_OK));
    s->steps_before = s->trainer->inner_steps;
    s->started = s->saved = clock_seconds();
cleanup:
    lopt_weights_free(start);
    return status;
}
