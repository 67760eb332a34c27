#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/io/safetensors_file.h"

typedef struct entry {
    safetensors_tensor tensor;
    size_t begin, end; /* bytes in the data part */
} entry;

struct safetensors_file {
    unsigned char *bytes;
    int mapped;               /* or read */
    size_t size, header_size; /* header_size: with its 8 bytes of length */
    json_t *root;             /* owns all names */
    json_t *metadata;         /* borrowed from root; NULL: none */
    entry *entries;           /* ordered by begin */
    size_t count;
};

/* A mapping ends a process whose file becomes shorter under it (SIGBUS): what is small enough to be held twice is read. */
enum { READ_BYTES_MAX = 16 << 20 };

static lopt_status read_bytes(int d, safetensors_file *f) {
    void *memory = NULL;
    LOPT_TRY(memory_alloc(f->size, 1, "a file", &memory));
    f->bytes = memory;
    for (size_t at = 0; at < f->size;) {
        const ssize_t n = read(d, f->bytes + at, f->size - at);
        if (n < 0 && errno == EINTR) continue;
        LOPT_CHECK(n >= 0, LOPT_ERR_IO, "cannot read the file: %s", strerror(errno));
        LOPT_CHECK(n > 0, LOPT_ERR_IO, "the file became shorter while it was read: another process writes it; try again");
        at += (size_t)n;
    }
    return LOPT_OK;
}

static lopt_status map_bytes(int d, safetensors_file *f) {
    void *p = mmap(NULL, f->size, PROT_READ, MAP_PRIVATE, d, 0);
    LOPT_CHECK(p != MAP_FAILED, LOPT_ERR_IO, "cannot map the file: %s", strerror(errno));
    f->bytes = p;
    f->mapped = 1;
    return LOPT_OK;
}

static lopt_status load_bytes(const char *path, safetensors_file *f) {
    lopt_status status = LOPT_OK;
    struct stat info;
    const int d = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not make this wait */
    LOPT_CHECK(d >= 0, LOPT_ERR_IO, "cannot open the file: %s", strerror(errno));
    LOPT_CHECK_CLEANUP(fstat(d, &info) == 0 && S_ISREG(info.st_mode), LOPT_ERR_IO, "it is not a regular file");
    f->size = (size_t)info.st_size;
    LOPT_CHECK_CLEANUP(f->size >= 8, LOPT_ERR_FORMAT, "the file is truncated: %zu bytes are not even a header length", f->size);
    LOPT_TRY_CLEANUP(f->size <= READ_BYTES_MAX ? read_bytes(d, f) : map_bytes(d, f));
cleanup:
    close(d);
    return status;
}

static lopt_status parse_header(safetensors_file *f) {
    uint64_t length = 0;
    json_error_t error;
    for (int i = 0; i < 8; i++) length |= (uint64_t)f->bytes[i] << (8 * i);
    LOPT_CHECK(length <= f->size - 8, LOPT_ERR_FORMAT,
               "the file is truncated or no safetensors file: its header of %" PRIu64 " bytes does not fit into %zu", length,
               f->size);
    LOPT_CHECK(length % 8 == 0 && length > 0 && f->bytes[8] == '{', LOPT_ERR_FORMAT,
               "the header does not start with { or is not padded to 8 bytes");
    f->header_size = 8 + (size_t)length;
    f->root = json_loadb((const char *)f->bytes + 8, (size_t)length, JSON_REJECT_DUPLICATES, &error);
    /* The parser says what is wrong with a text, and nothing where it lacked memory. */
    LOPT_CHECK(f->root != NULL || error.text[0] != 0, LOPT_ERR_MEMORY, "no memory for a header of %" PRIu64 " bytes", length);
    LOPT_CHECK(f->root != NULL, LOPT_ERR_FORMAT, "the header is not valid JSON: %s at byte %d", error.text, error.position);
    LOPT_CHECK(json_is_object(f->root), LOPT_ERR_FORMAT, "the header is not a JSON object");
    for (size_t i = f->header_size; i-- > 8 && f->bytes[i] != '}';)
        LOPT_CHECK(f->bytes[i] == ' ', LOPT_ERR_FORMAT, "the header is padded with something else than spaces");
    return LOPT_OK;
}

static lopt_status check_metadata(safetensors_file *f) {
    const char *key;
    json_t *value;
    f->metadata = json_object_get(f->root, "__metadata__");
    if (f->metadata == NULL) return LOPT_OK;
    LOPT_CHECK(json_is_object(f->metadata), LOPT_ERR_FORMAT, "__metadata__ is not an object");
    json_object_foreach(f->metadata, key, value) {
        LOPT_CHECK(json_is_string(value), LOPT_ERR_FORMAT, "the metadata entry %.64s is not a string", key);
    }
    return LOPT_OK;
}

/* A JSON whole number that is a size. */
static int read_size(const json_t *j, size_t *out) {
    if (!json_is_integer(j) || json_integer_value(j) < 0) return 0;
    *out = (size_t)json_integer_value(j);
    return 1;
}

