#include "csrc/eval/figure_scale.h"

#include <float.h>
#include <math.h>

#include "csrc/eval/protocol.h"

loss_scale loss_scale_make(double low, double high, double bottom, double top) {
    if (!(low >= EVAL_LOSS_FLOOR && low <= FLT_MAX)) low = EVAL_LOSS_FLOOR;
    if (!(high > EVAL_LOSS_FLOOR && high <= FLT_MAX)) high = low > EVAL_LOSS_FLOOR ? low : 1.0;
    if (low > high) low = high;
    double margin = fmax(pow(high / low, 0.04), 1.02);
    loss_scale s = {low / margin, high * margin, bottom, top};
    return s;
}

double loss_scale_place(const loss_scale *s, double loss) {
    double share = isnan(loss) ? 1.1 : loss <= 0.0 ? -0.1 : log(loss / s->low) / log(s->high / s->low);
    return s->bottom + fmin(fmax(share, -0.1), 1.1) * (s->top - s->bottom);
}

static void add(figure_ticks *t, double value) {
    if (t->count < FIGURE_TICKS_MAX) t->value[t->count++] = value;
}

/* 1, 2 or 5 times a power of ten, at least `step`. */
static double round_up(double step) {
    double power = pow(10.0, floor(log10(step))), digit = step / power;
    return power * (digit <= 1.0 ? 1.0 : digit <= 2.0 ? 2.0 : digit <= 5.0 ? 5.0 : 10.0);
}

static figure_ticks even_ticks(double low, double high, size_t wanted) {
    figure_ticks t = {0, {0.0}, 0};
    double step = round_up((high - low) / (double)wanted);
    for (double k = ceil(low / step); k * step <= high; k++) add(&t, k * step);
    return t;
}

static figure_ticks power_ticks(const loss_scale *s, size_t wanted) {
    figure_ticks t = {0, {0.0}, 0};
    int first = (int)ceil(log10(s->low) - 1e-9), last = (int)floor(log10(s->high) + 1e-9);
    int stride = (last - first + (int)wanted) / (int)wanted;
    for (int k = first; k <= last; k++)
        if (k % stride == 0) add(&t, pow(10.0, k));
    t.powers = first < -3 || last > 4;
    return t;
}

static figure_ticks one_two_five_ticks(const loss_scale *s) {
    static const double digits[3] = {1.0, 2.0, 5.0};
    figure_ticks t = {0, {0.0}, 0};
    for (int k = (int)floor(log10(s->low)); k <= (int)ceil(log10(s->high)); k++)
        for (int d = 0; d < 3; d++) {
            double value = digits[d] * pow(10.0, k);
            if (value >= s->low && value <= s->high) add(&t, value);
        }
    return t;
}

figure_ticks loss_scale_ticks(const loss_scale *s, size_t wanted) {
    double decades = log10(s->high / s->low);
    if (decades >= 3.0 || decades > 0.7 * (double)wanted) return power_ticks(s, wanted);
    return decades >= 1.0 ? one_two_five_ticks(s) : even_ticks(s->low, s->high, wanted);
}

figure_ticks step_ticks(size_t last, size_t wanted) {
    figure_ticks t = {0, {0.0}, 0};
    double step = fmax(round_up((double)last / (double)wanted), 1.0);
    for (double k = 0.0; k * step <= (double)last; k++) add(&t, k * step);
    return t;
}
