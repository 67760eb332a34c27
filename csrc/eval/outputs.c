#include "csrc/eval/outputs.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/plain_locale.h"
#include "base/status.h"
#include "csrc/eval/text_buffer.h"
#include "csrc/io/atomic_file.h"
#include "csrc/io/files.h"

typedef struct output {
    const char *name;
    lopt_status (*make)(const eval_results *r, char **text);
} output;

/* The first one is that of every evaluation, the second one tells that there were baselines. */
static const output outputs[] = {
    {"results.csv", output_csv}, {"results.json", output_json}, {"summary.svg", output_svg}, {"report.html", output_html}};
enum { OUTPUTS = sizeof outputs / sizeof outputs[0], OUTPUTS_ALONE = 1 };

static lopt_status path_of(const char *dir, const char *name, char **out) {
    text_buffer b = TEXT_BUFFER_INIT;
    text_add(&b, "%s/%s", dir, name);
    return text_take(&b, out);
}

static lopt_status begin(const char *dir, const char *name, atomic_file *out) {
    lopt_status status = LOPT_OK;
    char *path = NULL;
    LOPT_TRY(path_of(dir, name, &path));
    LOPT_TRY_CLEANUP(atomic_file_begin(path, out));
cleanup:
    free(path);
    return status;
}

static lopt_status begin_output(const char *dir, const output *o, const eval_results *r, atomic_file *out) {
    lopt_status status = LOPT_OK;
    char *text = NULL;
    LOPT_TRY(o->make(r, &text));
    LOPT_TRY_CLEANUP(begin(dir, o->name, out));
    status = atomic_file_append(out, text, strlen(text));
    if (status != LOPT_OK) atomic_file_abort(out);
cleanup:
    free(text);
    return status;
}

/* All texts are on their disk before the first file is replaced, so that a folder does not hold two evaluations. */
static lopt_status write_outputs(const char *dir, const eval_results *r, char **summary) {
    const size_t count = r->alone ? OUTPUTS_ALONE : OUTPUTS;
    atomic_file files[OUTPUTS];
    size_t begun = 0, done = 0;
    lopt_status status = LOPT_OK;
    char *text = NULL;
    LOPT_TRY(r->alone ? output_alone(r, &text) : output_summary(r, &text));
    for (; begun < count; begun++) LOPT_TRY_CLEANUP(begin_output(dir, &outputs[begun], r, &files[begun]));
    while (done < begun) LOPT_TRY_CLEANUP(atomic_file_commit(&files[done++]));
    *summary = text, text = NULL;
cleanup:
    while (done < begun) atomic_file_abort(&files[done++]);
    free(text);
    return status;
}

/* With a point as decimal sign, whatever language the program runs in. */
lopt_status outputs_write(const char *dir, const eval_results *r, char **summary) {
    const locale_t before = plain_locale_enter();
    const lopt_status status = write_outputs(dir, r, summary);
    plain_locale_leave(before);
    return status;
}

lopt_status outputs_check(const char *dir, int alone) {
    char *report = NULL;
    atomic_file probe;
    LOPT_TRY(files_make_directory(dir));
    LOPT_TRY(begin(dir, outputs[0].name, &probe));
    atomic_file_abort(&probe);
    LOPT_TRY(path_of(dir, outputs[1].name, &report));
    const int there = access(report, F_OK) == 0;
    free(report);
    LOPT_CHECK(!alone || !there, LOPT_ERR_ARGUMENT,
               "%s holds the report of an evaluation with baselines, whose results.csv would be replaced; choose another folder",
               dir);
    return LOPT_OK;
}
