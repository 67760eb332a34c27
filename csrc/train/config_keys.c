#include "csrc/train/config_keys.h"

#include <stddef.h>
#include <string.h>

#include "base/status.h"
#include "lopt/meta.h"

/* X(type, type name, field, may change on resume, name, default, min, max, choices, help) */
#define CONFIG_KEYS(X)                                                                                                                   \
    X(CONFIG_INT, "int", seed, 0, "seed", "0", 0, 9e18, NULL, "every random draw of the run follows from it")                            \
    X(CONFIG_INT, "int", iterations, 1, "iterations", "2000", 1, 1e9, NULL,                                                              \
      "meta-iterations: one window of every particle, one "                                                                              \
      "update of the weights")                                                                                                           \
    X(CONFIG_INT, "int", particles, 0, "particles", "32", 1, 1e6, NULL, "inner runs that go on side by side")                            \
    X(CONFIG_STRING, "string", weights_options, 0, "weights.options", "", 0, 0, NULL,                                                    \
      "sizes and flags of the optimizer to train, as \"param=10,tensor=30,attention=0\"; empty: the defaults")                           \
    X(CONFIG_STRING, "string", weights_from, 0, "weights.from", "", 0, 0, NULL,                                                          \
      "weights file to start from; empty: fresh ones drawn from the seed")                                                               \
    X(CONFIG_FLOAT, "float", weights_update_scale, 0, "weights.update_scale", "1", 0, 100, NULL,                                         \
      "fresh weights: factor on update.kernel; 0.1 begins close to plain normalised gradient steps")                                     \
    X(CONFIG_LIST, "list", weights_trained, 0, "weights.trained", "*", 0, 0, NULL,                                                       \
      "names or patterns of the weights that are trained, as \"learning_rate.*;update.*\"; the others stay as they are. \"[2:4]\" "      \
      "after a name takes rows 2 and 3 of it, and \"*;!*.bias\" all but the biases. Few are easy for es, pes and nres, whose "           \
      "noise grows with their number")                                                                                                   \
    X(CONFIG_BOOL, "bool", weights_guard, 1, "weights.guard", "false", 0, 0, NULL,                                                       \
      "optimizers made from the weights keep each tensor's learning rates near their average so far; training itself goes on "           \
      "without, since what is trained under the guard leans on it")                                                                      \
    X(CONFIG_CHOICE, "choice", estimator, 0, "estimator", "tbptt", 0, 0, "tbptt|es|pes|nres|mix",                                        \
      "how the meta-gradient of a window is estimated: tbptt backpropagates through the window, exact but blind to what lies "           \
      "beyond it; es tries perturbed weights on the window, as blind; pes and nres keep each perturbed run going to the end of "         \
      "the episode and see all of it, with more noise; mix weighs tbptt and pes by their variances")                                     \
    X(CONFIG_BOOL, "bool", second_derivatives, 0, "second_derivatives", "true", 0, 0, NULL,                                              \
      "true: through the tasks' Hessians; false: task gradients count as constants (attention weights then get no gradient)")            \
    X(CONFIG_FLOAT, "float", es_sigma, 0, "es.sigma", "0.01", 1e-6, 10, NULL,                                                            \
      "es, pes, nres, mix: standard deviation of the perturbations of the weights; the meta-loss is smoothed over that width")           \
    X(CONFIG_INT, "int", es_pairs, 0, "es.pairs", "8", 1, 4096, NULL,                                                                    \
      "es, pes, nres, mix: antithetic pairs of perturbations per particle, each two unrolls of the window (at least 2 for mix); "        \
      "but for es each pair keeps two inner runs, about 84 bytes per task parameter each, and for pes and mix an accumulator "           \
      "as large as the weights")                                                                                                         \
    X(CONFIG_LIST, "list", tasks, 0, "tasks", "corpus", 0, 0, NULL,                                                                      \
      "task specs that particles draw from, evenly; \"family:*\" is all default instances of a family, \"corpus\" those of all")         \
    X(CONFIG_FLOAT, "float", rescale_share, 0, "rescale.share", "0", 0, 1, NULL,                                                         \
      "share of the runs whose task has its parameters rescaled, f(x / s), by factors that are drawn with the instance")                 \
    X(CONFIG_FLOAT, "float", rescale_model, 0, "rescale.model", "1000", 1, 1e4, NULL,                                                    \
      "one factor for all parameters, log-uniform from 1/this to this; 1: none")                                                         \
    X(CONFIG_FLOAT, "float", rescale_tensor, 0, "rescale.tensor", "1", 1, 1e4, NULL, "one for each tensor, likewise")                    \
    X(CONFIG_FLOAT, "float", rescale_parameter, 0, "rescale.parameter", "1", 1, 1e4, NULL, "one for each parameter, likewise")           \
    X(CONFIG_FLOAT, "float", shock_share, 0, "shock.share", "0", 0, 1, NULL,                                                             \
      "share of the windows before which all learning rates of the run are thrown off by one factor, so that an optimizer learns "       \
      "to come back from wrong ones; not before a run's first window")                                                                   \
    X(CONFIG_FLOAT, "float", shock_down, 0, "shock.down", "1e6", 1, 1e14, NULL, "the factor is log-uniform from 1/this ...")             \
    X(CONFIG_FLOAT, "float", shock_up, 0, "shock.up", "1", 1, 1e14, NULL, "... to this")                                                 \
    X(CONFIG_CHOICE, "choice", horizon, 0, "horizon.kind", "windows", 0, 0, "windows|log_uniform",                                       \
      "length of a run: 1 + Exponential(windows_mean) windows, or a log-uniform number of steps")                                        \
    X(CONFIG_FLOAT, "float", horizon_windows_mean, 0, "horizon.windows_mean", "40", 0, 1e6, NULL,                                        \
      "windows: mean of the exponential")                                                                                                \
    X(CONFIG_INT, "int", horizon_windows_max, 0, "horizon.windows_max", "200", 1, 1e9, NULL, "windows: no run has more")                 \
    X(CONFIG_INT, "int", horizon_min, 0, "horizon.min", "100", 1, 1e9, NULL,                                                             \
      "log_uniform: fewest steps of a run, which ends with the window that reaches them")                                                \
    X(CONFIG_INT, "int", horizon_max, 0, "horizon.max", "10000", 1, 1e9, NULL, "log_uniform: most steps of a run, likewise")             \
    X(CONFIG_INT, "int", window_min, 0, "window.min", "50", 1, 1e6, NULL, "fewest steps of a truncation window")                         \
    X(CONFIG_FLOAT, "float", window_mean, 0, "window.mean", "200", 0, 1e6, NULL, "mean of the exponential that is added to it")          \
    X(CONFIG_INT, "int", window_max, 0, "window.max", "1000", 1, 1e6, NULL, "most steps of a truncation window")                         \
    X(CONFIG_FLOAT, "float", init_lr_min, 0, "init_lr.min", "1e-6", 1e-14, 1e3, NULL, "lower bound of the initial learning rates")       \
    X(CONFIG_FLOAT, "float", init_lr_max, 0, "init_lr.max", "1e-2", 1e-14, 1e3, NULL, "upper bound of the initial learning rates")       \
    X(CONFIG_CHOICE, "choice", meta_optimizer, 0, "meta_optimizer.kind", "adam", 0, 0, "rmsprop|adam|adamw",                             \
      "what turns meta-gradients into updates of the weights")                                                                           \
    X(CONFIG_FLOAT, "float", learning_rate, 0, "meta_optimizer.learning_rate", "1e-3", 0, 1, NULL, "its peak learning rate")             \
    X(CONFIG_FLOAT, "float", beta1, 0, "meta_optimizer.beta1", "0.9", 0, 0.99999, NULL,                                                  \
      "decay of its gradient average (not rmsprop)")                                                                                     \
    X(CONFIG_FLOAT, "float", beta2, 0, "meta_optimizer.beta2", "0.99", 0, 0.999999, NULL, "decay of its mean square")                    \
    X(CONFIG_FLOAT, "float", epsilon, 0, "meta_optimizer.epsilon", "1e-8", 1e-30, 1, NULL, "added to the root of the mean square")       \
    X(CONFIG_FLOAT, "float", weight_decay, 0, "meta_optimizer.weight_decay", "0", 0, 1, NULL, "decoupled (adamw only)")                  \
    X(CONFIG_INT, "int", warmup, 0, "schedule.warmup", "0", 0, 1e9, NULL,                                                                \
      "meta-iterations over which the rate grows linearly from 0")                                                                       \
    X(CONFIG_CHOICE, "choice", decay, 0, "schedule.decay", "cosine", 0, 0, "constant|linear|cosine",                                     \
      "how the rate falls afterwards")                                                                                                   \
    X(CONFIG_FLOAT, "float", decay_to, 0, "schedule.final", "0.1", 0, 1, NULL, "share of the peak rate that is left at the end")         \
    X(CONFIG_CHOICE, "choice", clip, 0, "clip.kind", "norm", 0, 0, "none|norm|element|root",                                             \
      "how each particle's meta-gradient is clipped before they are averaged; root: a norm n above the limit becomes sqrt(limit n), so " \
      "that a run that fails still counts for more than others")                                                                         \
    X(CONFIG_FLOAT, "float", clip_limit, 0, "clip.limit", "1", 1e-12, 1e12, NULL, "largest norm, or largest entry")                      \
    X(CONFIG_FLOAT, "float", loss_cap, 0, "loss_cap", "10", 0.1, 1000, NULL,                                                             \
      "meta-loss that a diverged particle counts for; a particle above it starts afresh")                                                \
    X(CONFIG_FLOAT, "float", average, 0, "average", "0.99", 0, 0.99999, NULL,                                                            \
      "decay of the moving average of the weights that is saved; 0: the last weights")                                                   \
    X(CONFIG_INT, "int", checkpoint_every, 1, "checkpoint.every", "100", 1, 1e9, NULL, "meta-iterations between checkpoints")            \
    X(CONFIG_FLOAT, "float", checkpoint_minutes, 1, "checkpoint.minutes", "10", 0, 1e6, NULL,                                            \
      "most minutes between checkpoints, so that a crash costs no more; 0: only checkpoint.every counts")                                \
    X(CONFIG_FLOAT, "float", comm_deadline, 1, "comm.deadline", "300", 0.1, 1e6, NULL,                                                   \
      "seconds that the processes of a job wait for each other before the job ends; above what the slowest needs for a window of "       \
      "its particles")

#define AS_KEY(type, type_name, field, resumable, name, default_text, min, max, choices, help) \
    {name, type_name, default_text, min, max, choices, help},
#define AS_SLOT(type, type_name, field, resumable, ...) {type, offsetof(train_config, field), resumable},

static const lopt_config_key keys[] = {CONFIG_KEYS(AS_KEY)};
const config_slot config_slots[] = {CONFIG_KEYS(AS_SLOT)};
enum { KEYS = sizeof keys / sizeof keys[0] };

size_t lopt_config_count(void) { return KEYS; }
const lopt_config_key *lopt_config_get(size_t index) { return index < KEYS ? &keys[index] : NULL; }

lopt_status config_find(const char *name, size_t *out) {
    const char *names[KEYS];
    for (size_t i = 0; i < KEYS; i++) {
        names[i] = keys[i].name;
        if (strcmp(name, names[i]) == 0) {
            *out = i;
            return LOPT_OK;
        }
    }
    return lopt_fail(LOPT_ERR_CONFIG, "unknown configuration key \"%.64s\"; did you mean %s?", name,
                     lopt_nearest_name(name, names, KEYS));
}
