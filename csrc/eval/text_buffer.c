#include "csrc/eval/text_buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

/* Room for `more` characters and the final 0. */
static int reserve(text_buffer *b, size_t more) {
    size_t wanted = b->length + more + 1;
    if (b->failed) return 0;
    if (wanted <= b->capacity) return 1;
    size_t capacity = wanted * 2 + 256;
    char *grown = realloc(b->data, capacity);
    b->failed = grown == NULL;
    if (b->failed) return 0;
    b->data = grown;
    b->capacity = capacity;
    return 1;
}

void text_add(text_buffer *b, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    b->failed |= length < 0;
    if (length < 0 || !reserve(b, (size_t)length)) return;
    va_start(args, format);
    b->failed |= vsnprintf(b->data + b->length, (size_t)length + 1, format, args) != length;
    va_end(args);
    b->length += (size_t)length;
}

static void add_char(text_buffer *b, char c) {
    if (!reserve(b, 1)) return;
    b->data[b->length++] = c;
    b->data[b->length] = 0;
}

void text_add_escaped(text_buffer *b, const char *text) {
    for (; *text; text++) {
        switch (*text) {
        case '&': text_add(b, "&amp;"); break;
        case '<': text_add(b, "&lt;"); break;
        case '>': text_add(b, "&gt;"); break;
        case '"': text_add(b, "&quot;"); break;
        case '\'': text_add(b, "&#39;"); break;
        default: add_char(b, (unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text);
        }
    }
}

void text_release(text_buffer *b) {
    free(b->data);
    *b = (text_buffer)TEXT_BUFFER_INIT;
}

lopt_status text_take(text_buffer *b, char **out) {
    int good = reserve(b, 0);
    char *data = b->data;
    if (good) data[b->length] = 0;
    if (!good) text_release(b);
    LOPT_CHECK(good, LOPT_ERR_MEMORY, "no memory for the text of a report; free memory and start again");
    *b = (text_buffer)TEXT_BUFFER_INIT;
    *out = data;
    return LOPT_OK;
}
