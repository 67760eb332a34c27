#include "csrc/eval/sweep_cache.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/eval/json_numbers.h"
#include "csrc/eval/text_buffer.h"
#include "csrc/io/files.h"
#include "csrc/io/json_text.h"
#include "lopt/meta.h"

/* 17 digits bring a double back to the bit. The same flags on both sides, since the checksum is over this text. */
enum {
    DUMP_FLAGS = JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17),
    FINALS_COUNT = BASELINE_COUNT * EVAL_RATE_COUNT,
    FINGERPRINT_STEPS = 3
};

/* Everything that the numbers depend on. The instruction set is part of it: sums differ in their last bits. */
static lopt_status key_text(const sweep_request *q, char **out) {
    text_buffer b = TEXT_BUFFER_INIT;
    text_add(&b, "protocol %d; lopt %s; %s; %s; %zu steps; %zu seeds from %llu; task %016llx", EVAL_PROTOCOL, lopt_version(),
             lopt_isa(), q->spec, q->grid.steps, q->seeds, (unsigned long long)q->seed, (unsigned long long)q->fingerprint);
    return text_take(&b, out);
}

static uint64_t hash_on(uint64_t before, const void *data, size_t bytes) { return XXH3_64bits_withSeed(data, bytes, before); }

/* What some steps of every baseline make of the task: the rules of another build may be others. */
static lopt_status hash_baselines(const lopt_task *t, uint64_t seed, uint64_t *print) {
    double losses[FINGERPRINT_STEPS + 1];
    for (size_t m = 0; m < BASELINE_COUNT; m++) {
        run_outcome out = {losses, 0.0, 0.0};
        run_request q = {
            t, {seed, seed, seed, seed}, eval_grid_make(FINGERPRINT_STEPS), 1, NULL, baseline_get((baseline_id)m), 0.01, NULL};
        LOPT_TRY(run_execute(&q, &out));
        *print = hash_on(hash_on(*print, losses, sizeof losses), &out.accuracy, sizeof out.accuracy);
    }
    return LOPT_OK;
}

lopt_status sweep_fingerprint(const char *spec, uint64_t seed, uint64_t *out) {
    lopt_status status = LOPT_OK;
    lopt_task *t = NULL;
    float *params = NULL, *grad = NULL, *workspace = NULL;
    double seen[3]; /* loss, that of a minibatch, accuracy */
    LOPT_TRY(lopt_task_create(spec, seed, &t));
    const size_t n = task_total(t);
    LOPT_TRY_CLEANUP(memory_floats(n, "a task's start", &params));
    LOPT_TRY_CLEANUP(memory_floats(n, "a task's gradient", &grad));
    LOPT_TRY_CLEANUP(memory_floats(task_workspace(t), "a task's workspace", &workspace));
    LOPT_TRY_CLEANUP(task_init(t, seed, params));
    uint64_t print = hash_on(0, params, n * sizeof *params);
    LOPT_TRY_CLEANUP(task_full_loss_grad(t, params, &seen[0], grad, workspace));
    print = hash_on(print, grad, n * sizeof *grad);
    LOPT_TRY_CLEANUP(task_loss_grad(t, seed, 0, params, &seen[1], grad, workspace));
    print = hash_on(print, grad, n * sizeof *grad);
    seen[2] = task_test_accuracy(t, params, workspace);
    print = hash_on(print, seen, sizeof seen);
    LOPT_TRY_CLEANUP(hash_baselines(t, seed, &print));
    *out = print;
cleanup:
    lopt_task_free(t);
    free(params);
    free(grad);
    free(workspace);
    return status;
}

lopt_status sweep_cache_path(const char *dir, const sweep_request *q, char **out) {
    char *key = NULL;
    LOPT_TRY(key_text(q, &key));
    text_buffer b = TEXT_BUFFER_INIT;
    text_add(&b, "%s/", dir);
    for (size_t i = 0; q->spec[i] && i < 60; i++) text_add(&b, "%c", isalnum((unsigned char)q->spec[i]) ? q->spec[i] : '-');
    text_add(&b, "-%016llx.json", (unsigned long long)XXH3_64bits(key, strlen(key)));
    free(key);
    return text_take(&b, out);
}

