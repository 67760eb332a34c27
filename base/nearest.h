/* The name that a mistyped one was probably meant to be, for error sentences. */
#ifndef LOPT_BASE_NEAREST_H
#define LOPT_BASE_NEAREST_H

#include <stddef.h>

/* The name with the smallest edit distance from `wrong`; the first of equals; "" if n is 0. */
const char *nearest_name(const char *wrong, const char *const *names, size_t n);

#endif
