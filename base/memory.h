/* Memory whose failure is reported: zeroed, aligned to 64 bytes, released with free(). */
#ifndef LOPT_BASE_MEMORY_H
#define LOPT_BASE_MEMORY_H

#include <stdlib.h>

#include "lopt/lopt.h"

/* *out = count * size zeroed bytes (at least one). what: named in the error. LOPT_ERR_MEMORY, *out untouched, on failure or overflow. */
lopt_status memory_alloc(size_t count, size_t size, const char *what, void **out);
/* As memory_floats, but with anything in it: for large buffers that are written before they are read. */
lopt_status memory_scratch(size_t count, const char *what, float **out);
lopt_status memory_floats(size_t count, const char *what, float **out);
lopt_status memory_text(const char *text, char **out); /* a copy; NULL stays NULL */

#endif
