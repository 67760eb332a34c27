/* Progress lines and numbers for people. */
#ifndef LOPT_CLI_CONSOLE_H
#define LOPT_CLI_CONSOLE_H

#include <stdint.h>

/* On a terminal one line that rewrites itself, elsewhere a plain line every ten seconds. All on stderr. */
typedef struct console_progress {
    int terminal; /* 1: stderr is one */
    int open;     /* 1: a line stands there without a newline */
    double next;  /* clock at which the next line is due, in seconds */
} console_progress;

console_progress console_progress_start(void);
/* 1 if a line is to be shown now; `last` asks for one in any case. */
int console_progress_due(console_progress *p, int last);
void console_progress_show(console_progress *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Ends the line, so that other text can follow. */
void console_progress_end(console_progress *p);

double console_clock(void); /* seconds, monotonic */

enum { CONSOLE_NUMBER_MAX = 48 };
/* Each writes into `text` and returns it. */
const char *console_duration(double seconds, char text[CONSOLE_NUMBER_MAX]); /* "1 h 02 min", "3 min 05 s", "12 s" */
const char *console_grouped(uint64_t n, char text[CONSOLE_NUMBER_MAX]);      /* "12,093" */
const char *console_scaled(double x, char text[CONSOLE_NUMBER_MAX]);         /* "1.23 M" */

#endif
