/* Task specs. What is accepted has a canonical form, which is its own canonical form. */
#include <string.h>

#include "tasks/family.h"
#include "tests/fuzz/fuzz_file.h"

enum { NAME_SIZE = 320 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    const task_family *family = NULL, *again = NULL;
    task_values values, same;
    char name[NAME_SIZE], twice[NAME_SIZE], *text = strndup((const char *)bytes, size);
    if (task_spec_parse(text, &family, &values, name, sizeof name) == LOPT_OK) {
        FUZZ_EXPECT(task_spec_parse(name, &again, &same, twice, sizeof twice) == LOPT_OK);
        FUZZ_EXPECT(family == again && strcmp(name, twice) == 0);
    }
    free(text);
    return 0;
}