static lopt_status read_shape(const char *name, const json_t *shape, entry *e, size_t *bytes) {
    LOPT_CHECK(json_is_array(shape) && json_array_size(shape) <= SAFETENSORS_RANK_MAX, LOPT_ERR_FORMAT,
               "tensor %.64s: its shape is not a list of at most %d sizes", name, SAFETENSORS_RANK_MAX);
    e->tensor.rank = (int)json_array_size(shape);
    *bytes = safetensors_dtype_size(e->tensor.dtype);
    for (int i = 0; i < e->tensor.rank; i++) {
        size_t n = 0;
        LOPT_CHECK(read_size(json_array_get(shape, (size_t)i), &n), LOPT_ERR_FORMAT, "tensor %.64s: size %d is not a whole number",
                   name, i);
        LOPT_CHECK(!__builtin_mul_overflow(*bytes, n, bytes), LOPT_ERR_FORMAT, "tensor %.64s: its shape overflows", name);
        e->tensor.shape[i] = n;
    }
    return LOPT_OK;
}

static lopt_status read_entry(const safetensors_file *f, const char *name, const json_t *value, entry *e) {
    const char *dtype = json_string_value(json_object_get(value, "dtype"));
    const json_t *offsets = json_object_get(value, "data_offsets");
    size_t bytes = 0, data = f->size - f->header_size;
    int known = 0;
    LOPT_CHECK(json_is_object(value) && json_object_size(value) == 3 && dtype, LOPT_ERR_FORMAT,
               "tensor %.64s: it needs dtype, shape and data_offsets, and nothing else", name);
    for (int d = SAFETENSORS_F32; d <= SAFETENSORS_U8; d++)
        if (strcmp(dtype, safetensors_dtype_name((safetensors_dtype)d)) == 0) e->tensor.dtype = (safetensors_dtype)d, known = 1;
    LOPT_CHECK(known, LOPT_ERR_FORMAT, "tensor %.64s: unknown dtype %.16s", name, dtype);
    LOPT_TRY(read_shape(name, json_object_get(value, "shape"), e, &bytes));
    LOPT_CHECK(json_is_array(offsets) && json_array_size(offsets) == 2 && read_size(json_array_get(offsets, 0), &e->begin) &&
                   read_size(json_array_get(offsets, 1), &e->end),
               LOPT_ERR_FORMAT, "tensor %.64s: data_offsets are not two whole numbers", name);
    LOPT_CHECK(e->begin <= e->end && e->end <= data, LOPT_ERR_FORMAT,
               "tensor %.64s: its data lie beyond the end of the file (truncated?)", name);
    LOPT_CHECK(e->end - e->begin == bytes, LOPT_ERR_FORMAT, "tensor %.64s: its shape needs %zu bytes, its offsets hold %zu", name,
               bytes, e->end - e->begin);
    e->tensor.name = name;
    return LOPT_OK;
}

