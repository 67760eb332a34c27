#include "csrc/io/json_text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 256 };

typedef struct growing {
    char *text;
    size_t length, room;
    int failed; /* once and for all */
} growing;

/* Room for `more` characters and the 0 at the end. */
static int grow(growing *g, size_t more) {
    size_t room = g->room ? g->room : FIRST_ROOM;
    while (room - g->length <= more) {
        if (room > SIZE_MAX / 2) return 0;
        room *= 2;
    }
    char *text = room == g->room ? g->text : realloc(g->text, room);
    if (text == NULL) return 0;
    g->text = text;
    g->room = room;
    return 1;
}

static int append(const char *bytes, size_t size, void *self) {
    growing *g = self;
    g->failed = g->failed || !grow(g, size);
    if (g->failed) return -1;
    memcpy(g->text + g->length, bytes, size);
    g->length += size;
    return 0;
}

char *json_text(const json_t *value, size_t flags) {
    growing g = {NULL, 0, 0, 0};
    if (json_dump_callback(value, append, &g, flags) == 0 && !g.failed && g.text) {
        g.text[g.length] = 0;
        return g.text;
    }
    free(g.text);
    return NULL;
}