/* Hexadecimal XXH3-64 of the dumped value. 0: no memory. */
static int checksum_of(const json_t *value, char out[17]) {
    char *text = json_text(value, DUMP_FLAGS);
    if (text == NULL) return 0;
    snprintf(out, 17, "%016llx", (unsigned long long)XXH3_64bits(text, strlen(text)));
    free(text);
    return 1;
}

/* ---- Reading ---- */

static int read_curve(const json_t *value, size_t seeds, size_t points, eval_curve *out) {
    return json_read_numbers(json_object_get(value, "losses"), seeds * points, out->losses) &&
           json_read_numbers(json_object_get(value, "accuracy"), seeds, out->accuracy) &&
           json_read_number(json_object_get(value, "seconds_per_step"), &out->seconds_per_step);
}

static int read_sweep(const json_t *value, const sweep_request *q, task_sweep *out) {
    const json_t *curves = json_object_get(value, "curves");
    int good = json_read_numbers(json_object_get(value, "finals"), FINALS_COUNT * q->seeds, out->finals) &&
               json_array_size(curves) == SWEEP_CURVES;
    for (size_t i = 0; good && i < SWEEP_CURVES; i++)
        good = read_curve(json_array_get(curves, i), q->seeds, q->grid.count, &out->curves[i]);
    return good;
}

static int is_intact(const json_t *root, const char *key) {
    char sum[17];
    const char *kept_key = json_string_value(json_object_get(root, "key"));
    const char *kept_sum = json_string_value(json_object_get(root, "checksum"));
    return kept_key && kept_sum && strcmp(kept_key, key) == 0 && checksum_of(json_object_get(root, "sweep"), sum) &&
           strcmp(kept_sum, sum) == 0;
}

int sweep_cache_load(const char *dir, const sweep_request *q, task_sweep *out) {
    char *path = NULL, *key = NULL;
    json_t *root = NULL;
    int good = sweep_cache_path(dir, q, &path) == LOPT_OK && key_text(q, &key) == LOPT_OK;
    if (good) root = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    good = root && is_intact(root, key) && read_sweep(json_object_get(root, "sweep"), q, out);
    json_decref(root);
    free(path);
    free(key);
    return good;
}

/* ---- Writing ---- */

static json_t *write_curve(const eval_curve *c, size_t seeds, size_t points) {
    return json_pack("{s:o, s:o, s:o}", "losses", json_numbers(c->losses, seeds * points), "accuracy",
                     json_numbers(c->accuracy, seeds), "seconds_per_step", json_number(c->seconds_per_step));
}

static json_t *write_sweep(const sweep_request *q, const task_sweep *sweep) {
    json_t *curves = json_array();
    int failed = curves == NULL;
    for (size_t i = 0; i < SWEEP_CURVES; i++)
        failed |= json_array_append_new(curves, write_curve(&sweep->curves[i], q->seeds, q->grid.count)) != 0;
    if (failed) {
        json_decref(curves);
        return NULL;
    }
    return json_pack("{s:o, s:o}", "finals", json_numbers(sweep->finals, FINALS_COUNT * q->seeds), "curves", curves);
}

/* The whole file as text, or NULL. */
static char *dump_file(const char *key, const sweep_request *q, const task_sweep *sweep) {
    char sum[17];
    json_t *value = write_sweep(q, sweep);
    json_t *root =
        value && checksum_of(value, sum) ? json_pack("{s:s, s:s, s:O}", "key", key, "checksum", sum, "sweep", value) : NULL;
    char *text = root ? json_text(root, DUMP_FLAGS) : NULL;
    json_decref(value);
    json_decref(root);
    return text;
}

lopt_status sweep_cache_store(const char *dir, const sweep_request *q, const task_sweep *sweep) {
    lopt_status status = LOPT_OK;
    char *path = NULL, *key = NULL, *text = NULL;
    LOPT_TRY_CLEANUP(files_make_directory(dir));
    LOPT_TRY_CLEANUP(sweep_cache_path(dir, q, &path));
    LOPT_TRY_CLEANUP(key_text(q, &key));
    text = dump_file(key, q, sweep);
    LOPT_CHECK_CLEANUP(text != NULL, LOPT_ERR_MEMORY, "no memory for the baselines of %s; free memory and start again", q->spec);
    LOPT_TRY_CLEANUP(files_write_text(path, text));
cleanup:
    free(path);
    free(key);
    free(text);
    return status;
}
