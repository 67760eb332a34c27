/* Weights as files of format lopt.hrnn.v1. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/io/json_text.h"
#include "csrc/io/safetensors.h"
#include "csrc/weights/options.h"

static const char format_name[] = "lopt.hrnn.v1";

static safetensors_tensor described(const weight_tensor *t) {
    safetensors_tensor s = {t->name, SAFETENSORS_F32, t->rank, {t->rows, t->columns, 0, 0}};
    return s;
}

static lopt_status read_dims(const safetensors_file *f, lopt_dims *out) {
    const char *format = safetensors_metadata(f, "format");
    LOPT_CHECK(format && strcmp(format, format_name) == 0, LOPT_ERR_FORMAT, "its format is %.32s, not %s: no weights file",
               format ? format : "not stated", format_name);
    for (size_t i = 0; i < WEIGHTS_OPTIONS; i++) {
        const weights_option *o = &weights_options[i];
        const char *text = safetensors_metadata(f, o->metadata);
        LOPT_CHECK(text != NULL, LOPT_ERR_FORMAT, "the metadata lack %s", o->metadata);
        if (o->is_flag) {
            LOPT_CHECK(strcmp(text, "true") == 0 || strcmp(text, "false") == 0, LOPT_ERR_FORMAT,
                       "metadata %s = %.32s: neither true nor false", o->metadata, text);
            *weights_option_at(out, o) = text[0] == 't';
        } else {
            lopt_status status = weights_option_set(out, o, text);
            if (status != LOPT_OK) return lopt_fail_prefix(LOPT_ERR_FORMAT, "metadata %s", o->metadata);
        }
    }
    return LOPT_OK;
}

/* Files without the word have no guard. */
static lopt_status read_guard(const safetensors_file *f, lopt_weights *w) {
    const char *text = safetensors_metadata(f, "guard");
    LOPT_CHECK(text == NULL || strcmp(text, "on") == 0 || strcmp(text, "off") == 0, LOPT_ERR_FORMAT,
               "metadata guard = %.32s: neither on nor off", text);
    w->guarded = text && strcmp(text, "on") == 0;
    return LOPT_OK;
}

static lopt_status read_tensors(const safetensors_file *f, lopt_weights *w) {
    size_t present = 0;
    for (int id = 0; id < WEIGHT_TENSORS; id++) {
        const weight_tensor *t = &w->layout.tensor[id];
        const safetensors_tensor expected = described(t);
        const void *data = NULL;
        if (!t->present) continue;
        LOPT_TRY(safetensors_data(f, &expected, &data));
        memcpy(w->data + t->offset, data, t->count * sizeof(float));
        present++;
    }
    for (size_t i = 0; safetensors_num_tensors(f) > present && i < safetensors_num_tensors(f); i++) {
        int known = 0;
        for (int id = 0; id < WEIGHT_TENSORS; id++)
            known |= w->layout.tensor[id].present && strcmp(w->layout.tensor[id].name, safetensors_tensor_at(f, i)->name) == 0;
        LOPT_CHECK(known, LOPT_ERR_FORMAT, "tensor %.64s does not belong into weights of this shape",
                   safetensors_tensor_at(f, i)->name);
    }
    return weights_check_finite(w, LOPT_ERR_FORMAT);
}

/* Metadata that this reader derives from the shape, or that the writer adds. */
static int is_own_key(const char *key) {
    for (size_t i = 0; i < WEIGHTS_OPTIONS; i++)
        if (strcmp(weights_options[i].metadata, key) == 0) return 1;
    return strcmp(key, "format") == 0 || strcmp(key, "checksum") == 0 || strcmp(key, "guard") == 0 ||
           strcmp(key, "lopt_version") == 0;
}

static lopt_status read_provenance(const safetensors_file *f, lopt_weights *w) {
    const char *key, *value;
    json_t *all = json_object();
    int bad = all == NULL;
    for (size_t i = 0; safetensors_metadata_at(f, i, &key, &value); i++)
        if (!is_own_key(key)) bad |= json_object_set_new(all, key, json_string(value)) != 0;
    char *text = bad || json_object_size(all) == 0 ? NULL : json_text(all, JSON_COMPACT);
    bad |= json_object_size(all) > 0 && text == NULL;
    json_decref(all);
    lopt_status status = bad ? lopt_fail(LOPT_ERR_MEMORY, "no memory for the metadata") : weights_set_provenance(w, text);
    free(text);
    return status;
}

