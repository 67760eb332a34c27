#include "csrc/eval/figures.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/eval/figure_svg.h"
#include "csrc/eval/names.h"
#include "csrc/eval/statistics.h"

enum { RIVAL_CURVES = 3, SHEET_COLUMNS = 4, LABEL_WIDTH = 25, TITLE_WIDTH = 28 };

/* Curves above this many times the starting loss are cut off. */
#define TOP_OVER_START 10.0

typedef struct curve_set {
    figure_series *series; /* [count] */
    size_t count;
    double *values; /* what the series point into */
} curve_set;

static void curve_set_release(curve_set *c) {
    free(c->series);
    free(c->values);
}

/* Appends a curve: median over the seeds and, with band, the range. scratch [seeds] */
static void append(curve_set *set, const eval_results *r, const eval_curve *curve, const char *look, int band, double *scratch) {
    const size_t points = r->grid.count;
    double *values = set->values + set->count * 3 * points;
    figure_series *s = &set->series[set->count++];
    snprintf(s->look, sizeof s->look, "%s", look);
    s->median = values;
    s->low = band ? values + points : NULL;
    s->high = band ? values + 2 * points : NULL;
    for (size_t i = 0; i < points; i++) {
        for (size_t k = 0; k < r->seeds; k++) scratch[k] = curve->losses[k * points + i];
        stat_spread spread = stat_spread_of(scratch, r->seeds);
        values[i] = spread.median;
        values[points + i] = spread.low;
        values[2 * points + i] = spread.high;
    }
}

static void name_baseline(figure_series *s, const eval_task *t, size_t method, const char *note) {
    snprintf(s->label, sizeof s->label, "%s %s%s", baseline_get((baseline_id)method)->name, eval_rate_name(t->best_rate[method]),
             note);
}

size_t figures_learned(const eval_results *r) {
    const size_t most = FIGURE_SERIES_MAX - RIVAL_CURVES;
    return r->num_learned < most ? r->num_learned : most;
}

/* Learned optimizers first, then the best tuned baseline, tuned Adam and Adam at 1e-3, each once. */
static void fill_set(curve_set *set, const eval_results *r, const eval_task *t, double *scratch) {
    for (size_t k = 0; k < figures_learned(r); k++) {
        char look[16];
        snprintf(look, sizeof look, "learned%zu", k % FIGURE_LEARNED_LOOKS);
        append(set, r, &t->learned[k].curve, look, 1, scratch);
        name_of_label(r->labels[k], LABEL_WIDTH, set->series[k].label);
    }
    append(set, r, &t->sweep.curves[t->best_method], "best", 0, scratch);
    name_baseline(&set->series[set->count - 1], t, t->best_method, " (best)");
    if (t->best_method != BASELINE_ADAM) {
        append(set, r, &t->sweep.curves[BASELINE_ADAM], "tuned", 0, scratch);
        name_baseline(&set->series[set->count - 1], t, BASELINE_ADAM, " (tuned)");
    }
    if (t->best_rate[BASELINE_ADAM] != EVAL_RATE_DEFAULT) {
        append(set, r, &t->sweep.curves[SWEEP_DEFAULT_ADAM], "plain", 0, scratch);
        snprintf(set->series[set->count - 1].label, sizeof set->series->label, "Adam 1e-3");
    }
}

static lopt_status curve_set_make(const eval_results *r, size_t task, curve_set *out) {
    lopt_status status = LOPT_OK;
    const size_t most = figures_learned(r) + RIVAL_CURVES;
    void *series = NULL, *values = NULL;
    LOPT_TRY_CLEANUP(memory_alloc(most, sizeof(figure_series), "the curves of a figure", &series));
    LOPT_TRY_CLEANUP(memory_alloc(most * 3 * r->grid.count + r->seeds, sizeof(double), "the curves of a figure", &values));
    curve_set set = {series, 0, values};
    fill_set(&set, r, &r->tasks[task], set.values + most * 3 * r->grid.count);
    *out = set;
    return LOPT_OK;
cleanup:
    free(series);
    free(values);
    return status;
}

static lopt_status add_panel(text_buffer *b, const eval_results *r, size_t task, const figure_frame *frame) {
    curve_set set;
    LOPT_TRY(curve_set_make(r, task, &set));
    figure_panel(b, frame, r->grid, set.series, set.count, TOP_OVER_START * r->tasks[task].start_loss);
    curve_set_release(&set);
    return LOPT_OK;
}

