#include "base/plain_locale.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* The C library holds the locale "C" ready, so that this takes no memory; were there none, the program's own would stay. */
locale_t plain_locale_enter(void) {
    const locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return plain ? uselocale(plain) : (locale_t)0;
}

void plain_locale_leave(locale_t before) {
    if (before) freelocale(uselocale(before));
}

double plain_strtod(const char *text, char **end) {
    const char *digits = text + (*text == '+' || *text == '-');
    const int hexadecimal = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    if (hexadecimal || !((*digits >= '0' && *digits <= '9') || *digits == '.')) {
        if (end) *end = (char *)text;
        return 0.0;
    }
    const locale_t before = plain_locale_enter();
    const double value = strtod(text, end);
    plain_locale_leave(before);
    return value;
}

int plain_print(char *to, size_t size, const char *format, ...) {
    va_list args;
    const locale_t before = plain_locale_enter();
    va_start(args, format);
    const int length = vsnprintf(to, size, format, args);
    va_end(args);
    plain_locale_leave(before);
    return length;
}
