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

/* Beside the target, then renamed over it: an old file stays whole where the new one finds no room. A device or a pipe cannot be replaced. 1: done. */
static int write_file(const json_t *all, const char *path) {
    struct stat info;
    char *beside = NULL;
    if (lstat(path, &info) == 0 && !S_ISREG(info.st_mode)) return dump(all, path);
    if (asprintf(&beside, "%s.%ld.tmp", path, (long)getpid()) < 0) return 0;
    const int done = dump(all, beside) && rename(beside, path) == 0, error = errno;
    if (!done) (void)unlink(beside);
    free(beside);
    errno = error;
    return done;
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
    return failed ? cli_error(CLI_FAILED, "%s could not be written: %s", path, strerror(errno)) : CLI_DONE;
}
