/* Images are read once and shared by all task instances, also by those of several threads. What no instance uses any more is kept for
 * the next one, until other images of the same kind are read or the process ends: evaluations make and free instances all the time. */
#ifndef LOPT_TASKS_DATA_IMAGE_CACHE_H
#define LOPT_TASKS_DATA_IMAGE_CACHE_H

#include "tasks/data/image_set.h"

#define MNIST_VARIABLE "LOPT_MNIST_DIR"
#define CIFAR10_VARIABLE "LOPT_CIFAR10_DIR"

typedef struct image_source {
    const char *data_name, *variable; /* "MNIST"; the environment variable that names the folder */
    const char *const *files;         /* [IMAGE_FILES_MAX] */
    image_reader read;
} image_source;

extern const image_source mnist_source, cifar10_source;

/* The images of the folder that the variable names now, with at least `rows` rows to train; they stay until released. Files that have
 * changed since they were read, or another folder, are read anew. */
lopt_status image_cache_take(const image_source *source, size_t rows, image_set *out);
/* data: of a set that was taken. */
void image_cache_release(const float *data);

#endif
