#include "base/memory.h"

#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#include "base/status.h"

/* Large buffers (optimizer state, tapes) ask for huge pages: filling 4 KB pages one by one took 15 % of a wide network's meta-gradient.
 * Only a hint, so its failure does not matter. */
#define HUGE_PAGE ((size_t)2 << 20)
static void *allocate(size_t bytes) {
    if (bytes < 2 * HUGE_PAGE) return aligned_alloc(64, bytes);
    void *p = NULL;
    if (posix_memalign(&p, HUGE_PAGE, bytes) != 0) return NULL;
#ifdef MADV_HUGEPAGE
    (void)madvise(p, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#endif
    return p;
}

static lopt_status take(size_t count, size_t size, const char *what, size_t *taken, void **out) {
    size_t bytes = 0;
    LOPT_CHECK(!__builtin_mul_overflow(count, size, &bytes) && bytes <= SIZE_MAX - 64, LOPT_ERR_MEMORY,
               "no memory for %s: %zu x %zu bytes overflow; use fewer or smaller tensors", what, count, size);
    bytes = bytes == 0 ? 64 : (bytes + 63) / 64 * 64;
    void *p = allocate(bytes);
    LOPT_CHECK(p != NULL, LOPT_ERR_MEMORY, "no memory for %s: %zu bytes were refused; free memory or use a smaller size", what,
               bytes);
    *taken = bytes;
    *out = p;
    return LOPT_OK;
}

lopt_status memory_alloc(size_t count, size_t size, const char *what, void **out) {
    size_t bytes = 0;
    void *p = NULL;
    LOPT_TRY(take(count, size, what, &bytes, &p));
    memset(p, 0, bytes);
    *out = p;
    return LOPT_OK;
}

lopt_status memory_scratch(size_t count, const char *what, float **out) {
    size_t bytes = 0;
    void *p = NULL;
    LOPT_TRY(take(count, sizeof(float), what, &bytes, &p));
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
