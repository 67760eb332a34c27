/* Weights files. */
#include "lopt/meta.h"
#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    lopt_weights *w = NULL;
    if (lopt_weights_load(fuzz_file(bytes, size), &w) != LOPT_OK) {
        FUZZ_EXPECT(w == NULL && lopt_last_error()[0] != 0);
        return 0;
    }
    const size_t n = lopt_weights_count(w);
    const char *name, *provenance = lopt_weights_provenance(w);
    size_t offset = 0, shape[2], end = 0;
    for (size_t i = 0; lopt_weights_tensor(w, i, &name, &offset, shape); i++) end = offset + shape[0] * shape[1];
    FUZZ_EXPECT(end == n && (provenance == NULL || provenance[0] == '{'));
    for (size_t i = 0; i < n; i++) fuzz_sink += (unsigned)(lopt_weights_data(w)[i] == 0.0f);
    lopt_weights_free(w);
    return 0;
}
