/* What the reader and the writer of safetensors share. */
#ifndef LOPT_CSRC_IO_SAFETENSORS_FILE_H
#define LOPT_CSRC_IO_SAFETENSORS_FILE_H

#include "csrc/io/safetensors.h"

#define CHECKSUM_KEY "checksum"
#define VERSION_KEY "lopt_version"
enum { CHECKSUM_DIGITS = 16 };

/* Where in a header (bytes [size], checked JSON of a safetensors file) the digits of the checksum begin; 0: nowhere. */
size_t safetensors_checksum_place(const char *bytes, size_t size);

const char *safetensors_dtype_name(safetensors_dtype d); /* "F32", ... */
size_t safetensors_dtype_size(safetensors_dtype d);      /* bytes */

#endif
