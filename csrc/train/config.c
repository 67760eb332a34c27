/* The configuration as a whole: defaults, JSON, overrides, checks. */
#include "csrc/train/config.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/plain_locale.h"
#include "base/status.h"
#include "csrc/io/json_text.h"
#include "csrc/train/config_keys.h"
#include "csrc/train/corpus.h"
#include "csrc/weights/weights.h"

enum { NAME_MAX_LENGTH = 128 };

lopt_status config_defaults(train_config *c) {
    memset(c, 0, sizeof *c);
    for (size_t i = 0; i < lopt_config_count(); i++) {
        lopt_status status = config_set(c, i, lopt_config_get(i)->default_text);
        if (status != LOPT_OK) {
            config_free(c);
            return status;
        }
    }
    return LOPT_OK;
}

/* A JSON array of strings as --set takes a list. */
static lopt_status array_text(const lopt_config_key *k, const json_t *array, char **out) {
    size_t size = 1, i;
    const json_t *item;
    void *text = NULL;
    json_array_foreach(array, i, item) {
        LOPT_CHECK(json_is_string(item) && strchr(json_string_value(item), ';') == NULL, LOPT_ERR_CONFIG,
                   "%s: each item must be a string without \";\"", k->name);
        size += json_string_length(item) + 1;
    }
    LOPT_TRY(memory_alloc(size, 1, "a list", &text));
    char *at = text;
    json_array_foreach(array, i, item) at += sprintf(at, "%s%s", i ? ";" : "", json_string_value(item));
    *out = text;
    return LOPT_OK;
}

static int has_type(config_type type, const json_t *v) {
    switch (type) {
    case CONFIG_INT: return json_is_integer(v) || (json_is_real(v) && json_real_value(v) == floor(json_real_value(v)));
    case CONFIG_FLOAT: return json_is_number(v);
    case CONFIG_BOOL: return json_is_boolean(v);
    case CONFIG_CHOICE:
    case CONFIG_STRING: return json_is_string(v);
    case CONFIG_LIST: return json_is_array(v) || json_is_string(v);
    }
    return 0;
}

/* A whole number without a point, where it has few digits enough for that. */
static lopt_status real_text(double value, char **out) {
    char text[32];
    plain_print(text, sizeof text, "%.17g", value);
    return memory_text(text, out);
}

static lopt_status set_json(train_config *c, size_t index, const json_t *v) {
    const lopt_config_key *k = lopt_config_get(index);
    char *text = NULL;
    LOPT_CHECK(has_type(config_slots[index].type, v), LOPT_ERR_CONFIG, "%s: the value must be of type %s", k->name, k->type);
    if (json_is_array(v)) LOPT_TRY(array_text(k, v, &text));
    else if (json_is_real(v)) LOPT_TRY(real_text(json_real_value(v), &text));
    else if (json_is_string(v)) LOPT_TRY(memory_text(json_string_value(v), &text));
    else if ((text = json_text(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17))) == NULL)
        return lopt_fail(LOPT_ERR_MEMORY, "no memory for the value of %s", k->name);
    lopt_status status = config_set(c, index, text);
    free(text);
    return status;
}

/* Whether keys begin so. */
static int is_section(const char *prefix) {
    for (size_t i = 0; i < lopt_config_count(); i++)
        if (strncmp(lopt_config_get(i)->name, prefix, strlen(prefix)) == 0) return 1;
    return 0;
}

/* Objects are sections: {"window": {"min": 50}} is window.min = 50. given [keys]: which keys were there before. */
static lopt_status read_object(train_config *c, const json_t *object, const char *prefix, char *given) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        char name[NAME_MAX_LENGTH];
        size_t index = 0;
        LOPT_CHECK(snprintf(name, sizeof name, "%s%s", prefix, key) + 1 < (int)sizeof name, LOPT_ERR_CONFIG,
                   "unknown configuration key \"%.64s...\"", name);
        strcat(name, ".");
        if (json_is_object(value) && is_section(name)) {
            LOPT_TRY(read_object(c, value, name, given));
        } else {
            name[strlen(name) - 1] = 0;
            LOPT_TRY(config_find(name, &index));
            LOPT_CHECK(!given[index]++, LOPT_ERR_CONFIG, "%s is there twice, in its section and by its whole name", name);
            LOPT_TRY(set_json(c, index, value));
        }
    }
    return LOPT_OK;
}

static lopt_status read_root(train_config *c, const json_t *root) {
    void *given = NULL;
    LOPT_CHECK(json_is_object(root), LOPT_ERR_CONFIG, "not a JSON object");
    LOPT_TRY(memory_alloc(lopt_config_count(), 1, "the keys that are given", &given));
    lopt_status status = read_object(c, root, "", given);
    free(given);
    return status;
}

lopt_status config_read_file(train_config *c, const char *path) {
    json_error_t error;
    errno = 0;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL && json_error_code(&error) == json_error_numeric_overflow) /* so that its key is named */
        root = json_load_file(path, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
    LOPT_CHECK(root != NULL || (errno != ENOENT && errno != ENOTDIR), LOPT_ERR_CONFIG, "%s: there is no such file", path);
    LOPT_CHECK(root != NULL, error.line < 0 ? LOPT_ERR_IO : LOPT_ERR_CONFIG, error.line < 0 ? "%s: %s" : "%s: %s (line %d)", path,
               error.text, error.line);
    lopt_status status = read_root(c, root);
    json_decref(root);
    return status == LOPT_OK ? LOPT_OK : lopt_fail_prefix(status, "%s", path);
}