lopt_status lopt_weights_load(const char *path, lopt_weights **out) {
    lopt_status status = LOPT_OK;
    safetensors_file *f = NULL;
    lopt_weights *w = NULL;
    lopt_dims dims;
    LOPT_CHECK(path != NULL && out != NULL, LOPT_ERR_ARGUMENT, "lopt_weights_load: path and out must not be NULL");
    LOPT_TRY(safetensors_open(path, &f));
    LOPT_TRY_CLEANUP(read_dims(f, &dims));
    LOPT_TRY_CLEANUP(weights_create(dims, &w));
    LOPT_TRY_CLEANUP(read_tensors(f, w));
    LOPT_TRY_CLEANUP(read_guard(f, w));
    LOPT_TRY_CLEANUP(read_provenance(f, w));
    *out = w;
    w = NULL;
cleanup:
    lopt_weights_free(w);
    safetensors_close(f);
    return status == LOPT_OK ? LOPT_OK : lopt_fail_prefix(status, "%s", path);
}

typedef struct weights_source {
    const lopt_weights *w;
    weight_id id[WEIGHT_TENSORS]; /* of each tensor in the file */
} weights_source;

static lopt_status fill_weights(void *self, size_t index, size_t first, size_t count, void *buffer) {
    const weights_source *s = self;
    memcpy(buffer, s->w->data + s->w->layout.tensor[s->id[index]].offset + first, count * sizeof(float));
    return LOPT_OK;
}

static lopt_status write_file(const lopt_weights *w, const json_t *provenance, const char *path, safetensors_pair *pairs) {
    char numbers[WEIGHTS_OPTIONS][16];
    safetensors_tensor tensors[WEIGHT_TENSORS];
    weights_source source = {w, {0}};
    size_t n = 0, count = 0;
    const char *key;
    json_t *value;
    pairs[n++] = (safetensors_pair){"format", format_name};
    for (size_t i = 0; i < WEIGHTS_OPTIONS; i++) {
        lopt_dims d = w->layout.dims;
        int number = *weights_option_at(&d, &weights_options[i]);
        snprintf(numbers[i], sizeof numbers[i], "%d", number);
        pairs[n++] =
            (safetensors_pair){weights_options[i].metadata, !weights_options[i].is_flag ? numbers[i] : (number ? "true" : "false")};
    }
    if (w->guarded) pairs[n++] = (safetensors_pair){"guard", "on"};
    json_object_foreach((json_t *)provenance, key, value) pairs[n++] = (safetensors_pair){key, json_string_value(value)};
    for (int id = 0; id < WEIGHT_TENSORS; id++)
        if (w->layout.tensor[id].present) {
            source.id[count] = (weight_id)id;
            tensors[count++] = described(&w->layout.tensor[id]);
        }
    return safetensors_write(path, pairs, n, tensors, count, fill_weights, &source);
}

lopt_status lopt_weights_save(const lopt_weights *w, const char *path) {
    lopt_status status = LOPT_OK;
    json_t *provenance = NULL;
    void *pairs = NULL;
    LOPT_CHECK(w != NULL && path != NULL, LOPT_ERR_ARGUMENT, "lopt_weights_save: w and path must not be NULL");
    if (weights_check_finite(w, LOPT_ERR_ARGUMENT) != LOPT_OK) /* no load would take them */
        return lopt_fail_prefix(LOPT_ERR_ARGUMENT, "lopt_weights_save: %s is not written", path);
    if (w->provenance) {
        provenance = json_loads(w->provenance, 0, NULL);
        LOPT_CHECK_CLEANUP(provenance != NULL, LOPT_ERR_MEMORY, "no memory for the metadata");
    }
    LOPT_TRY_CLEANUP(
        memory_alloc(2 + WEIGHTS_OPTIONS + json_object_size(provenance), sizeof(safetensors_pair), "metadata", &pairs));
    LOPT_TRY_CLEANUP(write_file(w, provenance, path, pairs));
cleanup:
    free(pairs);
    json_decref(provenance);
    return status;
}
