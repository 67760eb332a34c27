/* The sizes and flags of a learned optimizer, by name: one table for the options text, the file's metadata and lookups. */
#include "csrc/weights/options.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "lopt/meta.h"

const weights_option weights_options[WEIGHTS_OPTIONS] = {
    {"param", "param_size", offsetof(lopt_dims, param), 1, PARAM_SIZE_MAX, 10, 0},
    {"tensor", "tensor_size", offsetof(lopt_dims, tensor), 1, TENSOR_SIZE_MAX, 30, 0},
    {"global", "global_size", offsetof(lopt_dims, global), 1, GLOBAL_SIZE_MAX, 20, 0},
    {"scales", "gradient_scales", offsetof(lopt_dims, scales), 1, SCALES_MAX, 4, 0},
    {"attention", "attention", offsetof(lopt_dims, attention), 0, 1, 1, 1},
    {"grad_products", "grad_products", offsetof(lopt_dims, grad_products), 0, 1, 1, 1},
    {"relative_lr", "relative_lr", offsetof(lopt_dims, relative_lr), 0, 1, 1, 1},
    {"gradient_shortcut", "gradient_shortcut", offsetof(lopt_dims, gradient_shortcut), 0, 1, 1, 1},
};

int *weights_option_at(lopt_dims *d, const weights_option *o) { return (int *)(void *)((char *)d + o->offset); }

const weights_option *weights_option_find(const char *name) {
    for (size_t i = 0; i < WEIGHTS_OPTIONS; i++)
        if (strcmp(weights_options[i].name, name) == 0) return &weights_options[i];
    return NULL;
}

lopt_status weights_option_set(lopt_dims *d, const weights_option *o, const char *text) {
    char *end = NULL;
    long value = strtol(text, &end, 10);
    LOPT_CHECK(text[0] >= '0' && text[0] <= '9' && *end == 0 && value >= o->min && value <= o->max, LOPT_ERR_CONFIG,
               "%s=%.32s: it must be a whole number from %d to %d", o->name, text, o->min, o->max);
    *weights_option_at(d, o) = (int)value;
    return LOPT_OK;
}

static lopt_status parse_pair(char *pair, lopt_dims *d, unsigned *seen) {
    const char *names[WEIGHTS_OPTIONS];
    char *value = strchr(pair, '=');
    LOPT_CHECK(value != NULL, LOPT_ERR_CONFIG, "option \"%.64s\" is not of the form key=value", pair);
    *value++ = 0;
    for (size_t i = 0; i < WEIGHTS_OPTIONS; i++) names[i] = weights_options[i].name;
    const weights_option *o = weights_option_find(pair);
    LOPT_CHECK(o != NULL, LOPT_ERR_CONFIG, "unknown option \"%.64s\"; did you mean %s?", pair,
               lopt_nearest_name(pair, names, WEIGHTS_OPTIONS));
    unsigned bit = 1u << (o - weights_options);
    LOPT_CHECK(!(*seen & bit), LOPT_ERR_CONFIG, "option %s is given twice", o->name);
    *seen |= bit;
    return weights_option_set(d, o, value);
}

lopt_status weights_parse_options(const char *options, lopt_dims *out) {
    lopt_dims d;
    unsigned seen = 0;
    char text[512];
    for (size_t i = 0; i < WEIGHTS_OPTIONS; i++) *weights_option_at(&d, &weights_options[i]) = weights_options[i].default_value;
    if (options && options[0]) {
        LOPT_CHECK(strlen(options) < sizeof text, LOPT_ERR_CONFIG, "the options are longer than %zu characters", sizeof text - 1);
        strcpy(text, options);
        for (char *pair = text, *next; pair; pair = next) {
            next = strchr(pair, ',');
            if (next) *next++ = 0;
            LOPT_TRY(parse_pair(pair, &d, &seen));
        }
    }
    *out = d;
    return LOPT_OK;
}
