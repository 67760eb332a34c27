#include "csrc/io/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/status.h"

enum { ATTEMPTS = 1000, SUFFIX_MAX = 48, LINKS_MAX = 40 };

static lopt_status io_error(const char *what, const char *path) {
    return lopt_fail(LOPT_ERR_IO, "cannot %s %s: %s; the old file, if any, is unchanged", what, path, strerror(errno));
}

void atomic_file_abort(atomic_file *f) {
    if (f->descriptor >= 0) close(f->descriptor);
    if (f->temporary) unlink(f->temporary);
    free(f->path);
    free(f->temporary);
    memset(f, 0, sizeof *f);
    f->descriptor = -1;
}

/* One or more digits before `end`: where they begin; NULL: there is none. */
static const char *digits_before(const char *name, const char *end) {
    const char *at = end;
    while (at && at > name && at[-1] >= '0' && at[-1] <= '9') at--;
    return at == end ? NULL : at;
}

int atomic_file_is_temporary(const char *name) {
    static const char suffix[] = ".tmp";
    const size_t length = strlen(name);
    if (length < sizeof suffix || strcmp(name + length - (sizeof suffix - 1), suffix) != 0) return 0;
    const char *attempt = digits_before(name, name + length - (sizeof suffix - 1));
    if (attempt == NULL || attempt == name || attempt[-1] != '-') return 0;
    const char *process = digits_before(name, attempt - 1);
    return process != NULL && process > name + 1 && process[-1] == '.';
}

/* How much of the path its temporary file's name begins with: of a name as long as may be, all but its end, whole characters in UTF-8. */
static size_t kept_length(const char *path) {
    const char *slash = strrchr(path, '/');
    const size_t length = strlen(path), name = slash ? (size_t)(slash + 1 - path) : 0;
    if (length - name + SUFFIX_MAX <= NAME_MAX) return length;
    size_t kept = name + NAME_MAX - SUFFIX_MAX;
    while (kept > name && ((unsigned char)path[kept] & 0xC0) == 0x80) kept--;
    return kept;
}

/* Opens a file that was not there before, with the rights that umask leaves. */
static int open_new(const char *path, char *name, size_t size) {
    const int kept = (int)kept_length(path);
    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        snprintf(name, size, "%.*s.%ld-%u.tmp", kept, path, (long)getpid(), attempt);
        int descriptor = open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
        if (descriptor >= 0 || errno != EEXIST) return descriptor;
    }
    return -1;
}

