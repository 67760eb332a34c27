/* Fuzzed bytes as files, for the parsers that take a path. */
#ifndef LOPT_TESTS_FUZZ_FILE_H
#define LOPT_TESTS_FUZZ_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* What is read goes here, so that no compiler leaves the reading out. */
volatile unsigned fuzz_sink;

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* What must hold, or the run ends with the input as a finding. */
#define FUZZ_EXPECT(condition)                                                             \
    do {                                                                                   \
        if (!(condition)) {                                                                \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                       \
        }                                                                                  \
    } while (0)

/* The path of a file in memory with these bytes, good until the next call. */
static inline const char *fuzz_file(const uint8_t *bytes, size_t size) {
    static int descriptor = -1;
    static char path[64];
    if (descriptor < 0) {
        descriptor = memfd_create("fuzz", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    }
    FUZZ_EXPECT(ftruncate(descriptor, 0) == 0 && pwrite(descriptor, bytes, size, 0) == (ssize_t)size);
    return path;
}

/* Writes a file of a folder anew. */
static inline void fuzz_write(const char *folder, const char *name, const uint8_t *bytes, size_t size) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    unlink(path);
    FILE *f = fopen(path, "wb");
    FUZZ_EXPECT(f != NULL && fwrite(bytes, 1, size, f) == size && fclose(f) == 0);
}

/* A folder of this process's own, in TMPDIR, which whoever runs this removes. */
static inline const char *fuzz_folder(void) {
    static char path[4096];
    const char *parent = getenv("TMPDIR");
    if (path[0]) return path;
    snprintf(path, sizeof path, "%s/lopt-fuzz-XXXXXX", parent ? parent : "/tmp");
    FUZZ_EXPECT(mkdtemp(path) != NULL);
    return path;
}

#endif
