#include "tasks/data/idx.h"

#include <inttypes.h>

#include "base/status.h"

enum { TYPE_BYTES = 8, MAGIC_BYTES = 4, SIZE_BYTES = 4 };

static lopt_status read_magic(byte_source *s, int rank) {
    unsigned char magic[MAGIC_BYTES];
    const char *path = byte_source_path(s);
    LOPT_TRY(byte_source_read(s, MAGIC_BYTES, magic));
    LOPT_CHECK(magic[0] == 0 && magic[1] == 0, LOPT_ERR_FORMAT,
               "%s: it begins with %02x %02x and not with two zeros, so it is no IDX file; download it again", path, magic[0],
               magic[1]);
    LOPT_CHECK(magic[2] == TYPE_BYTES, LOPT_ERR_FORMAT,
               "%s: its numbers are of IDX type 0x%02x and not bytes (0x08); use a file of bytes", path, magic[2]);
    LOPT_CHECK(magic[3] == rank, LOPT_ERR_FORMAT, "%s: it has %d dimensions, not %d; are images and labels exchanged?", path,
               magic[3], rank);
    return LOPT_OK;
}

static lopt_status read_shape(idx_file *f, int rank) {
    const char *path = byte_source_path(f->source);
    f->row_bytes = 1;
    for (int i = 0; i < rank; i++) {
        unsigned char b[SIZE_BYTES];
        LOPT_TRY(byte_source_read(f->source, SIZE_BYTES, b));
        const uint32_t n = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
        const size_t limit = i == 0 ? IDX_ROWS_MAX : IDX_ROW_BYTES_MAX / f->row_bytes;
        LOPT_CHECK(n > 0 && n <= limit, LOPT_ERR_FORMAT, "%s: its dimension %d is %" PRIu32 ", not from 1 to %zu; use another file",
                   path, i + 1, n, limit);
        f->shape[i] = n;
        if (i > 0) f->row_bytes *= n;
    }
    f->rows = f->shape[0];
    return LOPT_OK;
}

/* The size is judged before anyone asks for memory by it. */
static lopt_status check_size(const idx_file *f, int rank) {
    const uint64_t needed = MAGIC_BYTES + (uint64_t)rank * SIZE_BYTES + (uint64_t)f->rows * f->row_bytes;
    const uint64_t bound = byte_source_bound(f->source);
    const int too_long = bound > needed && !byte_source_is_gzip(f->source);
    LOPT_CHECK(needed <= bound && !too_long, LOPT_ERR_FORMAT,
               "%s: %s: its header promises %" PRIu64 " bytes and it holds %s%" PRIu64 "; download it again",
               byte_source_path(f->source), too_long ? "bytes follow the last row" : "the file is truncated", needed,
               byte_source_is_gzip(f->source) ? "at most " : "", bound);
    return LOPT_OK;
}

lopt_status idx_open(const char *path, int rank, idx_file *out) {
    lopt_status status = LOPT_OK;
    idx_file f = {0};
    LOPT_TRY(byte_source_open(path, &f.source));
    LOPT_TRY_CLEANUP(read_magic(f.source, rank));
    LOPT_TRY_CLEANUP(read_shape(&f, rank));
    LOPT_TRY_CLEANUP(check_size(&f, rank));
    *out = f;
    return LOPT_OK;
cleanup:
    idx_close(&f);
    return status;
}

void idx_close(idx_file *f) {
    byte_source_close(f->source);
    *f = (idx_file){0};
}
