/* Names in columns and legends: cut between characters of UTF-8, with an ellipsis where something is gone. */
#ifndef LOPT_EVAL_NAMES_H
#define LOPT_EVAL_NAMES_H

#include <stddef.h>

#include "csrc/eval/text_buffer.h"

enum { NAME_ROOM = 256 }; /* bytes of a name that has been cut: up to 63 characters of any kind */

/* At most `width` characters, 1 .. 63, of the name's beginning. Returns out. */
const char *name_begin(const char *name, size_t width, char out[NAME_ROOM]);
/* At most `width` characters of an optimizer's label: of a path its end, without the name that all files of weights have. Returns out. */
const char *name_of_label(const char *label, size_t width, char out[NAME_ROOM]);
size_t name_width(const char *name); /* in characters */
/* A column: the name and the spaces that it leaves of `width` characters. */
void name_add(text_buffer *b, const char *name, size_t width);

#endif
