/* IDX files, plain and gzip, as MNIST's. */
#include "tests/fuzz/images.h"

enum { FILES = 4, IMAGE_HEADER = 16, LABEL_HEADER = 8 };

static void restore(const char *folder, size_t file) {
    uint8_t images[IMAGE_HEADER + ROWS * MNIST_PIXELS] = {0, 0, 8, 3, 0, 0, 0, ROWS, 0, 0, 0, 28, 0, 0, 0, 28};
    uint8_t labels[LABEL_HEADER + ROWS] = {0, 0, 8, 1, 0, 0, 0, ROWS};
    if (file % 2 == 0) fuzz_write(folder, mnist_files[file], images, sizeof images);
    else fuzz_write(folder, mnist_files[file], labels, sizeof labels);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_images(mnist_read, fuzz_folder(), mnist_files, FILES, restore, bytes, size);
    return 0;
}
