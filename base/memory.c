#include "base/memory.h"

#include <string.h>

#include "base/status.h"

lopt_status memory_alloc(size_t count, size_t size, const char *what, void **out) {
    size_t bytes = 0;
    LOPT_CHECK(!__builtin_mul_overflow(count, size, &bytes) && bytes <= SIZE_MAX - 64, LOPT_ERR_MEMORY,
               "no memory for %s: %zu x %zu bytes overflow; use fewer or smaller tensors", what, count, size);
    bytes = bytes == 0 ? 64 : (bytes + 63) / 64 * 64;
    void *p = aligned_alloc(64, bytes);
    LOPT_CHECK(p != NULL, LOPT_ERR_MEMORY, "no memory for %s: %zu bytes were refused; free memory or use a smaller size", what,
               bytes);
    memset(p, 0, bytes);
    *out = p;
    return LOPT_OK;
}

lopt_status memory_floats(size_t count, const char *what, float **out) {
    void *p = NULL;
    LOPT_TRY(memory_alloc(count, sizeof(float), what, &p));
    *out = p;
    return LOPT_OK;
}

lopt_status memory_text(const char *text, char **out) {
    void *p = NULL;
    if (text == NULL) {
        *out = NULL;
        return LOPT_OK;
    }
    size_t length = strlen(text);
    LOPT_TRY(memory_alloc(length + 1, 1, "a text", &p));
    memcpy(p, text, length + 1);
    *out = p;
    return LOPT_OK;
}
