#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"
#include "cli.h"
#include "lopt/meta.h"

static int dump(const json_t *all, const char *path) {
    return json_dump_file(all, path, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) == 0;
}

/* Where a file is written, beside the one that it replaces: malloc'ed; NULL without memory. */
static char *beside_of(const char *path) {
    char *beside = NULL;
    return asprintf(&beside, "%s.%ld.tmp", path, (long)getpid()) < 0 ? NULL : beside;
}

/* A device or a pipe cannot be replaced: it is written as it is. */
static int is_special(const char *path) {
    struct stat info;
    return lstat(path, &info) == 0 && !S_ISREG(info.st_mode);
}

/* Beside the target, then renamed over it: an old file stays whole where the new one finds no room. 1: done. */
static int write_file(const json_t *all, const char *path) {
    if (is_special(path)) return dump(all, path);
    char *beside = beside_of(path);
    if (beside == NULL) return 0;
    const int done = dump(all, beside) && rename(beside, path) == 0, error = errno;
    if (!done) (void)unlink(beside);
    free(beside);
    errno = error;
    return done;
}

static int cannot_write(const char *path) { return cli_error(CLI_FAILED, "%s could not be written: %s", path, strerror(errno)); }

int bench_check_json(const char *path) {
    struct stat info;
    if (path == NULL) return CLI_DONE;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        errno = EISDIR;
        return cannot_write(path);
    }
    if (is_special(path)) return access(path, W_OK) == 0 ? CLI_DONE : cannot_write(path);
    char *beside = beside_of(path);
    FILE *f = beside ? fopen(beside, "we") : NULL;
    const int failed = f == NULL ? cannot_write(path) : CLI_DONE;
    if (f) {
        fclose(f);
        (void)unlink(beside);
    }
    free(beside);
    return failed;
}

int bench_write_json(const char *path, json_t *rows) {
    if (path == NULL) {
        json_decref(rows);
        return CLI_DONE;
    }
    json_t *all = json_pack("{s:s, s:s, s:o}", "lopt", lopt_version(), "isa", lopt_isa(), "rows", rows);
    errno = 0;
    int failed = all == NULL || !write_file(all, path);
    json_decref(all);
    return failed ? cannot_write(path) : CLI_DONE;
}
