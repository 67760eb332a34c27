/* lopt tasks */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "arguments.h"
#include "cli.h"
#include "lopt/meta.h"

enum { KEY_JSON = 'j', FAMILIES_MAX = 256 };

static const struct argp_option options[] = {
    {"json", KEY_JSON, NULL, 0, "Print everything as JSON", 0},
    {0},
};

static const cli_syntax syntax = {
    "lopt tasks", options, "[FAMILY]",
    "List the task families, or show one: its formula, its keys with their bounds, its default instances.\v"
    "A task is written as a spec, family:key=value,key=value; keys that are left out keep their defaults; a "
    "list is written with x between its elements. Tasks are added with +, and (task+task):key=value "
    "transforms a sum.\n\n"
    "Examples:\n"
    "  lopt tasks\n"
    "  lopt tasks mlp\n"
    "  lopt bench unroll --tasks 'mlp:inputs=8,hidden=16x16,batch=32;rosenbrock:noise=1'\n"};

typedef struct tasks_job {
    const char *family;
    int json;
} tasks_job;

static int take(void *self, int key, const char *value) {
    tasks_job *job = self;
    if (key == KEY_JSON) job->json = 1;
    else if (job->family) return cli_error(CLI_USAGE, "one family at a time: %s or %s", job->family, value);
    else job->family = value;
    return 0;
}

static void print_list(void) {
    const lopt_family_info *f;
    printf("%-20s %9s  %s\n", "family", "instances", "");
    for (size_t i = 0; (f = lopt_family_get(i)) != NULL; i++)
        printf("%-20s %9zu  %s%s\n", f->name, f->num_instances, f->summary, f->held_out ? " [held out: judges only]" : "");
    printf("\nlopt tasks FAMILY shows formula, keys and default instances.\n");
}

enum { TENSORS_SHOWN = 512 }; /* more than any spec has */

/* "7 tensors, 136 parameters: 64 8 40 5 10 2 ..." */
static void print_instance(const char *spec) {
    size_t counts[TENSORS_SHOWN], n = 0, total = 0;
    if (lopt_task_shape(spec, &n, counts, TENSORS_SHOWN) != LOPT_OK) return;
    for (size_t i = 0; i < n && i < TENSORS_SHOWN; i++) total += counts[i];
    printf("  %s\n      %zu parameter%s in %zu tensor%s:", spec, total, total == 1 ? "" : "s", n, n == 1 ? "" : "s");
    for (size_t i = 0; i < n && i < TENSORS_SHOWN; i++) printf(" %zu", counts[i]);
    printf("\n");
}

static json_t *instance_json(const char *spec) {
    size_t counts[TENSORS_SHOWN], n = 0;
    json_t *tensors = json_array();
    int bad = lopt_task_shape(spec, &n, counts, TENSORS_SHOWN) != LOPT_OK;
    for (size_t i = 0; i < n && i < TENSORS_SHOWN; i++)
        bad |= json_array_append_new(tensors, json_integer((json_int_t)counts[i])) != 0;
    if (!bad) return json_pack("{s:s, s:o}", "spec", spec, "tensors", tensors);
    json_decref(tensors);
    return NULL;
}

static void print_family(const lopt_family_info *f) {
    printf("%s: %s\n\n  f = %s\n", f->name, f->summary, f->formula);
    if (f->held_out) printf("  Held out: judges learned optimizers, and may not train them.\n");
    if (f->files_variable) printf("  Needs files: %s in the environment names their folder.\n", f->files_variable);
    if (f->has_accuracy) printf("  Reports accuracy on test data.\n");
    if (f->num_keys) printf("\nKeys:\n");
    for (size_t i = 0; i < f->num_keys; i++) {
        const lopt_task_key *k = &f->keys[i];
        printf("  %-13s %s (%s%s from %g to %g, default %s)\n", k->name, k->help, k->is_integer ? "whole number" : "number",
               k->is_list ? "s" : "", k->min, k->max, k->default_text);
    }
    if (f->num_instances) printf("\nDefault instances:\n");
    for (size_t i = 0; i < f->num_instances; i++) print_instance(f->instances[i]);
}

static json_t *family_json(const lopt_family_info *f) {
    json_t *keys = json_array(), *instances = json_array();
    for (size_t i = 0; i < f->num_keys; i++) {
        const lopt_task_key *k = &f->keys[i];
        json_array_append_new(keys, json_pack("{s:s, s:s, s:s, s:f, s:f, s:b, s:b}", "name", k->name, "help", k->help, "default",
                                              k->default_text, "min", k->min, "max", k->max, "integer", k->is_integer, "list",
                                              k->is_list));
    }
    for (size_t i = 0; i < f->num_instances; i++) json_array_append_new(instances, instance_json(f->instances[i]));
    return json_pack("{s:s, s:s, s:s, s:b, s:b, s:s?, s:o, s:o}", "name", f->name, "summary", f->summary, "formula", f->formula,
                     "held_out", f->held_out, "has_accuracy", f->has_accuracy, "files_variable", f->files_variable, "keys", keys,
                     "instances", instances);
}

static int print_json(const lopt_family_info *only) {
    json_t *all = json_array();
    const lopt_family_info *f;
    int bad = all == NULL;
    for (size_t i = 0; (f = lopt_family_get(i)) != NULL; i++)
        if (only == NULL || f == only) bad |= json_array_append_new(all, family_json(f)) != 0;
    bad |= json_dumpf(all, stdout, JSON_INDENT(2)) != 0;
    json_decref(all);
    putchar('\n');
    return cli_finish_output(bad ? CLI_FAILED : CLI_DONE);
}

static int run(const tasks_job *job) {
    const char *names[FAMILIES_MAX];
    const lopt_family_info *f, *wanted = NULL;
    size_t n = 0;
    for (; n < FAMILIES_MAX && (f = lopt_family_get(n)) != NULL; n++) {
        names[n] = f->name;
        if (job->family && strcmp(job->family, f->name) == 0) wanted = f;
    }
    if (job->family && wanted == NULL)
        return cli_error(CLI_USAGE, "unknown task family %s; did you mean %s? lopt tasks lists them", job->family,
                         lopt_nearest_name(job->family, names, n));
    if (job->json) return print_json(wanted);
    if (wanted) print_family(wanted);
    else print_list();
    return cli_finish_output(CLI_DONE);
}

int command_tasks(int argc, char **argv) {
    tasks_job job = {NULL, 0};
    int status = CLI_DONE;
    return cli_parse(&syntax, argc, argv, take, &job, &status) ? run(&job) : status;
}
