/* CIFAR-10, "binary version" (https://www.cs.toronto.edu/~kriz/cifar.html): files of records, a label and 3 x 32 x 32 colours, nothing else. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/status.h"
#include "tasks/data/byte_source.h"
#include "tasks/data/image_set.h"

enum { FILES = 6, TEST_FILE = 5, RECORD_BYTES = 1 + CIFAR10_PIXELS, RECORDS_MAX = 100000, BLOCK_ROWS = 16 };

const char *const cifar10_files[IMAGE_FILES_MAX] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                                    "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"};

typedef struct record_file {
    byte_source *source;
    size_t records;
} record_file;

/* There is no header: the size says how many records there are. On failure the file may be open: the caller closes. */
static lopt_status open_records(const char *folder, const char *name, record_file *f) {
    char path[IMAGE_PATH_MAX];
    LOPT_TRY(image_path(folder, name, path));
    LOPT_TRY(byte_source_open(path, &f->source));
    const uint64_t size = byte_source_bound(f->source);
    LOPT_CHECK(!byte_source_is_gzip(f->source), LOPT_ERR_FORMAT, "%s: it is compressed; unpack it with gunzip", path);
    LOPT_CHECK(size > 0 && size % RECORD_BYTES == 0, LOPT_ERR_FORMAT,
               "%s: its %" PRIu64
               " bytes are no whole number of records of %d bytes: it is truncated or too long; download it again",
               path, size, RECORD_BYTES);
    LOPT_CHECK(size / RECORD_BYTES <= RECORDS_MAX, LOPT_ERR_FORMAT,
               "%s: it holds %" PRIu64 " records, more than %d; use CIFAR-10's own files", path, size / RECORD_BYTES, RECORDS_MAX);
    f->records = (size_t)(size / RECORD_BYTES);
    return LOPT_OK;
}

/* Reads the file to its end; the first `keep` records go to the set from row `first` on. */
static lopt_status read_records(const record_file *f, const image_set *s, size_t first, size_t keep) {
    unsigned char bytes[BLOCK_ROWS * RECORD_BYTES];
    const char *path = byte_source_path(f->source);
    for (size_t row = 0; row < f->records; row += BLOCK_ROWS) {
        const size_t left = f->records - row, count = left < BLOCK_ROWS ? left : BLOCK_ROWS;
        const size_t kept = row >= keep ? 0 : keep - row < count ? keep - row : count;
        LOPT_TRY(byte_source_read(f->source, count * RECORD_BYTES, bytes));
        image_set_put(s, first + row, kept, bytes + 1, RECORD_BYTES);
        for (size_t i = 0; i < count; i++)
            LOPT_TRY(image_set_label(s, i < kept, first + row + i, bytes[i * RECORD_BYTES], path, row + i));
    }
    return byte_source_end(f->source);
}

static lopt_status read_all(const record_file *files, const image_set *s) {
    for (size_t i = 0, first = 0; i < FILES; i++) {
        const size_t room = i == TEST_FILE ? s->test : s->train - first;
        const size_t keep = files[i].records < room ? files[i].records : room;
        LOPT_TRY(read_records(&files[i], s, i == TEST_FILE ? s->train : first, keep));
        first += keep;
    }
    return LOPT_OK;
}

lopt_status cifar10_read(const char *folder, size_t rows, image_set *out) {
    lopt_status status = LOPT_OK;
    record_file files[FILES] = {{0}};
    image_set s = {0};
    size_t train = 0;
    for (size_t i = 0; i < FILES; i++) {
        LOPT_TRY_CLEANUP(open_records(folder, cifar10_files[i], &files[i]));
        if (i != TEST_FILE) train += files[i].records;
    }
    LOPT_TRY_CLEANUP(image_check_rows(rows, train, folder));
    LOPT_TRY_CLEANUP(image_set_make(CIFAR10_PIXELS, rows, files[TEST_FILE].records, &s));
    LOPT_TRY_CLEANUP(read_all(files, &s));
    *out = s;
cleanup:
    for (size_t i = 0; i < FILES; i++) byte_source_close(files[i].source);
    if (status != LOPT_OK) free(s.data);
    return status;
}
