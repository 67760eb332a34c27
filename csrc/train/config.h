/* The configuration of a meta-training as one table: name, type, default, bounds and help of each key, which the JSON parser, --set,
 * --help-config, the resolved config.json and the documentation all read. */
#ifndef LOPT_TRAIN_CONFIG_H
#define LOPT_TRAIN_CONFIG_H

#include <jansson.h>
#include <stdint.h>

#include "lopt/meta.h"

/* The order of these is that of the choices in the table. */
typedef enum estimator_kind { ESTIMATOR_TBPTT, ESTIMATOR_ES, ESTIMATOR_PES, ESTIMATOR_NRES, ESTIMATOR_MIX } estimator_kind;
typedef enum horizon_kind { HORIZON_WINDOWS, HORIZON_LOG_UNIFORM } horizon_kind;
typedef enum optimizer_kind { META_RMSPROP, META_ADAM, META_ADAMW } optimizer_kind;
typedef enum decay_kind { DECAY_CONSTANT, DECAY_LINEAR, DECAY_COSINE } decay_kind;
typedef enum clip_kind { CLIP_NONE, CLIP_NORM, CLIP_ELEMENT, CLIP_ROOT } clip_kind;

typedef struct config_list {
    char **item;
    size_t count;
} config_list;

typedef struct train_config {
    int64_t seed, iterations, particles;
    char *weights_options, *weights_from;
    double weights_update_scale;
    config_list weights_trained;
    int weights_guard;
    int estimator, second_derivatives;
    double es_sigma;
    int64_t es_pairs;
    config_list tasks;
    double rescale_share, rescale_model, rescale_tensor, rescale_parameter;
    double shock_share, shock_down, shock_up;
    int horizon;
    double horizon_windows_mean;
    int64_t horizon_windows_max, horizon_min, horizon_max;
    int64_t window_min, window_max;
    double window_mean;
    double init_lr_min, init_lr_max;
    int meta_optimizer;
    double learning_rate, beta1, beta2, epsilon, weight_decay;
    int decay;
    int64_t warmup;
    double decay_to;
    int clip;
    double clip_limit, loss_cap, average;
    int64_t checkpoint_every;
    double checkpoint_minutes, comm_deadline;
} train_config;

/* All defaults. The config's text is released by config_free. */
lopt_status config_defaults(train_config *c);
void config_free(train_config *c);
/* Reads a JSON file over the present values. */
lopt_status config_read_file(train_config *c, const char *path);
/* The same from JSON text, as config_json writes it. */
lopt_status config_read_text(train_config *c, const char *text);
/* Applies "key=value"; lists are separated by ';'. */
lopt_status config_override(train_config *c, const char *assignment);
/* What no single bound says: minima below maxima, tasks that exist and are not held out. */
lopt_status config_check(const train_config *c);

/* The value of key `index` as --set takes it. malloc'ed. */
lopt_status config_text(const train_config *c, size_t index, char **out);
/* The whole configuration as JSON text. malloc'ed. */
lopt_status config_json(const train_config *c, char **out);
/* Fails, naming the key, if the two differ in a key that a resumed run may not change. */
lopt_status config_same_run(const train_config *saved, const train_config *wanted);

#endif
