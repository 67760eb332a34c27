/* See spec.h for the grammar. */
#include "tasks/spec.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/plain_locale.h"
#include "base/status.h"
#include "lopt/meta.h"

enum { NAMES_MAX = 128 };

/* Whose keys are being read: a family's, or those of a sum. */
typedef struct key_table {
    const char *name;
    const lopt_task_key *keys;
    size_t count;
} key_table;

static const lopt_task_key sum_keys[] = {TASK_TRANSFORM_KEYS};
static const key_table sum_table = {"sum", sum_keys, TRANSFORM_KEYS};

static key_table table_of(const task_family *f) { return (key_table){f->info.name, f->info.keys, f->info.num_keys}; }

/* A group (sum, log_objective ...) has instances but no functions of its own: its formula says how it is written. */
static lopt_status unknown_family(const char *name) {
    const char *names[NAMES_MAX];
    const lopt_family_info *f;
    size_t n = 0;
    for (; n < NAMES_MAX && (f = lopt_family_get(n)) != NULL; n++) {
        names[n] = f->name;
        LOPT_CHECK(strcmp(name, f->name) != 0, LOPT_ERR_ARGUMENT,
                   "%s is not a task by itself but a way to make one of others, such as %s", name, f->instances[0]);
    }
    return lopt_fail(LOPT_ERR_ARGUMENT, "unknown task family \"%.64s\"; did you mean %s? lopt tasks lists them", name,
                     lopt_nearest_name(name, names, n));
}

static lopt_status find_family(const char *name, const task_family **out) {
    const task_family *f;
    for (size_t i = 0; (f = task_family_at(i, isa_current())) != NULL; i++)
        if (strcmp(name, f->info.name) == 0) {
            *out = f;
            return LOPT_OK;
        }
    return unknown_family(name);
}

static lopt_status find_key(const key_table *t, const char *name, size_t *out) {
    const char *names[TASK_KEYS_MAX];
    for (size_t i = 0; i < t->count; i++) {
        names[i] = t->keys[i].name;
        if (strcmp(name, names[i]) == 0) {
            *out = i;
            return LOPT_OK;
        }
    }
    return lopt_fail(LOPT_ERR_ARGUMENT, "task %s has no key \"%.64s\"; did you mean %s?", t->name, name,
                     lopt_nearest_name(name, names, t->count));
}

/* One number; end: where it stopped. */
static lopt_status parse_number(const lopt_task_key *k, const char *text, double *out, const char **end) {
    char *stop = NULL;
    const double value = plain_strtod(text, &stop); /* not hexadecimal: in a list, x separates */
    LOPT_CHECK(stop != text && isfinite(value) && value >= k->min && value <= k->max && (!k->is_integer || value == floor(value)),
               LOPT_ERR_ARGUMENT, "%s=%.32s: it must be %s from %g to %g", k->name, text,
               k->is_integer ? "a whole number" : "a number", k->min, k->max);
    *out = value;
    *end = stop;
    return LOPT_OK;
}

/* Elements separated by x. */
static lopt_status parse_list(const lopt_task_key *k, const char *text, size_t list[TASK_LIST_MAX], size_t *count) {
    const char *end = text;
    double number = 0.0;
    *count = 0;
    for (const char *at = text;; at = end + 1) {
        LOPT_CHECK(*count < TASK_LIST_MAX, LOPT_ERR_ARGUMENT, "%s: more than %d elements", k->name, TASK_LIST_MAX);
        LOPT_TRY(parse_number(k, at, &number, &end));
        list[(*count)++] = (size_t)number;
        if (*end == 0) return LOPT_OK;
        LOPT_CHECK(*end == 'x', LOPT_ERR_ARGUMENT, "%s=%.32s: elements are separated by x, as in 8x5", k->name, text);
    }
}

/* given: differs from the default as a value, however it is written. */
static lopt_status parse_value(const lopt_task_key *k, size_t index, const char *text, task_values *v) {
    const char *end = text;
    double number = 0.0;
    if (k->is_list) {
        size_t list[TASK_LIST_MAX], count = 0;
        LOPT_TRY(parse_list(k, k->default_text, list, &count));
        LOPT_TRY(parse_list(k, text, v->list, &v->list_count));
        v->given[index] = count != v->list_count || memcmp(list, v->list, count * sizeof list[0]) != 0;
        return LOPT_OK;
    }
    LOPT_TRY(parse_number(k, text, &number, &end));
    LOPT_CHECK(*end == 0, LOPT_ERR_ARGUMENT, "%s=%.32s: \"%.16s\" is left over", k->name, text, end);
    v->given[index] = number != k->default_value;
    v->number[index] = number;
    return LOPT_OK;
}

static lopt_status set_defaults(const key_table *t, task_values *v) {
    memset(v, 0, sizeof *v);
    for (size_t i = 0; i < t->count; i++) LOPT_TRY(parse_value(&t->keys[i], i, t->keys[i].default_text, v));
    return LOPT_OK;
}

