/* The tasks that a training draws from, as a list of specs. */
#ifndef LOPT_TRAIN_CORPUS_H
#define LOPT_TRAIN_CORPUS_H

#include "csrc/train/config.h"

typedef struct corpus {
    char **spec;
    const char **family; /* of each spec: its name, "sum" for several; static */
    size_t count;
} corpus;

/* Expands "corpus" and "family:*", checks every spec, refuses held-out families. */
lopt_status corpus_expand(const config_list *tasks, corpus *out);
void corpus_free(corpus *c);

#endif
