#include "tasks/data/byte_source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/memory.h"
#include "base/status.h"

/* GZIP_WINDOW: the largest, and 16 for "gzip and nothing else". DEFLATE_RATIO: no deflate stream unpacks to more (zlib's technical notes). */
enum { BUFFER_BYTES = 1 << 16, GZIP_WINDOW = 15 + 16, DEFLATE_RATIO = 1032 };

struct byte_source {
    char *path;
    int descriptor;
    uint64_t size, given; /* of the file; handed out so far */
    int gzip, finished;   /* finished: the last gzip member has ended */
    z_stream stream;
    unsigned char *packed; /* [BUFFER_BYTES] gzip only */
};

/* Up to `count` bytes of the file as it lies on the disk; *got 0 at its end. */
static lopt_status read_raw(byte_source *s, void *to, size_t count, size_t *got) {
    ssize_t n;
    do n = read(s->descriptor, to, count);
    while (n < 0 && errno == EINTR);
    LOPT_CHECK(n >= 0, LOPT_ERR_IO, "%s: it cannot be read (%s); check the disk, or copy the file anew", s->path, strerror(errno));
    *got = (size_t)n;
    return LOPT_OK;
}

static lopt_status start_gzip(byte_source *s) {
    void *memory = NULL;
    LOPT_TRY(memory_alloc(BUFFER_BYTES, 1, "a compressed file", &memory));
    s->packed = memory;
    LOPT_CHECK(inflateInit2(&s->stream, GZIP_WINDOW) == Z_OK, LOPT_ERR_MEMORY, "no memory to unpack %s; free some", s->path);
    s->gzip = 1;
    return LOPT_OK;
}

static lopt_status open_file(byte_source *s) {
    struct stat info;
    unsigned char magic[2] = {0, 0};
    s->descriptor = open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not make this wait */
    LOPT_CHECK(s->descriptor >= 0, LOPT_ERR_IO, "%s: it cannot be opened (%s); check the name and its permissions", s->path,
               strerror(errno));
    LOPT_CHECK(fstat(s->descriptor, &info) == 0 && S_ISREG(info.st_mode), LOPT_ERR_IO,
               "%s: it is not a regular file; put the data file itself there", s->path);
    s->size = (uint64_t)info.st_size;
    if (pread(s->descriptor, magic, 2, 0) == 2 && magic[0] == 0x1f && magic[1] == 0x8b) LOPT_TRY(start_gzip(s));
    return LOPT_OK;
}

lopt_status byte_source_open(const char *path, byte_source **out) {
    lopt_status status = LOPT_OK;
    void *memory = NULL;
    LOPT_TRY(memory_alloc(1, sizeof(byte_source), "an open data file", &memory));
    byte_source *s = memory;
    s->descriptor = -1;
    LOPT_TRY_CLEANUP(memory_text(path, &s->path));
    LOPT_TRY_CLEANUP(open_file(s));
    *out = s;
    return LOPT_OK;
cleanup:
    byte_source_close(s);
    return status;
}

void byte_source_close(byte_source *s) {
    if (s == NULL) return;
    if (s->gzip) inflateEnd(&s->stream);
    if (s->descriptor >= 0) close(s->descriptor);
    free(s->packed);
    free(s->path);
    free(s);
}

const char *byte_source_path(const byte_source *s) { return s->path; }
int byte_source_is_gzip(const byte_source *s) { return s->gzip; }

uint64_t byte_source_bound(const byte_source *s) {
    if (!s->gzip) return s->size;
    return s->size > UINT64_MAX / DEFLATE_RATIO ? UINT64_MAX : s->size * DEFLATE_RATIO;
}

/* Packed bytes for the stream; none at the end of the file. */
static lopt_status refill(byte_source *s) {
    size_t got = 0;
    if (s->stream.avail_in > 0) return LOPT_OK;
    LOPT_TRY(read_raw(s, s->packed, BUFFER_BYTES, &got));
    s->stream.next_in = s->packed;
    s->stream.avail_in = (uInt)got;
    return LOPT_OK;
}

/* After a gzip member: either the file ends, or another member begins (RFC 1952, section 2.2); anything else is refused by inflate. */
static lopt_status next_member(byte_source *s) {
    LOPT_TRY(refill(s));
    s->finished = s->stream.avail_in == 0;
    if (!s->finished) inflateReset(&s->stream);
    return LOPT_OK;
}

/* Up to `count` unpacked bytes; *got 0 only at the end. */
static lopt_status read_gzip(byte_source *s, unsigned char *to, size_t count, size_t *got) {
    s->stream.next_out = to;
    s->stream.avail_out = (uInt)(count < BUFFER_BYTES ? count : BUFFER_BYTES);
    const uInt wanted = s->stream.avail_out;
    while (!s->finished && s->stream.avail_out == wanted) {
        LOPT_TRY(refill(s));
        LOPT_CHECK(s->stream.avail_in > 0, LOPT_ERR_FORMAT,
                   "%s: the file is truncated: its compressed data end too soon; download it again", s->path);
        const int result = inflate(&s->stream, Z_NO_FLUSH);
        LOPT_CHECK(result != Z_MEM_ERROR, LOPT_ERR_MEMORY, "no memory to unpack %s; free some", s->path);
        LOPT_CHECK(result == Z_OK || result == Z_STREAM_END, LOPT_ERR_FORMAT,
                   "%s: its compressed data are damaged (%s); download it again", s->path,
                   s->stream.msg ? s->stream.msg : "no gzip data");
        if (result == Z_STREAM_END) LOPT_TRY(next_member(s));
    }
    *got = wanted - s->stream.avail_out;
    return LOPT_OK;
}

static lopt_status read_some(byte_source *s, unsigned char *to, size_t count, size_t *got) {
    LOPT_TRY(s->gzip ? read_gzip(s, to, count, got) : read_raw(s, to, count, got));
    s->given += *got;
    return LOPT_OK;
}

lopt_status byte_source_read(byte_source *s, size_t count, void *out) {
    unsigned char *to = out;
    for (size_t done = 0, got = 0; done < count; done += got) {
        LOPT_TRY(read_some(s, to + done, count - done, &got));
        LOPT_CHECK(got > 0, LOPT_ERR_FORMAT,
                   "%s: the file is truncated: it ends after %" PRIu64 " bytes, %zu too soon; download it again", s->path, s->given,
                   count - done);
    }
    return LOPT_OK;
}

lopt_status byte_source_end(byte_source *s) {
    unsigned char extra = 0;
    size_t got = 0;
    const uint64_t given = s->given;
    LOPT_TRY(read_some(s, &extra, 1, &got));
    LOPT_CHECK(got == 0, LOPT_ERR_FORMAT, "%s: bytes follow the %" PRIu64 " that its header promises; download it again", s->path,
               given);
    return LOPT_OK;
}
