#include "csrc/train/metrics.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/status.h"
#include "csrc/io/atomic_file.h"

/* The meta-iteration of a line; 0: not a line of ours. */
static uint64_t line_iteration(const char *line) {
    json_t *object = json_loads(line, 0, NULL);
    json_int_t iteration = json_integer_value(json_object_get(object, "iteration"));
    json_decref(object);
    return iteration > 0 ? (uint64_t)iteration : 0;
}

/* Copies the lines to keep into a replacement of the file. */
static lopt_status keep_lines(FILE *from, uint64_t iteration, const char *path) {
    atomic_file to;
    char *line = NULL;
    size_t room = 0;
    ssize_t length = 0;
    lopt_status status = LOPT_OK;
    LOPT_TRY(atomic_file_begin(path, &to));
    while (status == LOPT_OK && (length = getline(&line, &room, from)) > 0) {
        uint64_t at = line[length - 1] == '\n' ? line_iteration(line) : 0;
        if (at > 0 && at <= iteration) status = atomic_file_append(&to, line, (size_t)length);
    }
    free(line);
    if (status == LOPT_OK && !feof(from)) status = lopt_fail(LOPT_ERR_IO, "cannot read %s: %s", path, strerror(errno));
    if (status == LOPT_OK) return atomic_file_commit(&to);
    atomic_file_abort(&to);
    return status;
}

lopt_status metrics_open(const char *path, uint64_t iteration, FILE **out) {
    FILE *old = fopen(path, "re");
    LOPT_CHECK(old != NULL || errno == ENOENT, LOPT_ERR_IO, "cannot read %s: %s", path, strerror(errno));
    if (old) {
        lopt_status status = keep_lines(old, iteration, path);
        fclose(old);
        LOPT_TRY(status);
    }
    FILE *f = fopen(path, "ae");
    LOPT_CHECK(f != NULL, LOPT_ERR_IO, "cannot write %s: %s", path, strerror(errno));
    *out = f;
    return LOPT_OK;
}

/* {"quadratic": mean meta-loss, ...} over the particles of each family. */
static json_t *family_losses(const trainer *t) {
    json_t *sums = json_object(), *counts = json_object();
    const char *key;
    json_t *value;
    for (size_t p = 0; p < t->num_particles; p++) {
        const char *family = t->tasks.family[t->reports[p].spec];
        double sum = json_real_value(json_object_get(sums, family)) + t->reports[p].meta_loss;
        json_int_t count = json_integer_value(json_object_get(counts, family)) + 1;
        json_object_set_new(sums, family, json_real(sum));
        json_object_set_new(counts, family, json_integer(count));
    }
    json_object_foreach(sums, key, value)
        json_real_set(value, json_real_value(value) / (double)json_integer_value(json_object_get(counts, key)));
    json_decref(counts);
    return sums;
}

lopt_status metrics_write(FILE *f, const trainer *t, const iteration_report *r, double seconds) {
    json_t *o = json_pack("{s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:f, s:o}", "iteration", (json_int_t)t->iteration,
                          "inner_steps", (json_int_t)t->inner_steps, "window", (json_int_t)r->window, "meta_loss", r->meta_loss,
                          "meta_loss_average", t->meta_loss_average, "gradient_norm", r->gradient_norm, "learning_rate",
                          r->learning_rate, "diverged", (json_int_t)r->diverged, "restarted", (json_int_t)r->restarted, "bounded",
                          (json_int_t)r->bounded, "seconds", seconds, "families", family_losses(t));
    LOPT_CHECK(o != NULL, LOPT_ERR_MEMORY, "no memory for the metrics");
    int bad = json_dumpf(o, f, JSON_COMPACT | JSON_REAL_PRECISION(9)) != 0 || fputc('\n', f) == EOF || fflush(f) != 0;
    json_decref(o);
    LOPT_CHECK(!bad, LOPT_ERR_IO, "cannot write metrics.jsonl: %s", strerror(errno));
    return LOPT_OK;
}

lopt_status metrics_sync(FILE *f) {
    const int bad = fflush(f) != 0 || (fdatasync(fileno(f)) != 0 && errno != EINVAL);
    LOPT_CHECK(!bad, LOPT_ERR_IO, "cannot write metrics.jsonl to the disk: %s", strerror(errno));
    return LOPT_OK;
}

lopt_status metrics_close(FILE *f) {
    if (f == NULL) return LOPT_OK;
    LOPT_CHECK(fclose(f) == 0, LOPT_ERR_IO, "cannot write metrics.jsonl: %s", strerror(errno));
    return LOPT_OK;
}
