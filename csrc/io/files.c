#include "csrc/io/files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/io/atomic_file.h"

static int is_directory(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static lopt_status make_one(const char *path, int *made) {
    *made = mkdir(path, 0777) == 0;
    LOPT_CHECK(*made || (errno == EEXIST && is_directory(path)), LOPT_ERR_IO, "cannot make the folder %s: %s", path,
               strerror(errno));
    return LOPT_OK;
}

lopt_status files_make_new_directory(const char *path, int *made) {
    lopt_status status = LOPT_OK;
    char *copy = NULL;
    *made = 0;
    LOPT_TRY(memory_text(path, &copy));
    for (char *at = copy + 1; at[-1] && (at = strchr(at, '/')) != NULL; at++) {
        *at = 0;
        LOPT_TRY_CLEANUP(make_one(copy, made));
        *at = '/';
    }
    if (!is_directory(path)) LOPT_TRY_CLEANUP(make_one(path, made));
    else *made &= path[strlen(path) - 1] == '/'; /* "a/b/": the loop has made it */
cleanup:
    free(copy);
    return status;
}

lopt_status files_make_directory(const char *path) {
    int made = 0;
    return files_make_new_directory(path, &made);
}

lopt_status files_write_text(const char *path, const char *text) { return atomic_file_write(path, text, strlen(text)); }
