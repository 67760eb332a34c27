/* Task specs. What is accepted has a canonical form, which is its own canonical form. */
#include <string.h>

#include "tasks/spec.h"
#include "tests/fuzz/fuzz_file.h"

static void expect_same(size_t num_keys, const task_values *a, const task_values *b) {
    for (size_t i = 0; i < num_keys; i++) FUZZ_EXPECT(a->number[i] == b->number[i]);
    FUZZ_EXPECT(a->list_count == b->list_count && memcmp(a->list, b->list, a->list_count * sizeof a->list[0]) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    task_spec first, again;
    char *text = strndup((const char *)bytes, size);
    if (task_spec_parse(text, &first) == LOPT_OK) {
        FUZZ_EXPECT(task_spec_parse(first.name, &again) == LOPT_OK);
        FUZZ_EXPECT(first.num_terms == again.num_terms && strcmp(first.name, again.name) == 0);
        for (size_t i = 0; i < first.num_terms; i++) {
            FUZZ_EXPECT(first.term[i].family == again.term[i].family);
            expect_same(first.term[i].family->info.num_keys, &first.term[i].values, &again.term[i].values);
        }
        expect_same(TRANSFORM_KEYS, &first.sum, &again.sum);
    }
    free(text);
    return 0;
}
