#include "csrc/weights/weights.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/io/json_text.h"
#include "csrc/weights/options.h"
#include "kernels/cell/philox.h"
#include "lopt/meta.h"

lopt_status weights_create(lopt_dims dims, lopt_weights **out) {
    void *memory = NULL;
    LOPT_TRY(memory_alloc(1, sizeof(lopt_weights), "weights", &memory));
    lopt_weights *w = memory;
    weight_layout_make(dims, &w->layout);
    lopt_status status = memory_floats(w->layout.count, "weights", &w->data);
    if (status != LOPT_OK) {
        lopt_weights_free(w);
        return status;
    }
    *out = w;
    return LOPT_OK;
}

lopt_status weights_copy(const lopt_weights *w, lopt_weights **out) {
    lopt_weights *copy = NULL;
    LOPT_TRY(weights_create(w->layout.dims, &copy));
    memcpy(copy->data, w->data, w->layout.count * sizeof(float));
    copy->guarded = w->guarded;
    lopt_status status = memory_text(w->provenance, &copy->provenance);
    if (status != LOPT_OK) {
        lopt_weights_free(copy);
        return status;
    }
    *out = copy;
    return LOPT_OK;
}

/* The initial distributions of the format's table. */
static float initial_value(const weight_tensor *t, int scales, uint64_t seed, uint32_t id, uint64_t i) {
    switch (t->init) {
    case INIT_CONSTANT: return t->constant;
    case INIT_UNIFORM: return 2.0f * random_uniform(seed, RANDOM_WEIGHTS, id, i, 0) - 1.0f;
    case INIT_NORMAL_ROWS: return 0.5f / sqrtf((float)t->rows) * random_normal(seed, RANDOM_WEIGHTS, id, i, 0);
    case INIT_GRADIENT_READ: {
        float s = (float)scales;
        return 1.0f / s + 0.1f / sqrtf(s) * random_normal(seed, RANDOM_WEIGHTS, id, i, 0);
    }
    case INIT_COPY_OF_UPDATE: break;
    }
    return 0.0f;
}

/* Of weights that nothing has trained. */
static lopt_status fresh_provenance(lopt_weights *w, const char *options, uint64_t seed) {
    char number[24];
    snprintf(number, sizeof number, "%" PRIu64, seed);
    json_t *o = json_pack("{s:s, s:s, s:s}", "configuration", options ? options : "", "seed", number, "meta_iterations", "0");
    char *text = o ? json_text(o, JSON_COMPACT) : NULL;
    json_decref(o);
    LOPT_CHECK(text != NULL, LOPT_ERR_MEMORY, "no memory for the weights' provenance");
    const lopt_status status = weights_set_provenance(w, text);
    free(text);
    return status;
}

lopt_status lopt_weights_init(const char *options, uint64_t seed, lopt_weights **out) {
    lopt_dims dims;
    lopt_weights *w = NULL;
    LOPT_CHECK(out != NULL, LOPT_ERR_ARGUMENT, "lopt_weights_init: out is NULL");
    LOPT_TRY(weights_parse_options(options, &dims));
    LOPT_TRY(weights_create(dims, &w));
    const lopt_status status = fresh_provenance(w, options, seed);
    if (status != LOPT_OK) {
        lopt_weights_free(w);
        return status;
    }
    for (int id = 0; id < WEIGHT_TENSORS; id++) {
        const weight_tensor *t = &w->layout.tensor[id];
        const weight_tensor *update = &w->layout.tensor[W_UPDATE_KERNEL];
        for (size_t i = 0; i < t->count; i++)
            w->data[t->offset + i] =
                t->init == INIT_COPY_OF_UPDATE ? w->data[update->offset + i] : initial_value(t, dims.scales, seed, (uint32_t)id, i);
    }
    *out = w;
    return LOPT_OK;
}

lopt_status weights_set_provenance(lopt_weights *w, const char *json_object_text) {
    char *copy = NULL;
    LOPT_TRY(memory_text(json_object_text, &copy));
    free(w->provenance);
    w->provenance = copy;
    return LOPT_OK;
}

lopt_status weights_check_finite(const lopt_weights *w, lopt_status otherwise) {
    for (int id = 0; id < WEIGHT_TENSORS; id++) {
        const weight_tensor *t = &w->layout.tensor[id];
        for (size_t i = 0; t->present && i < t->count; i++)
            LOPT_CHECK(isfinite(w->data[t->offset + i]), otherwise, "tensor %s of the weights: element %zu is not finite", t->name,
                       i);
    }
    return LOPT_OK;
}

uint64_t weights_fingerprint(const lopt_weights *w) {
    uint64_t shape = XXH3_64bits(&w->layout.dims, sizeof w->layout.dims);
    return XXH3_64bits_withSeed(w->data, w->layout.count * sizeof(float), shape);
}

size_t lopt_weights_count(const lopt_weights *w) { return w ? w->layout.count : 0; }
float *lopt_weights_data(lopt_weights *w) { return w ? w->data : NULL; }
const char *lopt_weights_provenance(const lopt_weights *w) { return w ? w->provenance : NULL; }

int lopt_weights_option(const lopt_weights *w, const char *name) {
    if (w && name && strcmp(name, "guard") == 0) return w->guarded;
    const weights_option *o = w && name ? weights_option_find(name) : NULL;
    lopt_dims d = o ? w->layout.dims : (lopt_dims){0};
    return o ? *weights_option_at(&d, o) : -1;
}

int lopt_weights_tensor(const lopt_weights *w, size_t index, const char **name, size_t *offset, size_t shape[2]) {
    if (w == NULL) return 0;
    for (int id = 0; id < WEIGHT_TENSORS; id++) {
        const weight_tensor *t = &w->layout.tensor[id];
        if (!t->present || index-- > 0) continue;
        if (name) *name = t->name;
        if (offset) *offset = t->offset;
        if (shape) shape[0] = t->rows, shape[1] = t->columns;
        return 1;
    }
    return 0;
}

void lopt_weights_free(lopt_weights *w) {
    if (w == NULL) return;
    free(w->data);
    free(w->provenance);
    free(w);
}
