/* The weights object: a flat vector, its layout, and where it came from. */
#ifndef LOPT_CSRC_WEIGHTS_H
#define LOPT_CSRC_WEIGHTS_H

#include "kernels/layout.h"

struct lopt_weights {
    weight_layout layout;
    float *data;      /* [layout.count] */
    int guarded;      /* 1: optimizers made from it have the guard on unless the user says otherwise (kernels/cell/guard.h) */
    char *provenance; /* JSON object of further metadata strings, or NULL; written to the file and kept on load */
};

/* Weights with this layout, all zero. */
lopt_status weights_create(lopt_dims dims, lopt_weights **out);
lopt_status weights_copy(const lopt_weights *w, lopt_weights **out);
/* Parses "param=10,tensor=30,..." over the defaults. */
lopt_status weights_parse_options(const char *options, lopt_dims *out);
/* Replaces the provenance (a JSON object whose values are strings; copied). */
lopt_status weights_set_provenance(lopt_weights *w, const char *json_object);
/* LOPT_OK where every number is finite; else `otherwise`, with a sentence that names the first that is not. */
lopt_status weights_check_finite(const lopt_weights *w, lopt_status otherwise);
/* XXH3-64 over shape and values: names the weights in state files. */
uint64_t weights_fingerprint(const lopt_weights *w);

#endif
