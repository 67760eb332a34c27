/* Numbers in texts have a point as decimal sign, whatever locale the program runs in. */
#ifndef LOPT_BASE_PLAIN_LOCALE_H
#define LOPT_BASE_PLAIN_LOCALE_H

#include <locale.h>
#include <stddef.h>

/* Between the two, of this thread. */
locale_t plain_locale_enter(void);
void plain_locale_leave(locale_t before);

/* strtod there, of decimal numbers alone: of blanks before, hexadecimal and words for infinity nothing is read (*end = text). */
double plain_strtod(const char *text, char **end);
/* snprintf there. */
int plain_print(char *to, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
