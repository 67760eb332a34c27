#include "csrc/train/estimator.h"

/* tbptt  truncated backpropagation through time; state is carried across windows without gradient
 * es     truncated evolution strategies: Vicol et al. 2021 (arXiv 2112.13835), algorithm 1
 * pes    persistent evolution strategies: the same, algorithm 2
 * nres   noise-reuse evolution strategies: Li et al. 2023 (arXiv 2304.12180)
 * mix    tbptt at the perturbed points and pes, each weighed by the other's variance: Metz et al. 2019 (arXiv 1810.10180) */
static const estimator estimators[] = {
    [ESTIMATOR_TBPTT] = {.name = "tbptt", .backpropagates = 1},
    [ESTIMATOR_ES] = {.name = "es", .perturbs = 1},
    [ESTIMATOR_PES] = {.name = "pes", .perturbs = 1, .keeps_pairs = 1, .accumulates = 1},
    [ESTIMATOR_NRES] = {.name = "nres", .perturbs = 1, .keeps_pairs = 1, .reuses_noise = 1},
    [ESTIMATOR_MIX] = {.name = "mix", .backpropagates = 1, .perturbs = 1, .keeps_pairs = 1, .accumulates = 1},
};

const estimator *estimator_of(const train_config *c) { return &estimators[c->estimator]; }

size_t estimator_pairs(const train_config *c) { return estimator_of(c)->perturbs ? (size_t)c->es_pairs : 0; }

size_t estimator_unrolls(const train_config *c) {
    const size_t unperturbed = estimator_of(c)->keeps_pairs ? 0 : 1;
    return 2 * estimator_pairs(c) + unperturbed;
}
