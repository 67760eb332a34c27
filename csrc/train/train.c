/* lopt_train: a meta-training in a run directory, from its start or from a checkpoint, to its end or to a stop. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "base/struct_size.h"
#include "csrc/bench/clock.h"
#include "csrc/comm/agree.h"
#include "csrc/io/json_text.h"
#include "csrc/optimizer/subnormals.h"
#include "csrc/train/checkpoint.h"
#include "csrc/train/config_keys.h"
#include "csrc/train/metrics.h"
#include "csrc/train/session.h"

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
    json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "configuration", configuration, "seed", seed, "corpus", tasks_text,
                          "meta_iterations", iterations);
    text = o ? json_text(o, JSON_COMPACT) : NULL;
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
    w->guarded = s->config.weights_guard;
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

/* ---- Going on -------------------------------------------------------------------------------------------------------------- */

static lopt_status save_rest(const session *s) {
    LOPT_TRY(save_weights(s));
    return run_directory_prune(&s->directory, s->trainer->iteration);
}

/* The metrics must not end before the checkpoint does, whatever happens to the machine. */
static lopt_status before_saving(const session *s, char **path) {
    LOPT_TRY(metrics_sync(s->metrics));
    return run_directory_checkpoint(&s->directory, s->trainer->iteration, path);
}

static lopt_status save(session *s) {
    char *path = NULL;
    LOPT_TRY(comm_agree(s->comm, s->first ? before_saving(s, &path) : LOPT_OK));
    lopt_status status = checkpoint_save(s->trainer, path);
    free(path);
    LOPT_TRY(status);
    s->saved = clock_seconds();
    return comm_agree(s->comm, s->first ? save_rest(s) : LOPT_OK);
}

/* Tells the caller; 1: to stop. */
static int report(const session *s, const iteration_report *r, const char *note) {
    const trainer *t = s->trainer;
    const lopt_train_progress p = {t->iteration,
                                   (uint64_t)s->config.iterations,
                                   t->inner_steps - s->steps_before,
                                   clock_seconds() - s->started,
                                   r->meta_loss,
                                   t->meta_loss_average,
                                   r->gradient_norm,
                                   r->learning_rate,
                                   r->diverged,
                                   r->restarted,
                                   r->window,
                                   note};
    int stop = s->first && s->options.progress ? s->options.progress(s->options.self, &p) : 0;
    return stop || (s->options.stop && *s->options.stop);
}

/* What of the configuration leaves weights as they are, in a way that is easily overlooked. */
static const char *stuck_note(const session *s) {
    const int only_exact = !estimator_of(&s->config)->perturbs; /* perturbations reach every weight */
    if (s->trainer->layout.dims.attention && !s->config.second_derivatives && only_exact)
        return "second_derivatives is false: the attention.* weights get no gradient and stay as they are";
    return NULL;
}

static const char *random_note(const session *s) {
    size_t trained = 0;
    for (size_t i = 0; i < s->trainer->layout.count; i++) trained += s->trainer->meta.trained[i] != 0.0f;
    if (trained < s->trainer->layout.count && s->config.weights_from[0] == 0)
        return "weights.trained names part of the weights, and there is no weights.from: the others stay as they were drawn";
    return NULL;
}

static int report_notes(const session *s) {
    const iteration_report none = {0};
    const char *notes[] = {s->note, stuck_note(s), random_note(s)};
    int stop = s->options.stop && *s->options.stop;
    for (size_t i = 0; i < sizeof notes / sizeof notes[0]; i++)
        if (notes[i]) stop |= report(s, &none, notes[i]);
    return stop;
}

/* Rank 0's clock counts. */
static int is_due(const session *s) {
    const double minutes = s->config.checkpoint_minutes;
    return s->trainer->iteration % (uint64_t)s->config.checkpoint_every == 0 ||
           (s->first && minutes > 0.0 && clock_seconds() - s->saved >= 60.0 * minutes);
}

