#include "lopt/meta.h"

#include <string.h>

enum { LENGTH_MAX = 128 }; /* longer names are compared by their first 128 characters */

static size_t least(size_t a, size_t b, size_t c) {
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Levenshtein distance, one row of the table at a time. */
static size_t edit_distance(const char *a, const char *b) {
    size_t n = strnlen(a, LENGTH_MAX), m = strnlen(b, LENGTH_MAX);
    size_t row[LENGTH_MAX + 1];
    for (size_t j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t above = row[j];
            row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[m];
}

const char *lopt_nearest_name(const char *wrong, const char *const *names, size_t n) {
    const char *best = "";
    size_t best_distance = (size_t)-1;
    for (size_t i = 0; wrong && i < n; i++) {
        size_t distance = edit_distance(wrong, names[i]);
        if (distance < best_distance) {
            best_distance = distance;
            best = names[i];
        }
    }
    return best;
}
