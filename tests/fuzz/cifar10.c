/* CIFAR-10's files. */
#include "tests/fuzz/images.h"

enum { FILES = 6 };

static void restore(const char *folder, size_t file) {
    uint8_t record[1 + CIFAR10_PIXELS] = {3};
    fuzz_write(folder, cifar10_files[file], record, sizeof record);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_images(cifar10_read, fuzz_folder(), cifar10_files, FILES, restore, bytes, size);
    return 0;
}