/* pairs: NULL, or "key=value,..."; written to. */
static lopt_status parse_pairs(const key_table *t, char *pairs, task_values *v) {
    int seen[TASK_KEYS_MAX] = {0};
    LOPT_TRY(set_defaults(t, v));
    for (char *pair = pairs, *next; pair; pair = next) {
        size_t index = 0;
        next = strchr(pair, ',');
        if (next) *next++ = 0;
        char *value = strchr(pair, '=');
        LOPT_CHECK(value != NULL, LOPT_ERR_ARGUMENT, "task %s: \"%.64s\" is not of the form key=value", t->name, pair);
        *value++ = 0;
        LOPT_TRY(find_key(t, pair, &index));
        LOPT_CHECK(!seen[index]++, LOPT_ERR_ARGUMENT, "task %s: key %s is given twice", t->name, pair);
        lopt_status status = parse_value(&t->keys[index], index, value, v);
        if (status != LOPT_OK) return lopt_fail_prefix(status, "task %s", t->name);
    }
    return LOPT_OK;
}

/* Where the next term begins: behind a + that a letter follows (1e+3 is a number). NULL: there is none. */
static char *next_term(char *text) {
    for (char *at = strchr(text, '+'); at; at = strchr(at + 1, '+'))
        if (isalpha((unsigned char)at[1])) {
            *at = 0;
            return at + 1;
        }
    return NULL;
}

static lopt_status parse_terms(char *text, task_spec *out) {
    for (char *term = text, *next; term; term = next) {
        LOPT_CHECK(out->num_terms < TASK_TERMS_MAX, LOPT_ERR_ARGUMENT, "a sum has at most %d terms", TASK_TERMS_MAX);
        next = next_term(term);
        char *pairs = strchr(term, ':');
        if (pairs) *pairs++ = 0;
        LOPT_TRY(find_family(term, &out->term[out->num_terms].family));
        const key_table table = table_of(out->term[out->num_terms].family);
        LOPT_TRY(parse_pairs(&table, pairs, &out->term[out->num_terms].values));
        out->num_terms++;
    }
    return LOPT_OK;
}

/* As few digits as bring the number back. */
static int print_number(char *to, size_t size, double value) {
    for (int digits = 6; digits < 17; digits++) {
        int length = plain_print(to, size, "%.*g", digits, value);
        if ((size_t)length < size && plain_strtod(to, NULL) == value) return length;
    }
    return plain_print(to, size, "%.17g", value);
}

/* Appends ":key=value,..." of what is given. */
static void append_pairs(const key_table *t, const task_values *v, char *name, size_t size) {
    size_t used = strlen(name);
    char separator = ':';
    for (size_t i = 0; i < t->count && used < size; i++) {
        if (!v->given[i]) continue;
        used += (size_t)snprintf(name + used, size - used, "%c%s=", separator, t->keys[i].name);
        if (!t->keys[i].is_list && used < size) used += (size_t)print_number(name + used, size - used, v->number[i]);
        for (size_t j = 0; t->keys[i].is_list && j < v->list_count && used < size; j++)
            used += (size_t)snprintf(name + used, size - used, j ? "x%zu" : "%zu", v->list[j]);
        separator = ',';
    }
}

static int any_given(const task_values *v, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (v->given[i]) return 1;
    return 0;
}

static lopt_status make_name(task_spec *s) {
    const int enclosed = any_given(&s->sum, TRANSFORM_KEYS);
    const size_t size = sizeof s->name;
    size_t used = (size_t)snprintf(s->name, size, "%s", enclosed ? "(" : "");
    for (size_t i = 0; i < s->num_terms && used < size; i++) {
        const key_table table = table_of(s->term[i].family);
        snprintf(s->name + used, size - used, "%s%s", i ? "+" : "", table.name);
        append_pairs(&table, &s->term[i].values, s->name, size);
        used = strlen(s->name);
    }
    if (enclosed && used < size) snprintf(s->name + used, size - used, ")");
    if (enclosed) append_pairs(&sum_table, &s->sum, s->name, size);
    LOPT_CHECK(strlen(s->name) + 1 < size, LOPT_ERR_ARGUMENT, "the task's name is longer than %d characters", TASK_NAME_MAX - 2);
    return LOPT_OK;
}

/* The logarithm of a loss that may be negative is no number, and its slope points uphill. */
static lopt_status check_logarithms(const task_spec *s) {
    for (size_t i = 0; i < s->num_terms; i++) {
        const task_family *f = s->term[i].family;
        const double own = s->term[i].values.number[f->info.num_keys - TRANSFORM_KEYS + TRANSFORM_LOG];
        LOPT_CHECK(!f->signed_batches || (own == 0.0 && s->sum.number[TRANSFORM_LOG] == 0.0), LOPT_ERR_ARGUMENT,
                   "task %s: the loss of a minibatch of %s may be negative, and has no logarithm then; leave log=1 out", s->name,
                   f->info.name);
    }
    return LOPT_OK;
}

lopt_status task_spec_parse(const char *spec, task_spec *out) {
    char text[TASK_NAME_MAX], *terms = text, *pairs = NULL;
    LOPT_CHECK(strlen(spec) < sizeof text, LOPT_ERR_ARGUMENT, "the task spec is longer than %d characters", TASK_NAME_MAX - 1);
    strcpy(text, spec);
    memset(out, 0, sizeof *out);
    if (text[0] == '(') {
        char *end = strchr(text, ')');
        LOPT_CHECK(end != NULL && (end[1] == 0 || end[1] == ':'), LOPT_ERR_ARGUMENT,
                   "task \"%.64s\": a sum in parentheses is written (term+term):key=value", spec);
        if (end[1] == ':') pairs = end + 2;
        *end = 0;
        terms = text + 1;
    }
    LOPT_TRY(parse_terms(terms, out));
    LOPT_TRY(parse_pairs(&sum_table, pairs, &out->sum));
    LOPT_TRY(make_name(out));
    return check_logarithms(out);
}
