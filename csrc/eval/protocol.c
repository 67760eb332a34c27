#include "csrc/eval/protocol.h"

#include <string.h>
#include <xxhash.h>

#include "kernels/cell/philox.h"

double eval_rate(size_t index) {
    static const double rates[EVAL_RATE_COUNT] = {
        1e-7, 3.1622776601683795e-7, 1e-6, 3.1622776601683795e-6, 1e-5, 3.1622776601683795e-5, 1e-4, 3.1622776601683795e-4,
        1e-3, 3.1622776601683795e-3, 1e-2, 3.1622776601683795e-2, 1e-1, 3.1622776601683795e-1, 1.0};
    return rates[index];
}

const char *eval_rate_name(size_t index) {
    static const char *const names[EVAL_RATE_COUNT] = {"1e-7", "3.2e-7", "1e-6", "3.2e-6", "1e-5", "3.2e-5", "1e-4", "3.2e-4",
                                                       "1e-3", "3.2e-3", "0.01", "0.032",  "0.1",  "0.32",   "1"};
    return names[index];
}

eval_grid eval_grid_make(size_t steps) {
    eval_grid grid = {(steps < EVAL_GRID_INTERVALS ? steps : EVAL_GRID_INTERVALS) + 1, steps};
    return grid;
}

size_t eval_grid_step(eval_grid grid, size_t point) {
    size_t intervals = grid.count - 1;
    return (point * grid.steps + intervals / 2) / intervals;
}

eval_seeds eval_seeds_make(uint64_t seed, const char *task, size_t seed_index) {
    uint64_t task_id = XXH3_64bits(task, strlen(task)) & 0xffffffffffu; /* the 40 bits that a Philox index holds */
    eval_seeds s = {random_seed(seed, RANDOM_EVAL_SEED, (uint32_t)seed_index, task_id, 0),
                    random_seed(seed, RANDOM_EVAL_SEED, (uint32_t)seed_index, task_id, 1),
                    random_seed(seed, RANDOM_EVAL_SEED, (uint32_t)seed_index, task_id, 2),
                    random_seed(seed, RANDOM_EVAL_SEED, (uint32_t)seed_index, task_id, 3)};
    return s;
}
