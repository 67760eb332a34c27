#include "csrc/train/trained.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"

/* An item of the list: "NAMES", "NAMES[FIRST:END]" for some rows, and either with a "!" before it. */
typedef struct selection {
    char names[80];
    size_t first, end; /* rows */
    float value;       /* what they become: 1, or 0 after "!" */
} selection;

static lopt_status selection_of(const char *item, selection *out) {
    const char *names = item + (item[0] == '!'), *rows = strrchr(names, '[');
    int read = 0;
    *out = (selection){.first = 0, .end = SIZE_MAX, .value = item[0] == '!' ? 0.0f : 1.0f};
    const char *colon = rows ? strchr(rows, ':') : NULL;
    const int whole =
        colon && isdigit((unsigned char)rows[1]) && isdigit((unsigned char)colon[1]); /* sscanf takes signs and blanks */
    const int ranged = whole && sscanf(rows, "[%zu:%zu]%n", &out->first, &out->end, &read) == 2 && read > 0 && rows[read] == 0;
    const size_t length = ranged ? (size_t)(rows - names) : strlen(names);
    LOPT_CHECK(length < sizeof out->names, LOPT_ERR_CONFIG, "weights.trained: \"%.64s\" is longer than any name", item);
    memcpy(out->names, names, length);
    out->names[length] = 0;
    return LOPT_OK;
}

/* How many tensors it fits. */
static size_t mark(const selection *s, const weight_layout *layout, float *mask) {
    size_t fits = 0;
    for (size_t i = 0; i < WEIGHT_TENSORS; i++) {
        const weight_tensor *w = &layout->tensor[i];
        if (!w->present || fnmatch(s->names, w->name, 0) != 0) continue;
        const size_t end = s->end < w->rows ? s->end : w->rows;
        for (size_t j = s->first * w->columns; j < end * w->columns; j++) mask[w->offset + j] = s->value;
        fits += s->first < end;
    }
    return fits;
}

lopt_status trained_mask(const config_list *patterns, const weight_layout *layout, float **mask) {
    float *out = NULL;
    lopt_status status = LOPT_OK;
    LOPT_TRY(memory_floats(layout->count, "the list of trained weights", &out));
    for (size_t i = 0; i < patterns->count; i++) {
        selection s;
        LOPT_TRY_CLEANUP(selection_of(patterns->item[i], &s));
        LOPT_CHECK_CLEANUP(mark(&s, layout, out) > 0, LOPT_ERR_CONFIG,
                           "weights.trained: this optimizer has no weights \"%.64s\"; `lopt info FILE` lists the names",
                           patterns->item[i]);
    }
    size_t trained = 0;
    for (size_t i = 0; i < layout->count; i++) trained += out[i] != 0.0f;
    LOPT_CHECK_CLEANUP(trained > 0, LOPT_ERR_CONFIG,
                       "weights.trained leaves no weight to train; what is to be trained comes first, as in \"*;!*.bias\"");
    *mask = out;
    return LOPT_OK;
cleanup:
    free(out);
    return status;
}

void trained_apply(const float *mask, size_t count, float *values) {
    for (size_t i = 0; i < count; i++) values[i] *= mask[i];
}
