#include "tasks/data/image_cache.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "base/status.h"

const image_source mnist_source = {"MNIST", MNIST_VARIABLE, mnist_files, mnist_read};
const image_source cifar10_source = {"CIFAR-10", CIFAR10_VARIABLE, cifar10_files, cifar10_read};

/* What tells that a file is the same as before; all 0 where there is none. */
typedef struct file_stamp {
    uint64_t device, inode, size;
    int64_t seconds, nanoseconds;
} file_stamp;

enum { STAMPS = 2 * IMAGE_FILES_MAX }; /* each file, without and with .gz */

typedef struct entry {
    struct entry *next;
    const image_source *source;
    file_stamp stamps[STAMPS];
    size_t users;
    image_set set;
} entry;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* held while files are read, so that others wait and then share */
static entry *entries;

static void stamp_files(const image_source *source, const char *folder, file_stamp *stamps) {
    char path[IMAGE_PATH_MAX];
    struct stat info;
    memset(stamps, 0, STAMPS * sizeof *stamps);
    for (size_t i = 0; i < STAMPS; i++) {
        const char *name = source->files[i / 2];
        if (name == NULL || snprintf(path, sizeof path, "%s/%s%s", folder, name, i % 2 ? ".gz" : "") >= (int)sizeof path) continue;
        if (stat(path, &info) == 0)
            stamps[i] = (file_stamp){(uint64_t)info.st_dev, (uint64_t)info.st_ino, (uint64_t)info.st_size, info.st_mtim.tv_sec,
                                     info.st_mtim.tv_nsec};
    }
}

/* Frees what nobody uses; of this source, or of all (NULL). */
static void drop_unused(const image_source *source) {
    for (entry **at = &entries; *at;) {
        entry *e = *at;
        if (e->users > 0 || (source && e->source != source)) {
            at = &e->next;
            continue;
        }
        *at = e->next;
        free(e->set.data);
        free(e);
    }
}

static entry *find(const image_source *source, const file_stamp *stamps, size_t rows) {
    for (entry *e = entries; e; e = e->next)
        if (e->source == source && e->set.train >= rows && memcmp(e->stamps, stamps, sizeof e->stamps) == 0) return e;
    return NULL;
}

static lopt_status read_entry(const image_source *source, const char *folder, const file_stamp *stamps, size_t rows, entry **out) {
    void *memory = NULL;
    drop_unused(source);
    LOPT_TRY(memory_alloc(1, sizeof(entry), "images", &memory));
    entry *e = memory;
    const lopt_status status = source->read(folder, rows, &e->set);
    if (status != LOPT_OK) {
        free(e);
        return lopt_fail_prefix(status, "%s", source->data_name);
    }
    e->source = source;
    memcpy(e->stamps, stamps, sizeof e->stamps);
    e->next = entries;
    entries = *out = e;
    return LOPT_OK;
}

static lopt_status take_locked(const image_source *source, size_t rows, image_set *out) {
    file_stamp stamps[STAMPS];
    const char *folder = getenv(source->variable);
    LOPT_CHECK(folder != NULL && folder[0] != 0, LOPT_ERR_IO,
               "the files of %s are needed: set %s to the folder that holds them (%s and the others)", source->data_name,
               source->variable, source->files[0]);
    stamp_files(source, folder, stamps);
    entry *e = find(source, stamps, rows);
    if (e == NULL) LOPT_TRY(read_entry(source, folder, stamps, rows, &e));
    e->users++;
    *out = e->set;
    return LOPT_OK;
}

lopt_status image_cache_take(const image_source *source, size_t rows, image_set *out) {
    pthread_mutex_lock(&lock);
    const lopt_status status = take_locked(source, rows, out);
    pthread_mutex_unlock(&lock);
    return status;
}

void image_cache_release(const float *data) {
    pthread_mutex_lock(&lock);
    for (entry *e = entries; e; e = e->next)
        if (e->set.data == data) e->users--;
    pthread_mutex_unlock(&lock);
}

__attribute__((destructor)) static void free_at_exit(void) { drop_unused(NULL); }
