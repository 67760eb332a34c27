/* What tells the estimators of the meta-gradient apart: an entry of the table in estimator.c for each choice of the configuration key
 * "estimator", in the order of estimator_kind. estimate.c reads these properties and knows no names. */
#ifndef LOPT_TRAIN_ESTIMATOR_H
#define LOPT_TRAIN_ESTIMATOR_H

#include "csrc/train/config.h"

typedef struct estimator {
    const char *name;
    int backpropagates; /* 1: uses the window's exact gradient */
    int perturbs;       /* 1: tries antithetic pairs of perturbed weights */
    int keeps_pairs; /* 1: each run of a pair goes on from where it was; 0: all start each window from the unperturbed run's state */
    int accumulates;  /* 1: a pair's losses are credited to all its perturbations since the episode began */
    int reuses_noise; /* 1: a pair keeps one perturbation for the whole episode */
} estimator;

const estimator *estimator_of(const train_config *c);
/* Antithetic pairs per particle; 0 for an estimator that does not perturb. */
size_t estimator_pairs(const train_config *c);
/* Unrolls of a window that one estimate takes. */
size_t estimator_unrolls(const train_config *c);

#endif
