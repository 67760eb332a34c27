#include "arguments.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "lopt/meta.h"

enum { OPTIONS_MAX = 32, KEY_HELP = 'h' };

typedef struct parse_job {
    const cli_syntax *syntax;
    struct argp argp;
    cli_take take;
    void *self;
    int told; /* 1: help was shown, or an error told */
    int status;
} parse_job;

/* By its name, or by the letter that stands for it. */
static const struct argp_option *find_option(const struct argp_option *options, const char *name, size_t length) {
    for (const struct argp_option *o = options; o->name || o->doc; o++) {
        const int named = o->name && strlen(o->name) == length && strncmp(o->name, name, length) == 0;
        if (named || (o->name && length == 1 && o->key == name[0])) return o;
    }
    return NULL;
}

/* getopt says only that something was wrong with the word: unknown, a value too few, or one too many. */
static void tell_bad_option(parse_job *job, const struct argp_state *state) {
    const char *names[OPTIONS_MAX], *word = state->next > 1 ? state->argv[state->next - 1] : "";
    size_t n = 0;
    if (word[0] != '-' && state->next < state->argc) word = state->argv[state->next];
    const char *name = word + strspn(word, "-");
    size_t length = strcspn(name, "=");
    for (const struct argp_option *o = job->argp.options; (o->name || o->doc) && n < OPTIONS_MAX; o++)
        if (o->name) names[n++] = o->name;
    const struct argp_option *known = find_option(job->argp.options, name, length);
    if (known && known->arg)
        job->status = cli_error(CLI_USAGE, "option --%s needs a value: --%s %s", known->name, known->name, known->arg);
    else if (known) job->status = cli_error(CLI_USAGE, "option --%s takes no value", known->name);
    else
        job->status = cli_error(CLI_USAGE, "unknown option %s; did you mean --%s? %s --help lists them", word,
                                lopt_nearest_name(name, names, n), job->syntax->name);
}

static error_t on_key(int key, char *value, struct argp_state *state) {
    parse_job *job = state->input;
    if (key == ARGP_KEY_ERROR && !job->told) tell_bad_option(job, state);
    if (key == KEY_HELP) {
        argp_help(&job->argp, stdout, ARGP_HELP_SHORT_USAGE | ARGP_HELP_LONG | ARGP_HELP_DOC, (char *)job->syntax->name);
        job->status = cli_finish_output(CLI_DONE);
        job->told = 1;
        return ECANCELED;
    }
    if (key != ARGP_KEY_ARG && (key < 0 || key >= ARGP_KEY_ARGS || (key & 0x1000000)))
        return key == ARGP_KEY_ERROR ? 0 : ARGP_ERR_UNKNOWN;
    const int failed = job->take(job->self, key, value);
    if (failed == 0) return 0;
    job->told = 1;
    job->status = failed;
    return EINVAL;
}

int cli_parse(const cli_syntax *syntax, int argc, char **argv, cli_take take, void *self, int *status) {
    struct argp_option options[OPTIONS_MAX + 2];
    size_t n = 0;
    while ((syntax->options[n].name || syntax->options[n].doc) && n < OPTIONS_MAX) n++;
    memset(options, 0, sizeof options);
    memcpy(options, syntax->options, n * sizeof options[0]);
    options[n] = (struct argp_option){"help", KEY_HELP, NULL, 0, "Show this help", -1};
    parse_job job = {syntax, {options, on_key, syntax->arguments, syntax->doc, NULL, NULL, NULL}, take, self, 0, CLI_USAGE};
    error_t error = argp_parse(&job.argp, argc, argv, ARGP_NO_ERRS | ARGP_NO_HELP | ARGP_NO_EXIT, NULL, &job);
    *status = job.status;
    return error == 0;
}

int cli_whole_number(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *out) {
    char *end = NULL;
    uint64_t scale = 1, scaled = 0;
    errno = 0;
    unsigned long long value = isdigit((unsigned char)text[0]) ? strtoull(text, &end, 10) : 0;
    if (end && *end && end[1] == 0) {
        scale = *end == 'k' ? 1000 : *end == 'M' ? 1000000 : *end == 'G' ? 1000000000 : 0;
        end++;
    }
    int bad = end == NULL || *end || errno || scale == 0 || __builtin_mul_overflow((uint64_t)value, scale, &scaled);
    if (bad || scaled < min || scaled > max)
        return cli_error(CLI_USAGE, "%s %s: it must be a whole number from %llu to %llu", option, text, (unsigned long long)min,
                         (unsigned long long)max);
    *out = scaled;
    return 0;
}

int cli_whole_numbers(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *out, size_t room, size_t *count) {
    char copy[512], *rest = NULL;
    size_t n = 0;
    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy)
        return cli_error(CLI_USAGE, "%s: the list is too long", option);
    for (char *word = strtok_r(copy, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        if (n == room) return cli_error(CLI_USAGE, "%s %s: at most %zu numbers", option, text, room);
        if (cli_whole_number(option, word, min, max, &out[n]) != 0) return CLI_USAGE;
        n++;
    }
    if (n == 0) return cli_error(CLI_USAGE, "%s: a number is missing", option);
    *count = n;
    return 0;
}

int cli_positive_number(const char *option, const char *text, double max, double *out) {
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value) || value <= 0.0 || value > max)
        return cli_error(CLI_USAGE, "%s %s: it must be a number above 0 and at most %g", option, text, max);
    *out = value;
    return 0;
}
