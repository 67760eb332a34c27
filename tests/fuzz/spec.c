/* Task specs. What is accepted has a canonical form, which is its own canonical form. */
#include <string.h>

#include "tasks/family.h"
#include "tests/fuzz/fuzz_file.h"

enum { NAME_SIZE = 320 };

/* Names give nine digits, which is all of a float. */
static void expect_same(size_t num_keys, const task_values *a, const task_values *b) {
    for (size_t i = 0; i < num_keys; i++) FUZZ_EXPECT((float)a->number[i] == (float)b->number[i]);
    FUZZ_EXPECT(a->list_count == b->list_count && memcmp(a->list, b->list, a->list_count * sizeof a->list[0]) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    const task_family *family = NULL, *again = NULL;
    task_values values, same;
    char name[NAME_SIZE], twice[NAME_SIZE], *text = strndup((const char *)bytes, size);
    if (task_spec_parse(text, &family, &values, name, sizeof name) == LOPT_OK) {
        FUZZ_EXPECT(task_spec_parse(name, &again, &same, twice, sizeof twice) == LOPT_OK);
        FUZZ_EXPECT(family == again && strcmp(name, twice) == 0);
        expect_same(family->info.num_keys, &values, &same);
    }
    free(text);
    return 0;
}
