/* The sizes and flags of a learned optimizer as a table. */
#ifndef LOPT_CSRC_WEIGHTS_OPTIONS_H
#define LOPT_CSRC_WEIGHTS_OPTIONS_H

#include "csrc/weights/weights.h"

enum { WEIGHTS_OPTIONS = 8 };

typedef struct weights_option {
    const char *name;     /* in options texts and configurations */
    const char *metadata; /* in files */
    size_t offset;        /* in lopt_dims */
    int min, max, default_value;
    int is_flag; /* "true"/"false" in files */
} weights_option;

extern const weights_option weights_options[WEIGHTS_OPTIONS];

int *weights_option_at(lopt_dims *d, const weights_option *o);
const weights_option *weights_option_find(const char *name); /* NULL: none */
lopt_status weights_option_set(lopt_dims *d, const weights_option *o, const char *text);

#endif
