/* MNIST and what has its form (Fashion-MNIST, KMNIST): two pairs of IDX files, images [n, 28, 28] and labels [n]. */
#include <stdlib.h>

#include "base/memory.h"
#include "base/status.h"
#include "tasks/data/idx.h"
#include "tasks/data/image_set.h"

enum { SIDE = 28, BLOCK_ROWS = 64 };

const char *const mnist_files[IMAGE_FILES_MAX] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                                                  "t10k-labels-idx1-ubyte"};

/* The images and labels of one half. */
typedef struct idx_pair {
    idx_file images, labels;
} idx_pair;

static void pair_close(idx_pair *p) {
    idx_close(&p->images);
    idx_close(&p->labels);
}

/* On failure some may be open: the caller closes. */
static lopt_status pair_open(const char *folder, const char *const names[2], idx_pair *p) {
    char path[IMAGE_PATH_MAX];
    LOPT_TRY(image_path(folder, names[0], path));
    LOPT_TRY(idx_open(path, 3, &p->images));
    LOPT_CHECK(p->images.shape[1] == SIDE && p->images.shape[2] == SIDE, LOPT_ERR_FORMAT,
               "%s: its images are %zu x %zu, not 28 x 28; use files of MNIST's form", path, p->images.shape[1],
               p->images.shape[2]);
    LOPT_TRY(image_path(folder, names[1], path));
    LOPT_TRY(idx_open(path, 1, &p->labels));
    LOPT_CHECK(p->labels.rows == p->images.rows, LOPT_ERR_FORMAT,
               "%s: it holds %zu labels for the %zu images of %s; use files that belong together", path, p->labels.rows,
               p->images.rows, names[0]);
    return LOPT_OK;
}

/* Reads both files to their ends; the first `keep` rows go to the set from row `first` on. */
static lopt_status pair_read(const idx_pair *p, const image_set *s, size_t first, size_t keep) {
    unsigned char images[BLOCK_ROWS * MNIST_PIXELS], labels[BLOCK_ROWS];
    const char *path = byte_source_path(p->labels.source);
    for (size_t row = 0; row < p->images.rows; row += BLOCK_ROWS) {
        const size_t left = p->images.rows - row, count = left < BLOCK_ROWS ? left : BLOCK_ROWS;
        const size_t kept = row >= keep ? 0 : keep - row < count ? keep - row : count;
        LOPT_TRY(byte_source_read(p->images.source, count * MNIST_PIXELS, images));
        LOPT_TRY(byte_source_read(p->labels.source, count, labels));
        image_set_put(s, first + row, kept, images, MNIST_PIXELS);
        for (size_t i = 0; i < count; i++) LOPT_TRY(image_set_label(s, i < kept, first + row + i, labels[i], path, row + i));
    }
    LOPT_TRY(byte_source_end(p->images.source));
    return byte_source_end(p->labels.source);
}

lopt_status mnist_read(const char *folder, size_t rows, image_set *out) {
    lopt_status status = LOPT_OK;
    idx_pair train = {0}, test = {0};
    image_set s = {0};
    LOPT_TRY_CLEANUP(pair_open(folder, mnist_files, &train));
    LOPT_TRY_CLEANUP(pair_open(folder, mnist_files + 2, &test));
    LOPT_TRY_CLEANUP(image_check_rows(rows, train.images.rows, byte_source_path(train.images.source)));
    LOPT_TRY_CLEANUP(image_set_make(MNIST_PIXELS, rows, test.images.rows, &s));
    LOPT_TRY_CLEANUP(pair_read(&train, &s, 0, rows));
    LOPT_TRY_CLEANUP(pair_read(&test, &s, rows, test.images.rows));
    *out = s;
cleanup:
    pair_close(&train);
    pair_close(&test);
    if (status != LOPT_OK) free(s.data);
    return status;
}
