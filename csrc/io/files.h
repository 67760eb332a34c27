/* Directories and text files. */
#ifndef LOPT_CSRC_IO_FILES_H
#define LOPT_CSRC_IO_FILES_H

#include "lopt/lopt.h"

/* Makes the directory and those above it; an existing one is fine. */
lopt_status files_make_directory(const char *path);
/* The same; made out: 1 if it was not there before, and nobody else made it. */
lopt_status files_make_new_directory(const char *path, int *made);
/* Replaces the file by the text, atomically. */
lopt_status files_write_text(const char *path, const char *text);

#endif
