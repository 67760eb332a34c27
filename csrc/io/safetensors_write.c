#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/io/atomic_file.h"
#include "csrc/io/json_text.h"
#include "csrc/io/safetensors_file.h"

enum { BUFFER_BYTES = 1 << 20 };

static const char no_digits[] = "0000000000000000";

const char *safetensors_dtype_name(safetensors_dtype d) {
    static const char *const names[] = {"F32", "F64", "U64", "U8"};
    return names[d];
}

size_t safetensors_dtype_size(safetensors_dtype d) {
    static const size_t sizes[] = {4, 8, 8, 1};
    return sizes[d];
}

size_t safetensors_count(const safetensors_tensor *t) {
    size_t n = 1;
    for (int i = 0; i < t->rank; i++) n *= t->shape[i];
    return n;
}

/* Past JSON's white space. */
static const char *after_space(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) at++;
    return at;
}

size_t safetensors_checksum_place(const char *bytes, size_t size) {
    static const char key[] = "\"" CHECKSUM_KEY "\"";
    const char *at = bytes, *end = bytes + size;
    for (; (at = memmem(at, (size_t)(end - at), key, sizeof key - 1)) != NULL; at++) {
        /* In strings a quote has a backslash before it: a key that ends with the word is passed over. */
        if (at > bytes && at[-1] == '\\') continue;
        const char *colon = after_space(at + sizeof key - 1, end);
        if (colon == end || *colon != ':') continue; /* a value */
        const char *quote = after_space(colon + 1, end);
        if (quote < end && *quote == '"') return end - quote > CHECKSUM_DIGITS ? (size_t)(quote + 1 - bytes) : 0;
    }
    return 0;
}

/* The metadata come first in the header, with room for the digits. Steals nothing; NULL: no memory. */
static json_t *metadata_object(const safetensors_pair *metadata, size_t n) {
    json_t *o = json_object();
    int bad = o == NULL;
    for (size_t i = 0; i < n; i++) bad |= json_object_set_new(o, metadata[i].key, json_string(metadata[i].value)) != 0;
    bad |= json_object_set_new(o, VERSION_KEY, json_string(LOPT_VERSION)) != 0;
    bad |= json_object_set_new(o, CHECKSUM_KEY, json_string(no_digits)) != 0;
    if (!bad) return o;
    json_decref(o);
    return NULL;
}

static json_t *tensor_object(const safetensors_tensor *t, size_t begin, size_t end) {
    json_t *shape = json_array();
    int bad = shape == NULL;
    for (int i = 0; i < t->rank; i++) bad |= json_array_append_new(shape, json_integer((json_int_t)t->shape[i])) != 0;
    if (bad) {
        json_decref(shape);
        return NULL;
    }
    return json_pack("{s:s, s:o, s:[I,I]}", "dtype", safetensors_dtype_name(t->dtype), "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)end);
}

/* The header with its length before it and padding behind it. */
static lopt_status make_header(const safetensors_pair *metadata, size_t num_metadata, const safetensors_tensor *tensors, size_t n,
                               char **out, size_t *size) {
    lopt_status status = LOPT_OK;
    json_t *root = json_object();
    char *text = NULL;
    void *block = NULL;
    size_t offset = 0;
    int bad = json_object_set_new(root, "__metadata__", metadata_object(metadata, num_metadata)) != 0;
    for (size_t i = 0; i < n; i++) {
        size_t end = offset + safetensors_count(&tensors[i]) * safetensors_dtype_size(tensors[i].dtype);
        bad |= json_object_set_new(root, tensors[i].name, tensor_object(&tensors[i], offset, end)) != 0;
        offset = end;
    }
    if (!bad) text = json_text(root, JSON_COMPACT);
    LOPT_CHECK_CLEANUP(
        text != NULL, LOPT_ERR_MEMORY,
        "no memory for the file's header, or a name or value in it is not UTF-8; the old file, if any, is unchanged");
    size_t length = strlen(text), padded = (length + 7) / 8 * 8;
    LOPT_TRY_CLEANUP(memory_alloc(8 + padded, 1, "a file header", &block));
    char *bytes = block;
    for (int i = 0; i < 8; i++) bytes[i] = (char)(padded >> (8 * i));
    memcpy(bytes + 8, text, length);
    memset(bytes + 8 + length, ' ', padded - length);
    *out = bytes;
    *size = 8 + padded;
cleanup:
    free(text);
    json_decref(root);
    return status;
}

static lopt_status write_data(atomic_file *f, XXH3_state_t *hash, const safetensors_tensor *tensors, size_t n,
                              safetensors_fill fill, void *self, void *buffer) {
    for (size_t i = 0; i < n; i++) {
        const size_t size = safetensors_dtype_size(tensors[i].dtype), count = safetensors_count(&tensors[i]);
        for (size_t first = 0, part; first < count; first += part) {
            part = count - first < BUFFER_BYTES / size ? count - first : BUFFER_BYTES / size;
            LOPT_TRY(fill(self, i, first, part, buffer));
            LOPT_CHECK(XXH3_64bits_update(hash, buffer, part * size) == XXH_OK, LOPT_ERR_IO, "the checksum could not be formed");
            LOPT_TRY(atomic_file_append(f, buffer, part * size));
        }
    }
    return LOPT_OK;
}

static lopt_status write_digits(atomic_file *f, const char *header, size_t size, XXH3_state_t *hash) {
    const size_t place = safetensors_checksum_place(header, size);
    char digits[CHECKSUM_DIGITS + 1];
    LOPT_CHECK(place > 0, LOPT_ERR_FORMAT, "the file's header has no place for its checksum");
    snprintf(digits, sizeof digits, "%016" PRIx64, (uint64_t)XXH3_64bits_digest(hash));
    return atomic_file_overwrite(f, place, digits, CHECKSUM_DIGITS);
}

lopt_status safetensors_write(const char *path, const safetensors_pair *metadata, size_t num_metadata,
                              const safetensors_tensor *tensors, size_t num_tensors, safetensors_fill fill, void *self) {
    lopt_status status = LOPT_OK;
    atomic_file f = {-1, NULL, NULL};
    char *header = NULL;
    void *buffer = NULL;
    size_t size = 0;
    XXH3_state_t *hash = XXH3_createState();
    LOPT_CHECK_CLEANUP(hash != NULL && XXH3_64bits_reset(hash) == XXH_OK, LOPT_ERR_MEMORY, "no memory for a checksum");
    LOPT_TRY_CLEANUP(memory_alloc(BUFFER_BYTES, 1, "a file buffer", &buffer));
    LOPT_TRY_CLEANUP(make_header(metadata, num_metadata, tensors, num_tensors, &header, &size));
    LOPT_TRY_CLEANUP(atomic_file_begin(path, &f));
    LOPT_TRY_CLEANUP(atomic_file_append(&f, header, size));
    LOPT_CHECK_CLEANUP(XXH3_64bits_update(hash, header, size) == XXH_OK, LOPT_ERR_IO, "the checksum could not be formed");
    LOPT_TRY_CLEANUP(write_data(&f, hash, tensors, num_tensors, fill, self, buffer));
    LOPT_TRY_CLEANUP(write_digits(&f, header, size, hash));
    status = atomic_file_commit(&f);
cleanup:
    if (f.descriptor >= 0) atomic_file_abort(&f);
    XXH3_freeState(hash);
    free(header);
    free(buffer);
    return status;
}