lopt_status figure_task(text_buffer *b, const eval_results *r, size_t task) {
    const figure_frame frame = {50, 12, 380, 230, 1, task, 6};
    text_add(b, "<svg class=\"fig\" viewBox=\"0 0 620 286\" role=\"img\" aria-label=\"Loss curves on ");
    text_add_escaped(b, r->tasks[task].spec);
    text_add(b, "\" xmlns=\"http://www.w3.org/2000/svg\">\n");
    LOPT_TRY(add_panel(b, r, task, &frame));
    text_add(b, "<text x=\"%.1f\" y=\"280\" text-anchor=\"middle\">step</text>", frame.x + frame.width / 2);
    text_add(b, "</svg>\n");
    return LOPT_OK;
}

/* ---- All tasks on one sheet ---- */

typedef struct legend_key {
    char look[16], name[NAME_ROOM];
} legend_key;

static double key_width(const legend_key *k) { return 56.0 + 7.0 * (double)name_width(k->name); }

/* keys [FIGURE_LEARNED_LOOKS + RIVAL_CURVES]. Returns how many there are. */
static size_t legend_keys(const eval_results *r, legend_key *keys) {
    static const legend_key rivals[RIVAL_CURVES] = {
        {"best", "best tuned baseline"}, {"tuned", "tuned Adam"}, {"plain", "Adam 1e-3"}};
    char label[NAME_ROOM];
    size_t count = 0;
    for (; count < r->num_learned && count < FIGURE_LEARNED_LOOKS; count++) {
        snprintf(keys[count].look, sizeof keys->look, "learned%zu", count);
        name_of_label(r->labels[count], LABEL_WIDTH, keys[count].name);
    }
    if (r->num_learned > count) /* in the colours of these once more */
        snprintf(keys[count - 1].name, sizeof keys->name, "%.200s and %zu more",
                 name_of_label(r->labels[count - 1], LABEL_WIDTH, label), r->num_learned - count);
    memcpy(keys + count, rivals, sizeof rivals);
    return count + RIVAL_CURVES;
}

static void add_legend(text_buffer *b, const legend_key *keys, size_t count) {
    double x = 16;
    for (size_t i = 0; i < count; i++) {
        const char *look = keys[i].look;
        text_add(b, "<path class=\"c %s\" d=\"M%.1f 24L%.1f 24\"/><text class=\"n %s\" x=\"%.1f\" y=\"28\">", look, x, x + 24, look,
                 x + 30);
        text_add_escaped(b, keys[i].name);
        text_add(b, "</text>\n");
        x += key_width(&keys[i]);
    }
}

static void add_sheet_head(text_buffer *b, const eval_results *r, double width, double height) {
    legend_key keys[FIGURE_LEARNED_LOOKS + RIVAL_CURVES];
    const size_t count = legend_keys(r, keys);
    double legend_width = 16;
    for (size_t i = 0; i < count; i++) legend_width += key_width(&keys[i]);
    width = fmax(width, legend_width);
    text_add(b,
             "<svg class=\"fig\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\">\n",
             width, height, width, height);
    text_add(b, "<style>");
    figure_add_style(b);
    text_add(b, ".ground{fill:#fff}@media(prefers-color-scheme:dark){.ground{fill:#0d1117}}</style>\n");
    text_add(b, "<rect class=\"ground\" width=\"100%%\" height=\"100%%\"/>\n");
    add_legend(b, keys, count);
}

lopt_status figure_sheet(text_buffer *b, const eval_results *r) {
    const double cell_width = 270, cell_height = 208, top = 52;
    const size_t columns = r->num_tasks < SHEET_COLUMNS ? r->num_tasks : SHEET_COLUMNS;
    const size_t rows = (r->num_tasks + columns - 1) / columns;
    add_sheet_head(b, r, cell_width * (double)columns, top + cell_height * (double)rows);
    for (size_t i = 0; i < r->num_tasks; i++) {
        double x = cell_width * (double)(i % columns), y = top + cell_height * (double)(i / columns);
        figure_frame frame = {x + 46, y + 24, cell_width - 62, cell_height - 60, 0, i, 4};
        char title[NAME_ROOM];
        text_add(b, "<text class=\"title\" x=\"%.1f\" y=\"%.1f\"><title>", x + 16, y + 14);
        text_add_escaped(b, r->tasks[i].spec); /* whole, where a pointer rests on it */
        text_add(b, "</title>");
        text_add_escaped(b, name_begin(r->tasks[i].spec, TITLE_WIDTH, title));
        text_add(b, "</text>\n");
        LOPT_TRY(add_panel(b, r, i, &frame));
    }
    text_add(b, "</svg>\n");
    return LOPT_OK;
}
