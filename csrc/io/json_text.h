/* JSON values as text. jansson's json_dumps (2.14) does not look whether there was memory for the keys of an object, and may return a text that
 * lacks some; json_dumpb needs none for them. */
#ifndef LOPT_CSRC_IO_JSON_TEXT_H
#define LOPT_CSRC_IO_JSON_TEXT_H

#include <jansson.h>

/* flags: those of json_dumps. To be released with free(); NULL: no memory, or value is NULL. */
char *json_text(const json_t *value, size_t flags);

#endif
