/* Task specs: "family:key=value,key=value". A list is written with x between its elements: hidden=8x5. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lopt/meta.h"
#include "base/status.h"
#include "tasks/family.h"

enum { SPEC_MAX = 256, FAMILIES_MAX = 64 };

static lopt_status find_family(const char *name, const task_family **out) {
    const char *names[FAMILIES_MAX];
    size_t n = 0;
    for (const task_family *f; n < FAMILIES_MAX && (f = task_family_at(n, isa_current())) != NULL; n++) {
        names[n] = f->info.name;
        if (strcmp(name, f->info.name) == 0) {
            *out = f;
            return LOPT_OK;
        }
    }
    return lopt_fail(LOPT_ERR_ARGUMENT, "unknown task family \"%.64s\"; did you mean %s? lopt tasks lists them", name,
                     lopt_nearest_name(name, names, n));
}

static lopt_status find_key(const task_family *f, const char *name, size_t *out) {
    const char *names[TASK_KEYS_MAX];
    for (size_t i = 0; i < f->info.num_keys; i++) {
        names[i] = f->info.keys[i].name;
        if (strcmp(name, names[i]) == 0) {
            *out = i;
            return LOPT_OK;
        }
    }
    return lopt_fail(LOPT_ERR_ARGUMENT, "task %s has no key \"%.64s\"; did you mean %s?", f->info.name, name,
                     lopt_nearest_name(name, names, f->info.num_keys));
}

/* One number, up to `end_char` or the end; returns where it stopped. */
static lopt_status parse_number(const lopt_task_key *k, const char *text, double *out, const char **end) {
    char *stop = NULL;
    const int hexadecimal = text[0] == '0' && (text[1] == 'x' || text[1] == 'X'); /* in a list, x separates */
    double value = hexadecimal ? 0.0 : strtod(text, &stop);
    LOPT_CHECK(stop != NULL && stop != text && isfinite(value) && value >= k->min && value <= k->max && (!k->is_integer || value == floor(value)),
               LOPT_ERR_ARGUMENT, "%s=%.32s: it must be %s from %g to %g", k->name, text, k->is_integer ? "a whole number" : "a number",
               k->min, k->max);
    *out = value;
    *end = stop;
    return LOPT_OK;
}

static lopt_status parse_value(const lopt_task_key *k, size_t index, const char *text, task_values *v) {
    const char *end = text;
    double number = 0.0;
    if (!k->is_list) {
        LOPT_TRY(parse_number(k, text, &number, &end));
        LOPT_CHECK(*end == 0, LOPT_ERR_ARGUMENT, "%s=%.32s: \"%.16s\" is left over", k->name, text, end);
        v->given[index] = number != k->default_value;
        v->number[index] = number;
        return LOPT_OK;
    }
    v->list_count = 0;
    for (const char *at = text;; at = end + 1) {
        LOPT_CHECK(v->list_count < TASK_LIST_MAX, LOPT_ERR_ARGUMENT, "%s: more than %d elements", k->name, TASK_LIST_MAX);
        LOPT_TRY(parse_number(k, at, &number, &end));
        v->list[v->list_count++] = (size_t)number;
        if (*end == 0) break;
        LOPT_CHECK(*end == 'x', LOPT_ERR_ARGUMENT, "%s=%.32s: elements are separated by x, as in 8x5", k->name, text);
    }
    v->given[index] = strcmp(text, k->default_text) != 0;
    return LOPT_OK;
}

static lopt_status set_defaults(const task_family *f, task_values *v) {
    memset(v, 0, sizeof *v);
    for (size_t i = 0; i < f->info.num_keys; i++) LOPT_TRY(parse_value(&f->info.keys[i], i, f->info.keys[i].default_text, v));
    return LOPT_OK;
}

static lopt_status parse_pairs(const task_family *f, char *pairs, task_values *v) {
    int seen[TASK_KEYS_MAX] = {0};
    for (char *pair = pairs, *next; pair; pair = next) {
        size_t index = 0;
        next = strchr(pair, ',');
        if (next) *next++ = 0;
        char *value = strchr(pair, '=');
        LOPT_CHECK(value != NULL, LOPT_ERR_ARGUMENT, "task %s: \"%.64s\" is not of the form key=value", f->info.name, pair);
        *value++ = 0;
        LOPT_TRY(find_key(f, pair, &index));
        LOPT_CHECK(!seen[index]++, LOPT_ERR_ARGUMENT, "task %s: key %s is given twice", f->info.name, pair);
        lopt_status status = parse_value(&f->info.keys[index], index, value, v);
        if (status != LOPT_OK) return lopt_fail_prefix(status, "task %s", f->info.name);
    }
    return LOPT_OK;
}

/* The spec again, keys in the table's order, defaults left out. */
static void canonical_name(const task_family *f, const task_values *v, char *name, size_t size) {
    size_t used = (size_t)snprintf(name, size, "%s", f->info.name);
    char separator = ':';
    for (size_t i = 0; i < f->info.num_keys && used < size; i++) {
        if (!v->given[i]) continue;
        used += (size_t)snprintf(name + used, size - used, "%c%s=", separator, f->info.keys[i].name);
        if (!f->info.keys[i].is_list && used < size) used += (size_t)snprintf(name + used, size - used, "%.9g", v->number[i]);
        for (size_t j = 0; f->info.keys[i].is_list && j < v->list_count && used < size; j++)
            used += (size_t)snprintf(name + used, size - used, j ? "x%zu" : "%zu", v->list[j]);
        separator = ',';
    }
}

lopt_status task_spec_parse(const char *spec, const task_family **family, task_values *values, char *name, size_t name_size) {
    char text[SPEC_MAX];
    LOPT_CHECK(strlen(spec) < sizeof text, LOPT_ERR_ARGUMENT, "the task spec is longer than %d characters", SPEC_MAX - 1);
    strcpy(text, spec);
    char *pairs = strchr(text, ':');
    if (pairs) *pairs++ = 0;
    LOPT_TRY(find_family(text, family));
    LOPT_TRY(set_defaults(*family, values));
    if (pairs) LOPT_TRY(parse_pairs(*family, pairs, values));
    canonical_name(*family, values, name, name_size);
    return LOPT_OK;
}
