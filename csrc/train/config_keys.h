/* The table behind config.h, with where each value stands. */
#ifndef LOPT_TRAIN_CONFIG_KEYS_H
#define LOPT_TRAIN_CONFIG_KEYS_H

#include "csrc/train/config.h"

typedef enum config_type { CONFIG_INT, CONFIG_FLOAT, CONFIG_BOOL, CONFIG_CHOICE, CONFIG_STRING, CONFIG_LIST } config_type;

typedef struct config_slot {
    config_type type;
    size_t offset; /* in train_config */
    int resumable; /* 1: may change when a run goes on */
} config_slot;

/* [lopt_config_count()], in the order of lopt_config_get. */
extern const config_slot config_slots[];

/* Parses text into the value of key `index`; on failure c is unchanged. */
lopt_status config_set(train_config *c, size_t index, const char *text);
/* The key's index; LOPT_ERR_CONFIG with the nearest name if there is none. */
lopt_status config_find(const char *name, size_t *out);

#endif
