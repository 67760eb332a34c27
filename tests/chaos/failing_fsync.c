/* Preloaded into a process: every fsync after the first LOPT_FSYNC_GOOD fails with EIO, as on a dying disk. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int fsync(int descriptor) {
    static atomic_long calls;
    const char *good = getenv("LOPT_FSYNC_GOOD");
    if (good && atomic_fetch_add(&calls, 1) >= atol(good)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, descriptor);
}