/* Where a link points to, which need not be there; NULL: errno says why not. */
static char *link_target(const char *path) {
    char to[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const ssize_t length = readlink(path, to, sizeof to);
    if (length <= 0 || length == (ssize_t)sizeof to) return NULL;
    const size_t folder = slash && to[0] != '/' ? (size_t)(slash + 1 - path) : 0;
    char *out = malloc(folder + (size_t)length + 1);
    if (out == NULL) return NULL;
    memcpy(out, path, folder);
    memcpy(out + folder, to, (size_t)length);
    out[folder + (size_t)length] = 0;
    return out;
}

/* What the path stands for, links followed, so that a link stays one, even if there is no file behind it yet. A device or directory must not
 * be replaced by a file. */
static lopt_status target_of(const char *path, char **out) {
    struct stat info;
    char *at = NULL;
    LOPT_TRY(memory_text(path, &at));
    for (int links = 0; stat(at, &info) != 0; links++) {
        if (lstat(at, &info) != 0 || !S_ISLNK(info.st_mode)) {
            *out = at;
            return LOPT_OK;
        }
        errno = ELOOP;
        char *next = links < LINKS_MAX ? link_target(at) : NULL;
        const lopt_status status = next ? LOPT_OK : io_error("follow", path);
        free(at);
        LOPT_TRY(status);
        at = next;
    }
    free(at);
    LOPT_CHECK(S_ISREG(info.st_mode), LOPT_ERR_IO, "cannot write %s: it is there and is not a regular file", path);
    *out = realpath(path, NULL);
    return *out ? LOPT_OK : io_error("follow", path);
}

/* A file that is replaced keeps its owner and rights, before anything is written. Where its owner cannot be kept, neither are the rights, which were
 * meant for that one: those of umask stay. */
static void keep_rights(int descriptor, const char *old) {
    struct stat info;
    if (stat(old, &info) == 0 && fchown(descriptor, info.st_uid, info.st_gid) == 0) (void)fchmod(descriptor, info.st_mode & 0777);
}

lopt_status atomic_file_begin(const char *path, atomic_file *out) {
    atomic_file f = {-1, NULL, NULL};
    lopt_status status = LOPT_OK;
    void *name = NULL;
    LOPT_TRY_CLEANUP(target_of(path, &f.path));
    LOPT_TRY_CLEANUP(memory_alloc(strlen(f.path) + SUFFIX_MAX, 1, "a file name", &name));
    f.descriptor = open_new(f.path, name, strlen(f.path) + SUFFIX_MAX);
    if (f.descriptor < 0) {
        status = io_error("make a temporary file beside", path);
        free(name);
        goto cleanup;
    }
    f.temporary = name;
    keep_rights(f.descriptor, f.path);
    *out = f;
    return LOPT_OK;
cleanup:
    atomic_file_abort(&f);
    return status;
}

/* Where the process may not write that far, write says EFBIG; but first the kernel sends a signal that ends the process. It is held back from this
 * thread, and taken. */
static ssize_t write_at(int descriptor, const void *data, size_t size, off_t offset) {
    sigset_t limit, before, waiting;
    const struct timespec now = {0, 0};
    sigemptyset(&limit);
    sigaddset(&limit, SIGXFSZ);
    sigemptyset(&waiting);
    sigpending(&waiting);
    const int held = pthread_sigmask(SIG_BLOCK, &limit, &before) == 0;
    const ssize_t n = offset < 0 ? write(descriptor, data, size) : pwrite(descriptor, data, size, offset);
    const int error = errno;
    if (held && n < 0 && error == EFBIG && !sigismember(&waiting, SIGXFSZ)) sigtimedwait(&limit, NULL, &now);
    if (held) pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return n;
}

lopt_status atomic_file_append(atomic_file *f, const void *data, size_t size) {
    const char *at = data;
    while (size > 0) {
        ssize_t n = write_at(f->descriptor, at, size, -1);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return io_error("write", f->path);
        at += n;
        size -= (size_t)n;
    }
    return LOPT_OK;
}

lopt_status atomic_file_overwrite(atomic_file *f, size_t offset, const void *data, size_t size) {
    if (write_at(f->descriptor, data, size, (off_t)offset) != (ssize_t)size) return io_error("write", f->path);
    return LOPT_OK;
}

/* A rename is on disk only when its directory is. Who may write in a directory but not read it cannot ask for that: the file is whole in either case. */
static int sync_directory(const char *path) {
    char *copy = strdup(path);
    if (copy == NULL) return -1;
    int d = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = d < 0 ? -(errno != EACCES) : fsync(d);
    if (result != 0 && errno == EINVAL) result = 0; /* some filesystems cannot, and need not */
    if (d >= 0) close(d);
    free(copy);
    return result;
}

lopt_status atomic_file_commit(atomic_file *f) {
    lopt_status status = LOPT_OK;
    int closed = 0;
    if (fsync(f->descriptor) != 0 && errno != EINVAL) status = io_error("synchronise", f->path);
    if (status == LOPT_OK) {
        closed = close(f->descriptor) == 0;
        f->descriptor = -1;
        if (!closed) status = io_error("close", f->path);
    }
    if (status == LOPT_OK && rename(f->temporary, f->path) != 0) status = io_error("replace", f->path);
    if (status == LOPT_OK) {
        free(f->temporary);
        f->temporary = NULL;
        if (sync_directory(f->path) != 0)
            status =
                lopt_fail(LOPT_ERR_IO, "%s is written, but its folder could not be synchronised: %s", f->path, strerror(errno));
    }
    atomic_file_abort(f); /* releases what is left */
    return status;
}

lopt_status atomic_file_write(const char *path, const void *data, size_t size) {
    atomic_file f;
    LOPT_TRY(atomic_file_begin(path, &f));
    lopt_status status = atomic_file_append(&f, data, size);
    if (status == LOPT_OK) return atomic_file_commit(&f);
    atomic_file_abort(&f);
    return status;
}
