/* Configurations: JSON files, or, where the bytes do not begin so, assignments key=value. What is accepted is written as JSON that reads
 * as the same configuration. */
#include <string.h>

#include "csrc/train/config.h"
#include "tests/fuzz/fuzz_file.h"

static lopt_status apply(train_config *c, const uint8_t *bytes, size_t size) {
    if (size > 0 && bytes[0] == '{') return config_read_file(c, fuzz_file(bytes, size));
    char *text = strndup((const char *)bytes, size);
    const lopt_status status = config_override(c, text);
    free(text);
    return status;
}

static void expect_round_trip(const train_config *c) {
    train_config copy;
    char *json = NULL, *again = NULL;
    FUZZ_EXPECT(config_json(c, &json) == LOPT_OK);
    FUZZ_EXPECT(config_defaults(&copy) == LOPT_OK);
    FUZZ_EXPECT(config_read_file(&copy, fuzz_file((const uint8_t *)json, strlen(json))) == LOPT_OK);
    FUZZ_EXPECT(config_json(&copy, &again) == LOPT_OK && strcmp(json, again) == 0);
    config_free(&copy);
    free(json);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    train_config c;
    FUZZ_EXPECT(config_defaults(&c) == LOPT_OK);
    if (apply(&c, bytes, size) == LOPT_OK && config_check(&c) == LOPT_OK) expect_round_trip(&c);
    else FUZZ_EXPECT(lopt_last_error()[0] != 0);
    config_free(&c);
    return 0;
}
