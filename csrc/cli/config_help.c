#include "config_help.h"

#include <stdio.h>
#include <string.h>

#include "lopt/meta.h"

enum { INDENT = 6, COLUMNS = 100 };

/* Words of `text`, wrapped. */
static void print_wrapped(const char *text) {
    int column = 0;
    while (*text) {
        text += strspn(text, " \n");
        int length = (int)strcspn(text, " \n");
        if (length == 0) break;
        if (column == 0 || column + 1 + length > COLUMNS) {
            printf("%s%*s", column ? "\n" : "", INDENT, "");
            column = INDENT;
        } else {
            putchar(' ');
            column++;
        }
        printf("%.*s", length, text);
        column += length;
        text += length;
    }
    putchar('\n');
}

static void print_key(const lopt_config_key *k) {
    const char *value = k->default_text && k->default_text[0] ? k->default_text : "\"\"";
    printf("  %s  (%s, default %s", k->name, k->type, value);
    if (strcmp(k->type, "int") == 0 || strcmp(k->type, "float") == 0) printf(", %.10g to %.10g", k->min, k->max);
    if (k->choices) printf(", one of %s", k->choices);
    printf(")\n");
    if (k->help) print_wrapped(k->help);
}

void config_help_print(void) {
    printf("Configuration keys of lopt train. In the JSON file a dot stands for an object within: a.b is {\"a\": {\"b\": ...}};\n"
           "on the command line: --set a.b=value.\n\n");
    for (size_t i = 0; i < lopt_config_count(); i++) print_key(lopt_config_get(i));
}
