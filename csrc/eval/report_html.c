/* report.html: the page around the parts. */
#include "base/status.h"
#include "csrc/eval/figures.h"
#include "csrc/eval/outputs.h"
#include "csrc/eval/report.h"

static void add_head(text_buffer *b, const eval_results *r) {
    text_add(b, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>"
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/><title>lopt evaluation: ");
    text_add_escaped(b, r->suite);
    text_add(b, "</title>\n<style>");
    report_add_style(b);
    text_add(b, "</style></head>\n<body><main>\n");
}

static void add_introduction(text_buffer *b, const eval_results *r) {
    text_add(b, "<header><h1>Learned optimizers against tuned baselines</h1>\n<p>Suite <b>");
    text_add_escaped(b, r->suite);
    text_add(b, "</b>: %zu task%s, %zu steps, %zu seed%s each. ", r->num_tasks, r->num_tasks == 1 ? "" : "s", r->grid.steps,
             r->seeds, r->seeds == 1 ? "" : "s");
    text_add(
        b,
        "The learned optimizers run without any tuning; each of the %d baselines takes, for each task, the best of %d learning "
        "rates from 1e-7 to 1. All start from the same points and see the same batches.</p></header>\n",
        BASELINE_COUNT, EVAL_RATE_COUNT);
}

static lopt_status add_figures(text_buffer *b, const eval_results *r) {
    text_add(
        b, "<h2>Loss curves</h2>\n<p>Whole-data loss, logarithmic, at the median seed; bands reach from the best to the worst seed "
           "of a learned optimizer. A curve that ends in &#215; diverged there.");
    if (figures_learned(r) < r->num_learned)
        text_add(b, " Of the %zu learned optimizers the first %zu are drawn.", r->num_learned, figures_learned(r));
    text_add(b, "</p>\n<div class=\"figures\">\n");
    for (size_t i = 0; i < r->num_tasks; i++) {
        text_add(b, "<figure><figcaption>");
        text_add_escaped(b, r->tasks[i].spec);
        text_add(b, "<small>%zu parameters in %zu tensor%s</small></figcaption>", r->tasks[i].parameters, r->tasks[i].tensors,
                 r->tasks[i].tensors == 1 ? "" : "s");
        LOPT_TRY(figure_task(b, r, i));
        text_add(b, "</figure>\n");
    }
    text_add(b, "</div>\n");
    return LOPT_OK;
}

static lopt_status add_page(text_buffer *b, const eval_results *r) {
    add_head(b, r);
    add_introduction(b, r);
    report_add_cards(b, r);
    text_add(b, "<h2>Results by task</h2>\n");
    report_add_table(b, r);
    LOPT_TRY(add_figures(b, r));
    text_add(b, "<h2>All baselines</h2>\n");
    report_add_baselines(b, r);
    text_add(b, "<h2>How it was measured</h2>\n");
    report_add_method(b, r);
    text_add(
        b,
        "<footer>lopt %s, evaluation protocol %d, seed %llu. Numbers: results.json, results.csv.</footer>\n</main></body></html>\n",
        lopt_version(), EVAL_PROTOCOL, (unsigned long long)r->seed);
    return LOPT_OK;
}

/* A text that is made by `add`, or nothing. */
static lopt_status finish(lopt_status (*add)(text_buffer *b, const eval_results *r), const eval_results *r, char **out) {
    text_buffer b = TEXT_BUFFER_INIT;
    lopt_status status = LOPT_OK;
    LOPT_TRY_CLEANUP(add(&b, r));
    return text_take(&b, out);
cleanup:
    text_release(&b);
    return status;
}

lopt_status output_html(const eval_results *r, char **out) { return finish(add_page, r, out); }
lopt_status output_svg(const eval_results *r, char **out) { return finish(figure_sheet, r, out); }
