#include "csrc/eval/suite.h"

#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "lopt/meta.h"

/* Real digits and other held-out tasks, three families that the quick training configurations leave out (one is in them as a term of sums), and a
 * new shape of one that they have. Small enough that all sweeps take half a minute on two cores. */
static const char *const quick_specs[] = {
    "digits_softmax", "digits_mlp",      "teacher_mlp",    "factorisation",  "poisson_regression",
    "rosenbrock_100", "styblinski_tang", "sparse_softmax", "matmul:n=2,k=7", "mlp:inputs=10,hidden=12,batch=32"};

typedef int (*family_filter)(const lopt_family_info *f);

static int is_digits(const lopt_family_info *f) { return strncmp(f->name, "digits_", 7) == 0; }
static int is_held_out(const lopt_family_info *f) { return f->held_out; }
static int is_corpus(const lopt_family_info *f) { return !f->held_out; }

/* The suites other than "quick": all default instances of the families that the filter lets through. None holds families that need files,
 * which most users do not have. */
static const struct {
    const char *name;
    family_filter filter;
} suites[] = {{"digits", is_digits}, {"heldout", is_held_out}, {"corpus", is_corpus}};
enum { SUITE_COUNT = sizeof suites / sizeof suites[0] };

static lopt_status add_spec(eval_suite *s, const char *spec, size_t length) {
    char **grown = realloc(s->specs, (s->count + 1) * sizeof *grown);
    LOPT_CHECK(grown != NULL, LOPT_ERR_MEMORY, "no memory for a list of %zu tasks; name fewer", s->count + 1);
    s->specs = grown;
    s->specs[s->count] = strndup(spec, length);
    LOPT_CHECK(s->specs[s->count] != NULL, LOPT_ERR_MEMORY, "no memory for a list of %zu tasks; name fewer", s->count + 1);
    s->count++;
    return LOPT_OK;
}

static lopt_status add_families(eval_suite *s, family_filter filter) {
    for (size_t i = 0; i < lopt_family_count(); i++) {
        const lopt_family_info *f = lopt_family_get(i);
        for (size_t k = 0; filter(f) && !f->files_variable && k < f->num_instances; k++)
            LOPT_TRY(add_spec(s, f->instances[k], strlen(f->instances[k])));
    }
    return LOPT_OK;
}

static lopt_status add_list(eval_suite *s, const char *text) {
    for (const char *at = text; *at;) {
        at += strspn(at, "; \t");
        size_t length = strcspn(at, ";");
        size_t kept = length;
        while (kept > 0 && strchr(" \t", at[kept - 1])) kept--;
        if (kept > 0) LOPT_TRY(add_spec(s, at, kept));
        at += length;
    }
    return LOPT_OK;
}

enum { NAMES_MAX = 256 };

/* The suite or family that a mistyped one was probably meant to be. */
static const char *nearest(const char *text) {
    const char *names[NAMES_MAX] = {"quick"};
    size_t n = 1;
    for (size_t i = 0; i < SUITE_COUNT && n < NAMES_MAX; i++) names[n++] = suites[i].name;
    for (size_t i = 0; i < lopt_family_count() && n < NAMES_MAX; i++) names[n++] = lopt_family_get(i)->name;
    return lopt_nearest_name(text, names, n);
}

static int is_family(const char *text) {
    for (size_t i = 0; i < lopt_family_count(); i++)
        if (strcmp(text, lopt_family_get(i)->name) == 0) return 1;
    return 0;
}

static lopt_status fill(eval_suite *s, const char *text) {
    if (text == NULL || strcmp(text, "quick") == 0) {
        for (size_t i = 0; i < sizeof quick_specs / sizeof quick_specs[0]; i++)
            LOPT_TRY(add_spec(s, quick_specs[i], strlen(quick_specs[i])));
        return LOPT_OK;
    }
    for (size_t i = 0; i < SUITE_COUNT; i++)
        if (strcmp(text, suites[i].name) == 0) return add_families(s, suites[i].filter);
    LOPT_CHECK(
        strpbrk(text, ":;+(") != NULL || is_family(text), LOPT_ERR_ARGUMENT,
        "no suite and no task is called '%.60s'; did you mean '%s'? The suites are quick, digits, heldout and corpus, and tasks "
        "can be listed with ';' between them",
        text, nearest(text));
    return add_list(s, text);
}

lopt_status eval_suite_make(const char *text, eval_suite *out) {
    lopt_status status = LOPT_OK;
    eval_suite s = {NULL, 0};
    LOPT_TRY_CLEANUP(fill(&s, text));
    LOPT_CHECK_CLEANUP(s.count > 0, LOPT_ERR_ARGUMENT,
                       "the suite '%.60s' holds no task; name a suite, or tasks with ';' between them", text ? text : "quick");
    *out = s;
    return LOPT_OK;
cleanup:
    eval_suite_release(&s);
    return status;
}

void eval_suite_release(eval_suite *s) {
    for (size_t i = 0; i < s->count; i++) free(s->specs[i]);
    free(s->specs);
}
