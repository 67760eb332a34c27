/* Safetensors files, read strictly and written atomically: the container of weights, optimizer states and checkpoints.
 * Layout: 8-byte little-endian header length, JSON header padded with spaces to a multiple of 8, data without holes. */
#ifndef LOPT_CSRC_IO_SAFETENSORS_H
#define LOPT_CSRC_IO_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "lopt/lopt.h"

enum { SAFETENSORS_RANK_MAX = 4 };

typedef enum safetensors_dtype { SAFETENSORS_F32, SAFETENSORS_F64, SAFETENSORS_U64, SAFETENSORS_U8 } safetensors_dtype;

typedef struct safetensors_tensor {
    const char *name;
    safetensors_dtype dtype;
    int rank;                           /* 0..4 */
    size_t shape[SAFETENSORS_RANK_MAX]; /* first `rank` entries */
} safetensors_tensor;

size_t safetensors_count(const safetensors_tensor *t); /* product of the shape */

/* ---- Reading: a large file is mapped, so that a state is never held twice, and must not become shorter meanwhile; a small one is read. ---- */
typedef struct safetensors_file safetensors_file;

/* Refuses, with a sentence that names the file and the tensor: duplicate keys, holes, overlaps, overflowing or wrong sizes, unknown
 * dtypes, truncated or over-long files, a wrong `checksum`, metadata that are not strings, a damaged word `checksum`
 * (a file with the lopt.* format that lopt wrote carries the key `lopt_version` too: it must then have a checksum). */
lopt_status safetensors_open(const char *path, safetensors_file **out);
void safetensors_close(safetensors_file *f);
const char *safetensors_metadata(const safetensors_file *f, const char *key); /* NULL: no such key */
/* Metadata by position, for those who keep all of it. Returns 0 beyond the last. */
int safetensors_metadata_at(const safetensors_file *f, size_t index, const char **key, const char **value);
size_t safetensors_num_tensors(const safetensors_file *f);
const safetensors_tensor *safetensors_tensor_at(const safetensors_file *f, size_t index);
int safetensors_has(const safetensors_file *f, const char *name); /* 1: there is a tensor of this name */
/* The data of the tensor of this name, dtype and shape; LOPT_ERR_FORMAT, naming it, if there is none such. May be unaligned: memcpy. */
lopt_status safetensors_data(const safetensors_file *f, const safetensors_tensor *expected, const void **out);
/* Whole number in the metadata; LOPT_ERR_FORMAT, naming the key, if absent or malformed. */
lopt_status safetensors_metadata_u64(const safetensors_file *f, const char *key, uint64_t *out);

/* ---- Writing ---- */
typedef struct safetensors_pair {
    const char *key, *value;
} safetensors_pair;

/* Writes elements [first, first + count) of tensor `index` into buffer. */
typedef lopt_status (*safetensors_fill)(void *self, size_t index, size_t first, size_t count, void *buffer);

/* Streams to a temporary file in the same directory, adds `checksum` (XXH3-64 of the whole file with its 16 digits read as 0) to the metadata,
 * fsyncs, renames, fsyncs the directory. On any failure the old file stays and the temporary one is removed. */
lopt_status safetensors_write(const char *path, const safetensors_pair *metadata, size_t num_metadata,
                              const safetensors_tensor *tensors, size_t num_tensors, safetensors_fill fill, void *self);

#endif
