#include "csrc/train/trained.h"

#include <fnmatch.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/status.h"

/* How many tensors the pattern fits. */
static size_t mark(const char *pattern, const weight_layout *layout, float *mask) {
    size_t fits = 0;
    for (size_t i = 0; i < WEIGHT_TENSORS; i++) {
        const weight_tensor *w = &layout->tensor[i];
        if (!w->present || fnmatch(pattern, w->name, 0) != 0) continue;
        for (size_t j = 0; j < w->count; j++) mask[w->offset + j] = 1.0f;
        fits++;
    }
    return fits;
}

lopt_status trained_mask(const config_list *patterns, const weight_layout *layout, float **mask) {
    float *out = NULL;
    lopt_status status = LOPT_OK;
    LOPT_TRY(memory_floats(layout->count, "the list of trained weights", &out));
    for (size_t i = 0; i < patterns->count; i++)
        LOPT_CHECK_CLEANUP(mark(patterns->item[i], layout, out) > 0, LOPT_ERR_CONFIG,
                           "weights.trained: this optimizer has no weights \"%.64s\"; `lopt info FILE` lists the names", patterns->item[i]);
    *mask = out;
    return LOPT_OK;
cleanup:
    free(out);
    return status;
}

void trained_apply(const float *mask, size_t count, float *values) {
    for (size_t i = 0; i < count; i++) values[i] *= mask[i];
}
