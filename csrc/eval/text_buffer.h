/* Text that grows. A failure is remembered and told by text_take, so that writers need not look at every line. */
#ifndef LOPT_EVAL_TEXT_BUFFER_H
#define LOPT_EVAL_TEXT_BUFFER_H

#include <stddef.h>

#include "lopt/lopt.h"

typedef struct text_buffer {
    char *data;
    size_t length, capacity;
    int failed;
} text_buffer;

#define TEXT_BUFFER_INIT \
    { NULL, 0, 0, 0 }

void text_add(text_buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* For HTML and XML, inside elements and quoted attributes; control characters, which XML forbids, become spaces. */
void text_add_escaped(text_buffer *b, const char *text);
/* *out = the text, malloc'ed; the buffer is empty again. LOPT_ERR_MEMORY if anything did not fit, *out untouched. */
lopt_status text_take(text_buffer *b, char **out);
void text_release(text_buffer *b); /* drops the text */

#endif
