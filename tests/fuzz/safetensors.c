/* The reader of the container, which weights, states and checkpoints go through. */
#include "csrc/io/safetensors.h"
#include "tests/fuzz/fuzz_file.h"

/* All that a caller may look at is looked at. */
static unsigned touch(const safetensors_file *f) {
    unsigned sum = 0;
    const char *key, *value;
    uint64_t number = 0;
    for (size_t i = 0; safetensors_metadata_at(f, i, &key, &value); i++) {
        FUZZ_EXPECT(safetensors_metadata(f, key) == value);
        sum += (unsigned)safetensors_metadata_u64(f, key, &number);
    }
    for (size_t i = 0; i < safetensors_num_tensors(f); i++) {
        const safetensors_tensor *t = safetensors_tensor_at(f, i);
        static const size_t width[] = {4, 8, 8, 1};
        const size_t bytes = safetensors_count(t) * width[t->dtype];
        const void *data = NULL;
        FUZZ_EXPECT(safetensors_data(f, t, &data) == LOPT_OK);
        for (size_t k = 0; k < bytes; k++) sum += ((const unsigned char *)data)[k];
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    safetensors_file *f = NULL;
    if (safetensors_open(fuzz_file(bytes, size), &f) == LOPT_OK) fuzz_sink += touch(f);
    else FUZZ_EXPECT(f == NULL && lopt_last_error()[0] != 0);
    safetensors_close(f);
    return 0;
}
