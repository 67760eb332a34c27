#include "csrc/eval/protocol.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/status.h"
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

size_t eval_grid_tenth(eval_grid grid) { return (grid.count - 1) / 10; }

lopt_status eval_horizons_read(const char *text, size_t steps, eval_horizons *out) {
    eval_horizons h = {0, {0}};
    for (const char *at = text ? text : "1";; at++) {
        char *end = NULL;
        const unsigned long long factor = isdigit((unsigned char)*at) ? strtoull(at, &end, 10) : 0;
        LOPT_CHECK(factor >= 1 && factor <= EVAL_STEPS_MAX / steps && h.count < EVAL_HORIZONS_MAX, LOPT_ERR_ARGUMENT,
                   "horizons \"%.40s\": they are multiples of the steps, as in 1,10; at most %d of them and %d steps",
                   text ? text : "1", EVAL_HORIZONS_MAX, EVAL_STEPS_MAX);
        for (size_t i = 0; i < h.count; i++)
            LOPT_CHECK(h.factor[i] != factor, LOPT_ERR_ARGUMENT, "horizons \"%.40s\": %llu stands there twice", text, factor);
        h.factor[h.count++] = (size_t)factor;
        at = end;
        if (*at == 0) break;
        LOPT_CHECK(*at == ',', LOPT_ERR_ARGUMENT, "horizons \"%.40s\": numbers are separated by commas, as in 1,10", text);
    }
    *out = h;
    return LOPT_OK;
}

eval_seeds eval_seeds_make(uint64_t seed, const char *task, size_t seed_index) {
    uint64_t task_id = XXH3_64bits(task, strlen(task)) & 0xffffffffffu; /* the 40 bits that a Philox index holds */
    eval_seeds s = {random_seed(seed, RANDOM_EVAL_SEED, (uint32_t)seed_index, task_id, 0),
                    random_seed(seed, RANDOM_EVAL_SEED, (uint32_t)seed_index, task_id, 1),
                    random_seed(seed, RANDOM_EVAL_SEED, (uint32_t)seed_index, task_id, 2),
                    random_seed(seed, RANDOM_EVAL_SEED, (uint32_t)seed_index, task_id, 3)};
    return s;
}
