#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/plain_locale.h"

enum { SENTENCE_MAX = 1024, LONGEST = 6 * SENTENCE_MAX }; /* a path alone may have 4,096 characters */

static _Thread_local char last_error[SENTENCE_MAX];

/* A text that is too long loses its middle: its end says why. */
static void record(const char *text) {
    static const char gap[] = " ... ";
    const size_t length = strlen(text), head = SENTENCE_MAX / 2;
    if (length < SENTENCE_MAX) {
        memcpy(last_error, text, length + 1);
        return;
    }
    memcpy(last_error, text, head);
    memcpy(last_error + head, gap, sizeof gap - 1);
    const size_t tail = SENTENCE_MAX - head - sizeof gap + 1; /* with the 0 */
    memcpy(last_error + head + sizeof gap - 1, text + length + 1 - tail, tail);
}

lopt_status lopt_fail(lopt_status s, const char *format, ...) {
    va_list args;
    char text[LONGEST]; /* the arguments may point into last_error */
    const locale_t before = plain_locale_enter();
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    plain_locale_leave(before);
    record(text);
    return s;
}

lopt_status lopt_fail_prefix(lopt_status s, const char *format, ...) {
    va_list args;
    char prefix[SENTENCE_MAX / 2], text[2 * SENTENCE_MAX];
    va_start(args, format);
    vsnprintf(prefix, sizeof prefix, format, args);
    va_end(args);
    snprintf(text, sizeof text, "%s: %s", prefix, last_error);
    record(text);
    return s;
}

const char *lopt_last_error(void) { return last_error; }

const char *lopt_status_name(lopt_status s) {
    switch (s) {
    case LOPT_OK: return "LOPT_OK";
    case LOPT_ERR_ARGUMENT: return "LOPT_ERR_ARGUMENT";
    case LOPT_ERR_CONFIG: return "LOPT_ERR_CONFIG";
    case LOPT_ERR_MEMORY: return "LOPT_ERR_MEMORY";
    case LOPT_ERR_UNSUPPORTED: return "LOPT_ERR_UNSUPPORTED";
    case LOPT_ERR_DEVICE: return "LOPT_ERR_DEVICE";
    case LOPT_ERR_COMM: return "LOPT_ERR_COMM";
    case LOPT_ERR_IO: return "LOPT_ERR_IO";
    case LOPT_ERR_FORMAT: return "LOPT_ERR_FORMAT";
    case LOPT_ERR_TASK: return "LOPT_ERR_TASK";
    }
    return "LOPT_ERR_UNKNOWN";
}

const char *lopt_version(void) { return LOPT_VERSION; } /* set by the build from the one place that states it */
