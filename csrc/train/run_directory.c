#include "csrc/train/run_directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/io/atomic_file.h"
#include "csrc/io/files.h"

enum { ATTEMPTS = 20, CHECKPOINTS_KEPT = 2, CHECKPOINTS_MAX = 4096 };
#define CHECKPOINT_PATTERN "checkpoint-%010" PRIu64 ".safetensors"

lopt_status run_directory_file(const run_directory *d, const char *name, char **out) {
    char *text = NULL;
    LOPT_CHECK(asprintf(&text, "%s/%s", d->path, name) >= 0, LOPT_ERR_MEMORY, "no memory for a file name");
    *out = text;
    return LOPT_OK;
}

/* Whether the file at the path is the one that the descriptor is of: a run that was refused may have removed it meanwhile. */
static int is_same_file(int descriptor, const char *path) {
    struct stat held, there;
    return fstat(descriptor, &held) == 0 && stat(path, &there) == 0 && held.st_dev == there.st_dev && held.st_ino == there.st_ino;
}

/* 0: taken, or there are no locks on this file system, which then keeps nobody out; else errno. */
static int lock_error(int lock) {
    const int error = flock(lock, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
    return error == ENOSYS || error == ENOLCK || error == EOPNOTSUPP ? 0 : error;
}

/* d->lock stays -1 where another holds it. *gone out: 1 where a run that was refused has just removed it, or the directory. */
static lopt_status take_lock(run_directory *d, int *gone) {
    char *path = NULL;
    LOPT_TRY(run_directory_file(d, "lock", &path));
    const int lock = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0666);
    int error = lock < 0 ? errno : lock_error(lock);
    if (lock >= 0 && error == 0 && !is_same_file(lock, path)) error = ENOENT;
    *gone = error == ENOENT;
    free(path);
    if (error == 0) d->lock = lock;
    else if (lock >= 0) close(lock);
    LOPT_CHECK(error != EWOULDBLOCK, LOPT_ERR_IO, "another training is at work in %s: wait for it or choose another", d->path);
    LOPT_CHECK(error == 0, LOPT_ERR_IO, "cannot write in the run directory %s: %s", d->path, strerror(error));
    return LOPT_OK;
}

lopt_status run_directory_open(const char *path, run_directory *out) {
    run_directory d = RUN_DIRECTORY_NONE;
    lopt_status status = LOPT_OK;
    int gone = 1;
    LOPT_TRY(memory_text(path, &d.path));
    for (int attempt = 0; attempt < ATTEMPTS && gone; attempt++) {
        gone = 0;
        status = files_make_new_directory(path, &d.made);
        if (status == LOPT_OK) status = take_lock(&d, &gone);
    }
    if (status != LOPT_OK) {
        run_directory_close(&d);
        return status;
    }
    *out = d;
    return LOPT_OK;
}

/* What a run that did not begin has left. The directory stays where somebody else has put something there. */
static void remove_unused(run_directory *d) {
    static const char *const names[] = {"metrics.jsonl", "config.json", "lock"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *path = NULL;
        if (run_directory_file(d, names[i], &path) != LOPT_OK) return;
        (void)unlink(path);
        free(path);
    }
    close(d->lock); /* before the directory goes: on network file systems an open file would hold it */
    d->lock = -1;
    (void)rmdir(d->path);
}

void run_directory_close(run_directory *d) {
    if (d->lock >= 0 && d->made && !d->begun) remove_unused(d);
    if (d->lock >= 0) close(d->lock);
    free(d->path);
    *d = (run_directory)RUN_DIRECTORY_NONE;
}

int run_directory_has_run(const run_directory *d) {
    static const char *const names[] = {"config.json", "metrics.jsonl", "weights.safetensors"};
    uint64_t newest = 0;
    size_t count = 0;
    int found = run_directory_checkpoints(d, &newest, 1, &count) == LOPT_OK && count > 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *path = NULL;
        if (run_directory_file(d, names[i], &path) == LOPT_OK) found |= access(path, F_OK) == 0;
        free(path);
    }
    return found;
}

lopt_status run_directory_checkpoint(const run_directory *d, uint64_t iteration, char **out) {
    char name[64];
    snprintf(name, sizeof name, CHECKPOINT_PATTERN, iteration);
    return run_directory_file(d, name, out);
}

static int newest_first(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? 1 : (x > y ? -1 : 0);
}

lopt_status run_directory_checkpoints(const run_directory *d, uint64_t *iterations, size_t room, size_t *count) {
    uint64_t all[CHECKPOINTS_MAX];
    size_t n = 0;
    DIR *dir = opendir(d->path);
    LOPT_CHECK(dir != NULL, LOPT_ERR_IO, "cannot read the run directory %s: %s", d->path, strerror(errno));
    for (struct dirent *e; n < CHECKPOINTS_MAX && (e = readdir(dir)) != NULL;) {
        uint64_t iteration = 0;
        char name[64];
        if (sscanf(e->d_name, "checkpoint-%" SCNu64, &iteration) != 1) continue;
        snprintf(name, sizeof name, CHECKPOINT_PATTERN, iteration);
        if (strcmp(name, e->d_name) == 0) all[n++] = iteration;
    }
    closedir(dir);
    qsort(all, n, sizeof all[0], newest_first);
    *count = n < room ? n : room;
    memcpy(iterations, all, *count * sizeof all[0]);
    return LOPT_OK;
}

static lopt_status remove_checkpoint(const run_directory *d, uint64_t iteration) {
    char *path = NULL;
    LOPT_TRY(run_directory_checkpoint(d, iteration, &path));
    const int failed = unlink(path) != 0 && errno != ENOENT, error = errno;
    free(path);
    LOPT_CHECK(!failed, LOPT_ERR_IO, "cannot remove an old checkpoint in %s: %s", d->path, strerror(error));
    return LOPT_OK;
}

lopt_status run_directory_prune(const run_directory *d, uint64_t newest) {
    uint64_t all[CHECKPOINTS_MAX];
    size_t n = 0, kept = 0;
    LOPT_TRY(run_directory_checkpoints(d, all, CHECKPOINTS_MAX, &n));
    for (size_t i = 0; i < n; i++) {
        const int keep = all[i] <= newest && kept < CHECKPOINTS_KEPT;
        if (!keep) LOPT_TRY(remove_checkpoint(d, all[i]));
        kept += (size_t)keep;
    }
    return LOPT_OK;
}

static int is_of_a_run(const char *name) {
    static const char *const beginnings[] = {"checkpoint-", "config.json.", "metrics.jsonl.", "weights.safetensors."};
    int found = 0;
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++)
        found |= strncmp(name, beginnings[i], strlen(beginnings[i])) == 0;
    return found;
}

void run_directory_tidy(const run_directory *d) {
    DIR *dir = opendir(d->path);
    if (dir == NULL) return;
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        if (is_of_a_run(e->d_name) && atomic_file_is_temporary(e->d_name)) (void)unlinkat(dirfd(dir), e->d_name, 0);
    closedir(dir);
}
