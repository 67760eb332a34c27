#include "tasks/data/image_set.h"

#include <stdio.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/status.h"

lopt_status image_path(const char *folder, const char *name, char *path) {
    const int length = snprintf(path, IMAGE_PATH_MAX, "%s/%s", folder, name);
    LOPT_CHECK(length + 4 < IMAGE_PATH_MAX, LOPT_ERR_IO, "%.64s...: the folder's name is too long; move the data", folder);
    if (access(path, F_OK) == 0) return LOPT_OK;
    snprintf(path + length, 4, ".gz");
    LOPT_CHECK(access(path, F_OK) == 0, LOPT_ERR_IO,
               "%s/%s: there is no such file, nor one with .gz behind; put it there, or name another folder", folder, name);
    return LOPT_OK;
}

lopt_status image_check_rows(size_t wanted, size_t held, const char *where) {
    LOPT_CHECK(wanted <= held, LOPT_ERR_FORMAT, "%s: it holds %zu training rows, and rows=%zu are asked for; ask for fewer", where,
               held, wanted);
    return LOPT_OK;
}

lopt_status image_set_make(size_t pixels, size_t train, size_t test, image_set *out) {
    float *data = NULL;
    LOPT_TRY(memory_floats((pixels + 1) * (train + test), "images", &data));
    *out = (image_set){pixels, train, test, data};
    return LOPT_OK;
}

void image_set_put(const image_set *s, size_t first, size_t count, const unsigned char *bytes, size_t stride) {
    for (size_t r = 0; r < count; r++)
        for (size_t p = 0; p < s->pixels; p++) s->data[(first + r) * s->pixels + p] = (float)bytes[r * stride + p] / 255.0f;
}

lopt_status image_set_label(const image_set *s, int keep, size_t at, unsigned char label, const char *path, size_t row) {
    LOPT_CHECK(label < IMAGE_CLASSES, LOPT_ERR_FORMAT, "%s: the label of row %zu is %d, not from 0 to %d; download it again", path,
               row, label, IMAGE_CLASSES - 1);
    if (keep) s->data[s->pixels * (s->train + s->test) + at] = (float)label;
    return LOPT_OK;
}
