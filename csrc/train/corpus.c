#include "csrc/train/corpus.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "tasks/spec.h"

/* Is the item one that stands for this family's default instances? */
static int stands_for(const char *item, const lopt_family_info *f) {
    size_t length = strlen(f->name);
    if (strcmp(item, "corpus") == 0) return !f->held_out;
    return strncmp(item, f->name, length) == 0 && strcmp(item + length, ":*") == 0;
}

static lopt_status add(corpus *c, const char *spec) {
    task_spec parsed;
    LOPT_TRY(task_spec_parse(spec, &parsed));
    for (size_t i = 0; i < parsed.num_terms; i++)
        LOPT_CHECK(!parsed.term[i].family->info.held_out, LOPT_ERR_CONFIG,
                   "task %s is held out: it judges optimizers and may not train them", parsed.name);
    LOPT_TRY(memory_text(parsed.name, &c->spec[c->count]));
    c->family[c->count] = parsed.num_terms > 1 ? "sum" : parsed.term[0].family->info.name;
    c->count++;
    return LOPT_OK;
}

static lopt_status expand_item(corpus *c, const char *item) {
    int found = 0;
    const lopt_family_info *f;
    for (size_t i = 0; (f = lopt_family_get(i)) != NULL; i++) {
        if (!stands_for(item, f)) continue;
        found = 1;
        for (size_t k = 0; k < f->num_instances; k++) LOPT_TRY(add(c, f->instances[k]));
    }
    return found ? LOPT_OK : add(c, item);
}

lopt_status corpus_expand(const config_list *tasks, corpus *out) {
    lopt_status status = LOPT_OK;
    corpus c = {NULL, NULL, 0};
    void *specs = NULL, *families = NULL;
    size_t all = 1; /* that one item can stand for */
    const lopt_family_info *f;
    for (size_t i = 0; (f = lopt_family_get(i)) != NULL; i++) all += f->num_instances;
    LOPT_TRY(memory_alloc(tasks->count * all, sizeof(char *), "the list of tasks", &specs));
    c.spec = specs;
    LOPT_TRY_CLEANUP(memory_alloc(tasks->count * all, sizeof(char *), "the list of tasks", &families));
    c.family = families;
    for (size_t i = 0; i < tasks->count; i++) LOPT_TRY_CLEANUP(expand_item(&c, tasks->item[i]));
    *out = c;
    return LOPT_OK;
cleanup:
    corpus_free(&c);
    return lopt_fail_prefix(status == LOPT_ERR_ARGUMENT ? LOPT_ERR_CONFIG : status, "tasks");
}

void corpus_free(corpus *c) {
    for (size_t i = 0; i < c->count; i++) free(c->spec[i]);
    free(c->spec);
    free(c->family);
    *c = (corpus){NULL, NULL, 0};
}