lopt_status config_read_text(train_config *c, const char *text) {
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    lopt_status status = read_root(c, root);
    json_decref(root);
    return status;
}

lopt_status config_override(train_config *c, const char *assignment) {
    char name[NAME_MAX_LENGTH];
    size_t index = 0;
    const char *equals = assignment ? strchr(assignment, '=') : NULL;
    LOPT_CHECK(equals != NULL && equals - assignment < NAME_MAX_LENGTH, LOPT_ERR_CONFIG, "\"%.64s\" is not of the form key=value",
               assignment ? assignment : "");
    json_t *text = json_string(assignment);
    LOPT_CHECK(text != NULL, LOPT_ERR_CONFIG, "%.*s: the value is not UTF-8, as a configuration must be",
               (int)(equals - assignment), assignment);
    json_decref(text);
    snprintf(name, sizeof name, "%.*s", (int)(equals - assignment), assignment);
    LOPT_TRY(config_find(name, &index));
    return config_set(c, index, equals + 1);
}

lopt_status config_check(const train_config *c) {
    lopt_dims dims;
    corpus tasks = {NULL, NULL, 0};
    LOPT_CHECK(c->window_min <= c->window_max, LOPT_ERR_CONFIG, "window.min must not be above window.max");
    LOPT_CHECK(c->horizon_min <= c->horizon_max, LOPT_ERR_CONFIG, "horizon.min must not be above horizon.max");
    LOPT_CHECK(c->init_lr_min <= c->init_lr_max, LOPT_ERR_CONFIG, "init_lr.min must not be above init_lr.max");
    LOPT_CHECK(c->estimator != ESTIMATOR_MIX || c->es_pairs >= 2, LOPT_ERR_CONFIG,
               "es.pairs must be at least 2 with estimator = mix, which needs the variance between pairs");
    LOPT_CHECK(c->weights_from[0] == 0 || c->weights_options[0] == 0, LOPT_ERR_CONFIG,
               "weights.options must be empty with weights.from: the file has its own sizes");
    lopt_status status = weights_parse_options(c->weights_options, &dims);
    if (status != LOPT_OK) return lopt_fail_prefix(status, "weights.options");
    status = corpus_expand(&c->tasks, &tasks);
    corpus_free(&tasks);
    return status;
}

/* The object for the sections of `name` under root, and the last part of the name. */
static json_t *section_of(json_t *root, const char *name, const char **last) {
    for (const char *dot; (dot = strchr(name, '.')) != NULL; name = dot + 1) {
        char section[NAME_MAX_LENGTH];
        snprintf(section, sizeof section, "%.*s", (int)(dot - name), name);
        json_t *next = json_object_get(root, section);
        if (next == NULL && json_object_set_new(root, section, next = json_object()) != 0) return NULL;
        root = next;
    }
    *last = name;
    return root;
}

static json_t *value_json(const train_config *c, size_t index, const char *text) {
    const char *at = (const char *)c + config_slots[index].offset;
    switch (config_slots[index].type) {
    case CONFIG_INT: return json_integer(*(const int64_t *)(const void *)at);
    case CONFIG_FLOAT: return json_real(*(const double *)(const void *)at);
    case CONFIG_BOOL: return json_boolean(*(const int *)(const void *)at);
    case CONFIG_CHOICE:
    case CONFIG_STRING: return json_string(text);
    case CONFIG_LIST: break;
    }
    const config_list *l = (const config_list *)(const void *)at;
    json_t *array = json_array();
    for (size_t i = 0; i < l->count; i++)
        if (json_array_append_new(array, json_string(l->item[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

lopt_status config_json(const train_config *c, char **out) {
    json_t *root = json_object();
    int good = root != NULL;
    for (size_t i = 0; good && i < lopt_config_count(); i++) {
        const char *last = NULL;
        char *text = NULL;
        json_t *section = section_of(root, lopt_config_get(i)->name, &last);
        good = section != NULL && config_text(c, i, &text) == LOPT_OK &&
               json_object_set_new(section, last, value_json(c, i, text)) == 0;
        free(text);
    }
    char *text = good ? json_text(root, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(root);
    LOPT_CHECK(text != NULL, LOPT_ERR_MEMORY, "no memory for the configuration");
    *out = text;
    return LOPT_OK;
}

lopt_status config_same_run(const train_config *saved, const train_config *wanted) {
    for (size_t i = 0; i < lopt_config_count(); i++) {
        char *a = NULL, *b = NULL;
        lopt_status status = LOPT_OK;
        if (config_slots[i].resumable) continue;
        LOPT_TRY_CLEANUP(config_text(saved, i, &a));
        LOPT_TRY_CLEANUP(config_text(wanted, i, &b));
        LOPT_CHECK_CLEANUP(strcmp(a, b) == 0, LOPT_ERR_CONFIG,
                           "%s is \"%.200s\" in this run and cannot become \"%.200s\" when it goes on; start a new run for that",
                           lopt_config_get(i)->name, a, b);
    cleanup:
        free(a);
        free(b);
        if (status != LOPT_OK) return status;
    }
    return LOPT_OK;
}
