/* Files that are replaced whole or not at all: written beside the target, synchronised, then renamed over it. */
#ifndef LOPT_CSRC_IO_ATOMIC_FILE_H
#define LOPT_CSRC_IO_ATOMIC_FILE_H

#include <stddef.h>

#include "lopt/lopt.h"

typedef struct atomic_file {
    int descriptor; /* of the temporary file; -1: none */
    char *path, *temporary;
} atomic_file;

/* After begin, exactly one of commit and abort must follow; commit that fails has aborted. */
lopt_status atomic_file_begin(const char *path, atomic_file *out);
lopt_status atomic_file_append(atomic_file *f, const void *data, size_t size);
lopt_status atomic_file_overwrite(atomic_file *f, size_t offset, const void *data, size_t size);
lopt_status atomic_file_commit(atomic_file *f);
void atomic_file_abort(atomic_file *f);

/* 1: a temporary file has this name. Where nobody is writing, it was left by a process that was killed. */
int atomic_file_is_temporary(const char *name);

/* All of it in one call. */
lopt_status atomic_file_write(const char *path, const void *data, size_t size);

#endif