/* Collective: 1 on all ranks if it is 1 on any. */
static lopt_status any(const session *s, int *flags, size_t count) {
    const int size = lopt_comm_size(s->comm);
    void *memory = NULL;
    if (size == 1) return LOPT_OK;
    LOPT_TRY(comm_alone(s->comm, memory_alloc((size_t)size, sizeof(size_t) + count * sizeof(int), "flags", &memory)));
    size_t *bytes = memory;
    int *all = (int *)(bytes + size);
    for (int r = 0; r < size; r++) bytes[r] = count * sizeof(int);
    lopt_status status = lopt_comm_allgather(s->comm, flags, bytes, all);
    for (size_t i = 0; status == LOPT_OK && i < (size_t)size * count; i++) flags[i % count] |= all[i];
    free(memory);
    return status;
}

enum { FLAG_STOP, FLAG_SAVE, FLAGS };

static lopt_status go_on(session *s, int flags[FLAGS]) {
    iteration_report r = {0};
    LOPT_TRY(trainer_iterate(s->trainer, &r));
    LOPT_TRY(comm_agree(s->comm, s->first ? metrics_write(s->metrics, s->trainer, &r, clock_seconds() - s->started) : LOPT_OK));
    flags[FLAG_SAVE] = is_due(s);
    flags[FLAG_STOP] = report(s, &r, NULL);
    return any(s, flags, FLAGS);
}

static lopt_status iterate(session *s, int *stopped) {
    const uint64_t wanted = (uint64_t)s->config.iterations;
    const trainer *t = s->trainer;
    uint64_t saved = UINT64_MAX;
    int flags[FLAGS] = {report_notes(s), 0};
    LOPT_TRY(any(s, flags, FLAGS));
    while (t->iteration < wanted && !flags[FLAG_STOP]) {
        LOPT_TRY(go_on(s, flags));
        if (!flags[FLAG_SAVE] && !flags[FLAG_STOP]) continue;
        LOPT_TRY(save(s));
        saved = t->iteration;
    }
    *stopped = t->iteration < wanted;
    return saved == t->iteration ? LOPT_OK : save(s);
}

/* ---- The call -------------------------------------------------------------------------------------------------------------- */

static lopt_status check(const lopt_train_options *o) {
    LOPT_CHECK(o != NULL && STRUCT_SIZE_FITS(lopt_train_options, o->struct_size), LOPT_ERR_ARGUMENT,
               "lopt_train: options must be given; start from LOPT_TRAIN_OPTIONS_INIT");
    return LOPT_OK;
}

static __attribute__((noinline)) lopt_status train(session *s, int *stopped) {
    LOPT_TRY(session_start(s));
    LOPT_TRY(iterate(s, stopped));
    lopt_status closed = metrics_close(s->metrics);
    s->metrics = NULL;
    return comm_agree(s->comm, closed);
}

static void end(session *s, lopt_comm *own) {
    if (s->deadline_before > 0.0) s->comm->deadline = s->deadline_before;
    metrics_close(s->metrics);
    trainer_free(s->trainer);
    config_free(&s->config);
    run_directory_close(&s->directory);
    free(s->note);
    lopt_comm_close(own);
}

lopt_status lopt_train(const lopt_train_options *options, int *stopped) {
    session s = {.options = LOPT_TRAIN_OPTIONS_INIT, .directory = RUN_DIRECTORY_NONE};
    lopt_comm *own = NULL;
    int early = 0;
    LOPT_TRY(check(options));
    memcpy(&s.options, options, options->struct_size < sizeof s.options ? options->struct_size : sizeof s.options);
    LOPT_CHECK(s.options.out_dir != NULL && s.options.out_dir[0] != 0, LOPT_ERR_ARGUMENT,
               "lopt_train: a run directory (out_dir) is needed");
    LOPT_CHECK(s.options.num_overrides == 0 || s.options.overrides != NULL, LOPT_ERR_ARGUMENT, "lopt_train: overrides is NULL");
    if (s.options.comm == NULL) LOPT_TRY(lopt_comm_open("self", &own));
    s.comm = own ? own : s.options.comm;
    s.first = lopt_comm_rank(s.comm) == 0;
    const unsigned mode = subnormals_on();
    lopt_status status = train(&s, &early);
    subnormals_restore(mode);
    end(&s, own);
    if (status == LOPT_OK && stopped) *stopped = early;
    return status;
}
