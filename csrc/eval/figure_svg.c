#include "csrc/eval/figure_svg.h"

#include <math.h>
#include <stdlib.h>

#include "csrc/eval/figure_scale.h"

#define LABEL_SPACING 14.0
#define CROSS 4.5

/* ---- Style ---- */

/* Palette: Okabe & Ito 2008, darkened or lightened for contrast with the ground; what is learned is bold, its rivals are grey. */
typedef struct figure_look {
    const char *name, *light, *dark, *line;
} figure_look;

static const figure_look looks[] = {
    {"learned0", "#0067a5", "#56b4e9", "stroke-width:2.6"},
    {"learned1", "#c44e00", "#f2924c", "stroke-width:2.6"},
    {"learned2", "#00805c", "#3fc79a", "stroke-width:2.6"},
    {"learned3", "#a8467f", "#e38cc0", "stroke-width:2.6"},
    {"best", "#3d444d", "#d0d7de", "stroke-width:1.5"},
    {"tuned", "#6e7781", "#9da7b3", "stroke-width:1.4;stroke-dasharray:6 3.5"},
    {"plain", "#818b98", "#8b949e", "stroke-width:1.5;stroke-dasharray:.1 4"},
};
enum { LOOK_COUNT = sizeof looks / sizeof looks[0] };

/* Also as the variable --look, for the page around the figures. */
static void add_colour(text_buffer *b, const char *look, const char *colour) {
    text_add(b, ":root{--%s:%s}.fig path.%s{stroke:%s}.fig path.b.%s,.fig text.%s{fill:%s}", look, colour, look, colour, look, look,
             colour);
}

void figure_add_style(text_buffer *b) {
    text_add(b, ".fig text{font:11px system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;fill:#57606a}"
                ".fig text.n{font-weight:600}.fig text.title{font-weight:600;font-size:13px;fill:#1f2328}"
                ".fig .grid{stroke:#e1e5ea}.fig .axis{stroke:#8c959f}");
    for (int i = 0; i < LOOK_COUNT; i++) {
        add_colour(b, looks[i].name, looks[i].light);
        text_add(b, ".fig path.c.%s{%s}", looks[i].name, looks[i].line);
    }
    text_add(b, ".fig path.c{fill:none;stroke-linejoin:round;stroke-linecap:round}.fig path.b{stroke:none;opacity:.15}"
                ".fig path.x{stroke-width:2.2;stroke-linecap:round;fill:none}.fig path.lead{opacity:.5;fill:none}"
                "@media(prefers-color-scheme:dark){.fig text{fill:#9da7b3}.fig text.title{fill:#e6edf3}"
                ".fig .grid{stroke:#262d36}.fig .axis{stroke:#6e7681}");
    for (int i = 0; i < LOOK_COUNT; i++) add_colour(b, looks[i].name, looks[i].dark);
    text_add(b, ".fig path.c,.fig path.x,.fig path.lead{fill:none}.fig path.b{stroke:none;opacity:.25}}");
}

/* ---- Axes ---- */

static loss_scale panel_scale(const figure_frame *f, eval_grid grid, const figure_series *series, size_t count, double top) {
    double low = INFINITY, high = 0.0;
    for (size_t k = 0; k < count; k++)
        for (size_t i = 0; i < grid.count; i++) {
            double v = series[k].median[i];
            if (!isfinite(v)) continue;
            low = fmin(low, v);
            high = fmax(high, v);
        }
    return loss_scale_make(low, isfinite(top) ? fmin(high, top) : high, f->y + f->height, f->y);
}

static double place_step(const figure_frame *f, eval_grid grid, double step) { return f->x + f->width * step / (double)grid.steps; }

static void add_loss_label(text_buffer *b, double value, int as_power) {
    if (as_power)
        text_add(b, "10<tspan dy=\"-4\" font-size=\"8.5\">%s%d</tspan>", value < 1.0 ? "\xe2\x88\x92" : "",
                 abs((int)lround(log10(value))));
    else text_add(b, "%.5g", value);
}

