#include "console.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define TERMINAL_PERIOD 0.1 /* seconds between two rewritings */
#define PLAIN_PERIOD 10.0   /* seconds between two plain lines */
enum { LINE_MAX_LENGTH = 400, DEFAULT_COLUMNS = 80 };

double console_clock(void) {
    struct timespec t = {0, 0};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

console_progress console_progress_start(void) {
    int terminal = isatty(STDERR_FILENO);
    return (console_progress){terminal, 0, console_clock() + (terminal ? 0.0 : PLAIN_PERIOD)};
}

int console_progress_due(console_progress *p, int last) {
    double now = console_clock();
    if (now < p->next && !last) return 0;
    p->next = now + (p->terminal ? TERMINAL_PERIOD : PLAIN_PERIOD);
    return 1;
}

/* A longer line would wrap, and then not be rewritten. */
static int terminal_columns(void) {
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1 : DEFAULT_COLUMNS - 1;
}

void console_progress_show(console_progress *p, const char *format, ...) {
    char line[LINE_MAX_LENGTH];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (p->terminal) fprintf(stderr, "\r\033[K%.*s", terminal_columns(), line);
    else fprintf(stderr, "%s\n", line);
    fflush(stderr);
    p->open = p->terminal;
}

void console_progress_end(console_progress *p) {
    if (p->open) fputc('\n', stderr);
    p->open = 0;
}

const char *console_duration(double seconds, char text[CONSOLE_NUMBER_MAX]) {
    if (!(seconds >= 0.0 && seconds < 1e9)) return strcpy(text, "unknown");
    long s = lround(seconds);
    if (s >= 3600) snprintf(text, CONSOLE_NUMBER_MAX, "%ld h %02ld min", s / 3600, s / 60 % 60);
    else if (s >= 60) snprintf(text, CONSOLE_NUMBER_MAX, "%ld min %02ld s", s / 60, s % 60);
    else snprintf(text, CONSOLE_NUMBER_MAX, "%ld s", s);
    return text;
}

const char *console_grouped(uint64_t n, char text[CONSOLE_NUMBER_MAX]) {
    char digits[CONSOLE_NUMBER_MAX];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n), at = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = 0;
    return text;
}

const char *console_scaled(double x, char text[CONSOLE_NUMBER_MAX]) {
    static const char *const prefix[] = {"", "k", "M", "G", "T"};
    int i = 0;
    while (fabs(x) >= 1000.0 && i < 4) {
        x /= 1000.0;
        i++;
    }
    snprintf(text, CONSOLE_NUMBER_MAX, i == 0 ? "%.3g" : "%.3g %s", x, prefix[i]);
    return text;
}
