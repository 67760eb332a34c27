/* Command lines: argp for the tables and the help texts, our own sentences for the errors. */
#ifndef LOPT_CLI_ARGUMENTS_H
#define LOPT_CLI_ARGUMENTS_H

#include <argp.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cli_syntax {
    const char *name;                  /* "lopt train" */
    const struct argp_option *options; /* without --help, which is added */
    const char *arguments;             /* "FILE ...", or NULL */
    const char *doc;                   /* what stands before the options, \v, what stands after them */
} cli_syntax;

enum { CLI_ARGUMENT = 0 }; /* the key of an argument that is no option */

/* Takes one option or argument. 0: taken; otherwise the exit status, after it has told why not (cli_error). */
typedef int (*cli_take)(void *self, int key, const char *value);

/* Parses argv. 1: go on with the command; 0: end with *status (help was shown, or an error told). */
int cli_parse(const cli_syntax *syntax, int argc, char **argv, cli_take take, void *self, int *status);

/* A whole number within bounds; k, M and G at its end mean thousands, millions, thousand millions. 0, or non-zero after a cli_error. */
int cli_whole_number(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *out);
/* A list of such numbers, separated by commas, at most `room` of them; *count out. */
int cli_whole_numbers(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *out, size_t room, size_t *count);
/* A number above zero and at most max, likewise. */
int cli_positive_number(const char *option, const char *text, double max, double *out);

#endif
