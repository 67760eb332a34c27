/* One value of the configuration from text and back. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/plain_locale.h"
#include "base/status.h"
#include "csrc/train/config_keys.h"
#include "lopt/meta.h"

enum { CHOICES_MAX = 16, CHOICE_TEXT_MAX = 128 };

static void *slot(train_config *c, size_t index) { return (char *)c + config_slots[index].offset; }

static int read_integer(const lopt_config_key *k, const char *text, long long *out) {
    char *end = NULL;
    errno = 0;
    *out = strtoll(text, &end, 10);
    const int digit = isdigit((unsigned char)text[*text == '-' || *text == '+']); /* strtoll would take blanks before it */
    return digit && *end == 0 && errno == 0 && *out >= (long long)k->min && *out <= (long long)k->max;
}

static int read_number(const lopt_config_key *k, const char *text, double *out) {
    char *end = NULL;
    errno = 0;
    *out = plain_strtod(text, &end);
    return end != text && *end == 0 && errno == 0 && isfinite(*out) && *out >= k->min && *out <= k->max;
}

static lopt_status out_of_bounds(const lopt_config_key *k, const char *text, const char *what) {
    return lopt_fail(LOPT_ERR_CONFIG, "%s = %.64s: it must be %s from %g to %g", k->name, text, what, k->min, k->max);
}

/* The choices of a key, split; `text` keeps them. */
static size_t split_choices(const lopt_config_key *k, char text[CHOICE_TEXT_MAX], const char *out[CHOICES_MAX]) {
    size_t n = 0;
    char *rest = NULL;
    snprintf(text, CHOICE_TEXT_MAX, "%s", k->choices);
    for (char *word = strtok_r(text, "|", &rest); word && n < CHOICES_MAX; word = strtok_r(NULL, "|", &rest)) out[n++] = word;
    return n;
}

static lopt_status set_choice(const lopt_config_key *k, const char *text, int *out) {
    char split[CHOICE_TEXT_MAX];
    const char *choices[CHOICES_MAX];
    size_t n = split_choices(k, split, choices);
    for (size_t i = 0; i < n; i++)
        if (strcmp(text, choices[i]) == 0) {
            *out = (int)i;
            return LOPT_OK;
        }
    return lopt_fail(LOPT_ERR_CONFIG, "%s = %.64s: it must be one of %s; did you mean %s?", k->name, text, k->choices,
                     lopt_nearest_name(text, choices, n));
}

static lopt_status set_bool(const lopt_config_key *k, const char *text, int *out) {
    int yes = strcmp(text, "true") == 0 || strcmp(text, "1") == 0, no = strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
    LOPT_CHECK(yes || no, LOPT_ERR_CONFIG, "%s = %.64s: it must be true or false", k->name, text);
    *out = yes;
    return LOPT_OK;
}

static void list_free(config_list *l) {
    for (size_t i = 0; i < l->count; i++) free(l->item[i]);
    free(l->item);
    *l = (config_list){NULL, 0};
}

/* Items are separated by ';', spaces around them do not count, empty ones are refused. */
static lopt_status set_list(const lopt_config_key *k, const char *text, config_list *out) {
    lopt_status status = LOPT_OK;
    config_list list = {NULL, 0};
    char *copy = NULL, *rest = NULL;
    void *items = NULL;
    LOPT_TRY(memory_text(text, &copy));
    LOPT_TRY_CLEANUP(memory_alloc(strlen(text) / 2 + 1, sizeof(char *), "a list", &items));
    list.item = items;
    if (*copy) rest = copy;
    for (char *word = strsep(&rest, ";"); word; word = strsep(&rest, ";")) {
        word += strspn(word, " \t\n");
        size_t length = strlen(word);
        while (length > 0 && strchr(" \t\n", word[length - 1])) word[--length] = 0;
        LOPT_CHECK_CLEANUP(length > 0, LOPT_ERR_CONFIG, "%s has an empty item", k->name);
        LOPT_TRY_CLEANUP(memory_text(word, &list.item[list.count]));
        list.count++;
    }
    LOPT_CHECK_CLEANUP(list.count > 0, LOPT_ERR_CONFIG, "%s is empty", k->name);
    list_free(out);
    *out = list;
    list = (config_list){NULL, 0};
cleanup:
    list_free(&list);
    free(copy);
    return status;
}

static lopt_status set_string(const char *text, char **out) {
    char *copy = NULL;
    LOPT_TRY(memory_text(text, &copy));
    free(*out);
    *out = copy;
    return LOPT_OK;
}

lopt_status config_set(train_config *c, size_t index, const char *text) {
    const lopt_config_key *k = lopt_config_get(index);
    void *to = slot(c, index);
    double number = 0.0;
    long long integer = 0;
    switch (config_slots[index].type) {
    case CONFIG_INT:
        if (!read_integer(k, text, &integer)) return out_of_bounds(k, text, "a whole number");
        *(int64_t *)to = integer;
        return LOPT_OK;
    case CONFIG_FLOAT:
        if (!read_number(k, text, &number)) return out_of_bounds(k, text, "a number");
        *(double *)to = number;
        return LOPT_OK;
    case CONFIG_BOOL: return set_bool(k, text, to);
    case CONFIG_CHOICE: return set_choice(k, text, to);
    case CONFIG_STRING: return set_string(text, to);
    case CONFIG_LIST: return set_list(k, text, to);
    }
    return LOPT_OK;
}

static lopt_status join(const config_list *l, char **out) {
    size_t size = 1;
    void *text = NULL;
    for (size_t i = 0; i < l->count; i++) size += strlen(l->item[i]) + 1;
    LOPT_TRY(memory_alloc(size, 1, "a list", &text));
    char *at = text;
    for (size_t i = 0; i < l->count; i++) at += sprintf(at, "%s%s", i ? ";" : "", l->item[i]);
    *out = text;
    return LOPT_OK;
}

lopt_status config_text(const train_config *c, size_t index, char **out) {
    const lopt_config_key *k = lopt_config_get(index);
    const void *from = slot((train_config *)c, index);
    char text[CHOICE_TEXT_MAX];
    const char *choices[CHOICES_MAX];
    switch (config_slots[index].type) {
    case CONFIG_INT: snprintf(text, sizeof text, "%lld", (long long)*(const int64_t *)from); break;
    case CONFIG_FLOAT: plain_print(text, sizeof text, "%.17g", *(const double *)from); break;
    case CONFIG_BOOL: snprintf(text, sizeof text, "%s", *(const int *)from ? "true" : "false"); break;
    case CONFIG_CHOICE: split_choices(k, text, choices); return memory_text(choices[*(const int *)from], out);
    case CONFIG_STRING: return memory_text(*(char *const *)from, out);
    case CONFIG_LIST: return join(from, out);
    }
    return memory_text(text, out);
}

void config_free(train_config *c) {
    for (size_t i = 0; i < lopt_config_count(); i++) {
        if (config_slots[i].type == CONFIG_LIST) list_free(slot(c, i));
        if (config_slots[i].type == CONFIG_STRING) {
            free(*(char **)slot(c, i));
            *(char **)slot(c, i) = NULL;
        }
    }
}
