/* Images with labels, read from files: what MNIST and CIFAR-10 are to the families. */
#ifndef LOPT_TASKS_DATA_IMAGE_SET_H
#define LOPT_TASKS_DATA_IMAGE_SET_H

#include <stddef.h>

#include "lopt/lopt.h"

enum { MNIST_PIXELS = 28 * 28, CIFAR10_PIXELS = 3 * 32 * 32, IMAGE_CLASSES = 10 };

typedef struct image_set {
    size_t pixels, train, test; /* rows to train and to test */
    float *data;                /* [train + test][pixels] from 0 to 1, rows to train first; then the labels [train + test] */
} image_set;

/* The readers: the first `rows` training rows of the files in the folder, and all test rows; data is malloc'ed. All of every file is read
 * and checked. LOPT_ERR_IO or LOPT_ERR_FORMAT, with a sentence that names the file. */
typedef lopt_status (*image_reader)(const char *folder, size_t rows, image_set *out);
lopt_status mnist_read(const char *folder, size_t rows, image_set *out);
lopt_status cifar10_read(const char *folder, size_t rows, image_set *out);

/* The names that the files may have (without .gz), for messages and to notice that they change. */
enum { IMAGE_FILES_MAX = 6, IMAGE_PATH_MAX = 4096 };
extern const char *const mnist_files[IMAGE_FILES_MAX], *const cifar10_files[IMAGE_FILES_MAX]; /* NULL beyond the last */

/* ---- For the readers ---- */

/* The path of `name` in the folder, or of name.gz where only that exists. path [IMAGE_PATH_MAX] */
lopt_status image_path(const char *folder, const char *name, char *path);
/* Refuses a file with fewer training rows than asked for. */
lopt_status image_check_rows(size_t wanted, size_t held, const char *where);
lopt_status image_set_make(size_t pixels, size_t train, size_t test, image_set *out);
/* Enters `count` rows from row `first` on; the pixels of each begin `stride` bytes after those of the one before. */
void image_set_put(const image_set *s, size_t first, size_t count, const unsigned char *bytes, size_t stride);
/* Enters the label of a row that is kept; `row` counts the rows of the file, for the message. keep 0: only checks. */
lopt_status image_set_label(const image_set *s, int keep, size_t at, unsigned char label, const char *path, size_t row);

#endif
