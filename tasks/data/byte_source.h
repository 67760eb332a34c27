/* A data file as a stream of bytes, plain or gzip (told by its first bytes, not by its name), read strictly: what is asked for must be
 * there, and at the end nothing may be left. Each failure is one sentence that names the file. Memory does not depend on what the file
 * claims to hold: only `count` bytes at a time are ever unpacked. */
#ifndef LOPT_TASKS_DATA_BYTE_SOURCE_H
#define LOPT_TASKS_DATA_BYTE_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "lopt/lopt.h"

typedef struct byte_source byte_source;

/* LOPT_ERR_IO for what is missing, unreadable or no regular file. path is copied. */
lopt_status byte_source_open(const char *path, byte_source **out);
void byte_source_close(byte_source *s);
const char *byte_source_path(const byte_source *s);
int byte_source_is_gzip(const byte_source *s);
/* Bytes that the file holds; of a gzip file, the most that its size could unpack to. */
uint64_t byte_source_bound(const byte_source *s);
/* Exactly the next `count` bytes. LOPT_ERR_FORMAT where the file ends before, or its compressed data are damaged. */
lopt_status byte_source_read(byte_source *s, size_t count, void *out);
/* LOPT_ERR_FORMAT unless all has been read (of a gzip file, its checksum too). */
lopt_status byte_source_end(byte_source *s);

#endif
