#include "csrc/eval/names.h"

#include <stdio.h>
#include <string.h>

#define ELLIPSIS "\xe2\x80\xa6"

static int begins_character(char c) { return ((unsigned char)c & 0xc0) != 0x80; } /* of UTF-8 */

static size_t characters(const char *text, size_t bytes) {
    size_t count = 0;
    for (size_t i = 0; i < bytes; i++) count += (size_t)begins_character(text[i]);
    return count;
}

/* The byte at which character number `count` begins. */
static size_t byte_of(const char *text, size_t bytes, size_t count) {
    size_t i = 0;
    for (; i < bytes; i++)
        if (begins_character(text[i]) && count-- == 0) break;
    return i;
}

static const char *copy(const char *before, const char *text, size_t bytes, const char *after, char out[NAME_ROOM]) {
    snprintf(out, NAME_ROOM, "%s%.*s%s", before, (int)bytes, text, after);
    return out;
}

const char *name_begin(const char *name, size_t width, char out[NAME_ROOM]) {
    const size_t bytes = strlen(name);
    if (characters(name, bytes) <= width) return copy("", name, bytes, "", out);
    return copy("", name, byte_of(name, bytes, width - 1), ELLIPSIS, out);
}

static int ends_with(const char *text, size_t bytes, const char *end) {
    const size_t n = strlen(end);
    return bytes > n && memcmp(text + bytes - n, end, n) == 0;
}

const char *name_of_label(const char *label, size_t width, char out[NAME_ROOM]) {
    static const char *const usual[] = {"/weights.safetensors", ".safetensors"};
    size_t bytes = strlen(label);
    if (characters(label, bytes) <= width) return copy("", label, bytes, "", out);
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        if (ends_with(label, bytes, usual[i])) {
            bytes -= strlen(usual[i]);
            break;
        }
    const size_t count = characters(label, bytes);
    if (count <= width) return copy("", label, bytes, "", out);
    if (memchr(label, '/', bytes) == NULL) return copy("", label, byte_of(label, bytes, width - 1), ELLIPSIS, out);
    const char *first = label + byte_of(label, bytes, count - (width - 1)), *end = label + bytes;
    const char *folder = memchr(first, '/', (size_t)(end - first)); /* whole names, where one fits */
    if (folder) first = folder;
    return copy(ELLIPSIS, first, (size_t)(end - first), "", out);
}

size_t name_width(const char *name) { return characters(name, strlen(name)); }

void name_add(text_buffer *b, const char *name, size_t width) {
    const size_t count = name_width(name);
    text_add(b, "%s%*s", name, count < width ? (int)(width - count) : 0, "");
}