static int by_place(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static lopt_status read_entries(safetensors_file *f) {
    const char *key;
    json_t *value;
    void *memory = NULL;
    size_t at = 0;
    LOPT_TRY(memory_alloc(json_object_size(f->root), sizeof(entry), "a file's tensor list", &memory));
    f->entries = memory;
    json_object_foreach(f->root, key, value) {
        if (value == f->metadata) continue;
        LOPT_TRY(read_entry(f, key, value, &f->entries[f->count]));
        f->count++;
    }
    qsort(f->entries, f->count, sizeof(entry), by_place);
    for (size_t i = 0; i < f->count; i++) {
        LOPT_CHECK(f->entries[i].begin == at, LOPT_ERR_FORMAT, "tensor %.64s: its data %s", f->entries[i].tensor.name,
                   f->entries[i].begin > at ? "leave a hole before them" : "overlap another tensor's");
        at = f->entries[i].end;
    }
    LOPT_CHECK(at == f->size - f->header_size, LOPT_ERR_FORMAT, "%zu bytes follow the last tensor", f->size - f->header_size - at);
    return LOPT_OK;
}

/* XXH3-64 of the file with the digits read as 0. */
static lopt_status file_hash(const safetensors_file *f, size_t digits, uint64_t *out) {
    static const char zeros[] = "0000000000000000";
    XXH3_state_t *h = XXH3_createState();
    LOPT_CHECK(h != NULL, LOPT_ERR_MEMORY, "no memory for a checksum");
    int bad = XXH3_64bits_reset(h) != XXH_OK || XXH3_64bits_update(h, f->bytes, digits) != XXH_OK ||
              XXH3_64bits_update(h, zeros, CHECKSUM_DIGITS) != XXH_OK ||
              XXH3_64bits_update(h, f->bytes + digits + CHECKSUM_DIGITS, f->size - digits - CHECKSUM_DIGITS) != XXH_OK;
    *out = XXH3_64bits_digest(h);
    XXH3_freeState(h);
    LOPT_CHECK(!bad, LOPT_ERR_IO, "the checksum could not be formed");
    return LOPT_OK;
}

/* lopt always writes its version and the checksum, so a file with the one and not the other is damaged in that very word. */
static lopt_status check_checksum(const safetensors_file *f) {
    const char *stated = safetensors_metadata(f, CHECKSUM_KEY);
    char digits[CHECKSUM_DIGITS + 1];
    uint64_t hash = 0;
    if (stated == NULL) {
        LOPT_CHECK(safetensors_metadata(f, VERSION_KEY) == NULL, LOPT_ERR_FORMAT, "the file has lost its checksum: it is damaged");
        return LOPT_OK;
    }
    const size_t place = safetensors_checksum_place((const char *)f->bytes, f->header_size);
    LOPT_CHECK(place > 0 && strlen(stated) == CHECKSUM_DIGITS && memcmp(f->bytes + place, stated, CHECKSUM_DIGITS) == 0,
               LOPT_ERR_FORMAT, "the file's checksum is malformed: it is damaged");
    LOPT_TRY(file_hash(f, place, &hash));
    snprintf(digits, sizeof digits, "%016" PRIx64, hash);
    LOPT_CHECK(strcmp(digits, stated) == 0, LOPT_ERR_FORMAT, "the checksum is wrong: the file is damaged");
    return LOPT_OK;
}

lopt_status safetensors_open(const char *path, safetensors_file **out) {
    lopt_status status = LOPT_OK;
    void *memory = NULL;
    LOPT_TRY(memory_alloc(1, sizeof(safetensors_file), "an open file", &memory));
    safetensors_file *f = memory;
    LOPT_TRY_CLEANUP(load_bytes(path, f));
    LOPT_TRY_CLEANUP(parse_header(f));
    LOPT_TRY_CLEANUP(check_metadata(f));
    LOPT_TRY_CLEANUP(read_entries(f));
    LOPT_TRY_CLEANUP(check_checksum(f));
    *out = f;
    return LOPT_OK;
cleanup:
    safetensors_close(f);
    return lopt_fail_prefix(status, "%s", path);
}

void safetensors_close(safetensors_file *f) {
    if (f == NULL) return;
    if (f->mapped) (void)munmap(f->bytes, f->size);
    else free(f->bytes);
    json_decref(f->root);
    free(f->entries);
    free(f);
}

const char *safetensors_metadata(const safetensors_file *f, const char *key) {
    return json_string_value(json_object_get(f->metadata, key));
}

int safetensors_metadata_at(const safetensors_file *f, size_t index, const char **key, const char **value) {
    void *at = json_object_iter(f->metadata);
    while (at && index-- > 0) at = json_object_iter_next(f->metadata, at);
    if (at == NULL) return 0;
    *key = json_object_iter_key(at);
    *value = json_string_value(json_object_iter_value(at));
    return 1;
}

size_t safetensors_num_tensors(const safetensors_file *f) { return f->count; }

const safetensors_tensor *safetensors_tensor_at(const safetensors_file *f, size_t index) {
    return index < f->count ? &f->entries[index].tensor : NULL;
}

/* By the header's own table of names, which takes no longer in a file of many tensors; NULL: there is none such. */
static const json_t *tensor_value(const safetensors_file *f, const char *name) {
    const json_t *value = json_object_get(f->root, name);
    return value == f->metadata ? NULL : value;
}

int safetensors_has(const safetensors_file *f, const char *name) { return tensor_value(f, name) != NULL; }

lopt_status safetensors_data(const safetensors_file *f, const safetensors_tensor *expected, const void **out) {
    const json_t *value = tensor_value(f, expected->name);
    entry e;
    LOPT_CHECK(value != NULL, LOPT_ERR_FORMAT, "tensor %s is missing", expected->name);
    LOPT_TRY(read_entry(f, expected->name, value, &e));
    const safetensors_tensor *t = &e.tensor;
    LOPT_CHECK(t->dtype == expected->dtype && t->rank == expected->rank &&
                   memcmp(t->shape, expected->shape, (size_t)t->rank * sizeof(size_t)) == 0,
               LOPT_ERR_FORMAT, "tensor %s has another shape or dtype than expected", t->name);
    *out = f->bytes + f->header_size + e.begin;
    return LOPT_OK;
}

lopt_status safetensors_metadata_u64(const safetensors_file *f, const char *key, uint64_t *out) {
    const char *text = safetensors_metadata(f, key);
    char *end = NULL;
    LOPT_CHECK(text != NULL, LOPT_ERR_FORMAT, "the metadata lack %s", key);
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    LOPT_CHECK(text[0] >= '0' && text[0] <= '9' && *end == 0 && errno == 0, LOPT_ERR_FORMAT,
               "metadata %s = %.32s is not a whole number", key, text);
    *out = value;
    return LOPT_OK;
}
