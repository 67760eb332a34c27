#include "csrc/eval/outputs.h"

#include <stdlib.h>

#include "base/plain_locale.h"
#include "base/status.h"
#include "csrc/eval/text_buffer.h"
#include "csrc/io/files.h"

static lopt_status write_output(const char *dir, const char *name, lopt_status (*make)(const eval_results *r, char **out),
                                const eval_results *r) {
    lopt_status status = LOPT_OK;
    char *text = NULL, *path = NULL;
    text_buffer b = TEXT_BUFFER_INIT;
    text_add(&b, "%s/%s", dir, name);
    LOPT_TRY_CLEANUP(text_take(&b, &path));
    LOPT_TRY_CLEANUP(make(r, &text));
    LOPT_TRY_CLEANUP(files_write_text(path, text));
cleanup:
    free(text);
    free(path);
    return status;
}

static lopt_status write_outputs(const char *dir, const eval_results *r, char **summary) {
    LOPT_TRY(write_output(dir, "results.csv", output_csv, r));
    if (r->alone) return output_alone(r, summary);
    LOPT_TRY(write_output(dir, "results.json", output_json, r));
    LOPT_TRY(write_output(dir, "summary.svg", output_svg, r));
    LOPT_TRY(write_output(dir, "report.html", output_html, r));
    return output_summary(r, summary);
}

/* With a point as decimal sign, whatever language the program runs in. */
lopt_status outputs_write(const char *dir, const eval_results *r, char **summary) {
    const locale_t before = plain_locale_enter();
    const lopt_status status = write_outputs(dir, r, summary);
    plain_locale_leave(before);
    return status;
}
