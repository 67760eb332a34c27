/* What the two image readers share: the first byte says which file of a good data set the others replace. */
#ifndef LOPT_TESTS_FUZZ_IMAGES_H
#define LOPT_TESTS_FUZZ_IMAGES_H

#include "tasks/data/image_set.h"
#include "tests/fuzz/fuzz_file.h"

enum { ROWS = 2 };

static inline void expect_in_bounds(const image_set *s) {
    const size_t all = s->train + s->test;
    FUZZ_EXPECT(s->train == ROWS && s->test > 0);
    for (size_t i = 0; i < s->pixels * all; i++) FUZZ_EXPECT(s->data[i] >= 0.0f && s->data[i] <= 1.0f);
    for (size_t r = 0; r < all; r++) FUZZ_EXPECT(s->data[s->pixels * all + r] <= 9.0f);
}

static inline void fuzz_images(image_reader read, const char *folder, const char *const *names, size_t count,
                               void (*restore)(const char *folder, size_t file), const uint8_t *bytes, size_t size) {
    static int prepared;
    image_set s = {0};
    for (size_t i = 0; !prepared && i < count; i++) restore(folder, i);
    prepared = 1;
    if (size == 0) return;
    const size_t victim = bytes[0] % count;
    fuzz_write(folder, names[victim], bytes + 1, size - 1);
    if (read(folder, ROWS, &s) == LOPT_OK) expect_in_bounds(&s);
    else FUZZ_EXPECT(s.data == NULL && lopt_last_error()[0] != 0);
    free(s.data);
    restore(folder, victim);
}

#endif
