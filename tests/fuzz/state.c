/* Optimizer state files, loaded into a small optimizer of the sizes that seeds.py writes. What is loaded must serve for a step, and a
 * refused file must leave the parameters alone. */
#include <string.h>

#include "lopt/lopt.h"
#include "tests/fuzz/fuzz_file.h"

enum { TENSORS = 2, FIRST = 3, SECOND = 1, TOTAL = FIRST + SECOND };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static lopt_weights *w;
    float params[TOTAL] = {1, 2, 3, 4}, grads[TOTAL] = {1, -1, 2, 0}, before[TOTAL], after[TOTAL];
    float *param_list[] = {params, params + FIRST}, *before_list[] = {before, before + FIRST},
          *after_list[] = {after, after + FIRST};
    const float *grad_list[] = {grads, grads + FIRST};
    const size_t counts[] = {FIRST, SECOND};
    lopt_optimizer *opt = NULL;
    if (w == NULL) FUZZ_EXPECT(lopt_weights_init("param=2,tensor=2,global=2,scales=2", 1, &w) == LOPT_OK);
    FUZZ_EXPECT(lopt_optimizer_create(w, NULL, TENSORS, counts, param_list, NULL, &opt) == LOPT_OK);
    FUZZ_EXPECT(lopt_optimizer_true_params(opt, before_list, NULL) == LOPT_OK);
    const lopt_status status = lopt_optimizer_load(opt, fuzz_file(bytes, size));
    FUZZ_EXPECT(lopt_optimizer_true_params(opt, after_list, NULL) == LOPT_OK);
    FUZZ_EXPECT(status == LOPT_OK || (memcmp(before, after, sizeof before) == 0 && lopt_last_error()[0] != 0));
    if (lopt_optimizer_step(opt, param_list, grad_list, NULL) != LOPT_OK) /* the file is of a swapped optimizer */
        FUZZ_EXPECT(status == LOPT_OK && lopt_optimizer_swap(opt, param_list, NULL) == LOPT_OK);
    lopt_optimizer_free(opt);
    return 0;
}