static void add_axes(text_buffer *b, const figure_frame *f, eval_grid grid, const loss_scale *scale) {
    const double bottom = f->y + f->height, right = f->x + f->width;
    figure_ticks losses = loss_scale_ticks(scale, f->wanted_ticks), steps = step_ticks(grid.steps, f->wanted_ticks);
    for (size_t i = 0; i < losses.count; i++) {
        double y = loss_scale_place(scale, losses.value[i]);
        text_add(b, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", f->x, y, right, y);
        text_add(b, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">", f->x - 7, y + 4);
        add_loss_label(b, losses.value[i], losses.powers);
        text_add(b, "</text>\n");
    }
    for (size_t i = 0; i < steps.count; i++) {
        double x = place_step(f, grid, steps.value[i]);
        text_add(b, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", x, f->y, x, bottom);
        text_add(b, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.0f</text>\n", x, bottom + 16, steps.value[i]);
    }
    text_add(b, "<line class=\"axis\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", f->x, bottom, right, bottom);
}

/* ---- Curves ---- */

typedef struct panel {
    const figure_frame *frame;
    eval_grid grid;
    loss_scale scale;
} panel;

static double point_x(const panel *p, size_t i) { return place_step(p->frame, p->grid, (double)eval_grid_step(p->grid, i)); }

/* The band between the least and the greatest loss; where a seed has diverged it reaches the top. */
static void add_band(text_buffer *b, const panel *p, const figure_series *s) {
    size_t end = 0;
    while (end < p->grid.count && isfinite(s->low[end])) end++;
    if (end < 2) return;
    text_add(b, "<path class=\"b %s\" d=\"", s->look);
    for (size_t i = 0; i < end; i++)
        text_add(b, "%s%.1f %.1f", i ? "L" : "M", point_x(p, i), loss_scale_place(&p->scale, s->high[i]));
    for (size_t i = end; i-- > 0;) text_add(b, "L%.1f %.1f", point_x(p, i), loss_scale_place(&p->scale, s->low[i]));
    text_add(b, "Z\"/>\n");
}

static void add_line(text_buffer *b, const panel *p, const figure_series *s) {
    int drawing = 0;
    text_add(b, "<path class=\"c %s\" d=\"M%.1f %.1f", s->look, p->frame->x, loss_scale_place(&p->scale, s->median[0]));
    for (size_t i = 0; i < p->grid.count; i++) {
        if (isfinite(s->median[i]))
            text_add(b, "%s%.1f %.1f", drawing ? "L" : "M", point_x(p, i), loss_scale_place(&p->scale, s->median[i]));
        drawing = isfinite(s->median[i]);
    }
    text_add(b, "\"/>\n");
}

/* Where the curve ends: its last point, or the last one before it diverged, held inside the frame. */
static void curve_end(const panel *p, const figure_series *s, double *x, double *y) {
    size_t i = p->grid.count - 1;
    while (i > 0 && !isfinite(s->median[i])) i--;
    *x = point_x(p, i);
    *y = fmin(fmax(loss_scale_place(&p->scale, s->median[i]), p->frame->y), p->frame->y + p->frame->height);
}

static int has_diverged(const panel *p, const figure_series *s) { return !isfinite(s->median[p->grid.count - 1]); }

static void add_cross(text_buffer *b, const panel *p, const figure_series *s) {
    double x, y;
    curve_end(p, s, &x, &y);
    text_add(b, "<path class=\"x %s\" d=\"M%.1f %.1fL%.1f %.1fM%.1f %.1fL%.1f %.1f\"/>\n", s->look, x - CROSS, y - CROSS, x + CROSS,
             y + CROSS, x - CROSS, y + CROSS, x + CROSS, y - CROSS);
}

/* ---- Names to the right ---- */

/* Pushes labels apart: sorted by place, each at least LABEL_SPACING below the one before, the lot moved up if it leaves the frame.
 */
static void spread(double *y, const size_t *order, size_t count, double bottom) {
    for (size_t k = 1; k < count; k++) y[order[k]] = fmax(y[order[k]], y[order[k - 1]] + LABEL_SPACING);
    double limit = bottom;
    for (size_t k = count; k-- > 0; limit -= LABEL_SPACING) y[order[k]] = fmin(y[order[k]], limit);
}

static void add_labels(text_buffer *b, const panel *p, const figure_series *series, size_t count) {
    double x[FIGURE_SERIES_MAX], from[FIGURE_SERIES_MAX], to[FIGURE_SERIES_MAX];
    size_t order[FIGURE_SERIES_MAX];
    for (size_t k = 0; k < count; k++) {
        curve_end(p, &series[k], &x[k], &from[k]);
        to[k] = from[k];
        size_t place = k;
        for (; place > 0 && from[order[place - 1]] > from[k]; place--) order[place] = order[place - 1];
        order[place] = k;
    }
    spread(to, order, count, p->frame->y + p->frame->height + 4);
    const double right = p->frame->x + p->frame->width;
    for (size_t k = 0; k < count; k++) {
        const figure_series *s = &series[k];
        int diverged = has_diverged(p, s);
        if (!diverged)
            text_add(b, "<path class=\"lead %s\" d=\"M%.1f %.1fL%.1f %.1f\"/>", s->look, right + 2, from[k], right + 11, to[k]);
        text_add(b, "<text class=\"n %s\" x=\"%.1f\" y=\"%.1f\">", s->look, right + 14, to[k] + 4);
        text_add_escaped(b, s->label);
        text_add(b, "%s</text>\n", diverged ? " \xc3\x97" : "");
    }
}

void figure_panel(text_buffer *b, const figure_frame *f, eval_grid grid, const figure_series *series, size_t count, double top) {
    panel p = {f, grid, panel_scale(f, grid, series, count, top)};
    add_axes(b, f, grid, &p.scale);
    text_add(b, "<clipPath id=\"clip%zu\"><rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/></clipPath>", f->id, f->x,
             f->y - 2, f->width + 2, f->height + 4);
    text_add(b, "<g clip-path=\"url(#clip%zu)\">\n", f->id);
    for (size_t k = 0; k < count; k++)
        if (series[k].low) add_band(b, &p, &series[k]);
    for (size_t k = count; k-- > 0;) add_line(b, &p, &series[k]);
    text_add(b, "</g>\n");
    for (size_t k = 0; k < count; k++)
        if (has_diverged(&p, &series[k])) add_cross(b, &p, &series[k]);
    if (f->direct_labels) add_labels(b, &p, series, count);
}
