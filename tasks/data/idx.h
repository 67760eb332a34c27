/* IDX files of bytes, MNIST's format: 0, 0, the type (8: bytes), the rank, then each size as 4 bytes, the most significant first, then
 * the data, last index fastest (http://yann.lecun.com/exdb/mnist). */
#ifndef LOPT_TASKS_DATA_IDX_H
#define LOPT_TASKS_DATA_IDX_H

#include "tasks/data/byte_source.h"

/* What is larger is refused: no data set of this kind is, and memory is asked for by these numbers. */
enum { IDX_RANK_MAX = 3, IDX_ROWS_MAX = 100000, IDX_ROW_BYTES_MAX = 1 << 16 };

typedef struct idx_file {
    byte_source *source; /* stands at the first row */
    size_t shape[IDX_RANK_MAX];
    size_t rows, row_bytes; /* rows: shape[0] */
} idx_file;

/* Opens the file and reads its header, which must be of this rank and of a size that the file can hold. */
lopt_status idx_open(const char *path, int rank, idx_file *out);
void idx_close(idx_file *f);

#endif
