#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "lopt/lopt.h"

int cli_error(int status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("lopt: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return status;
}

int cli_library_error(void) { return cli_error(CLI_FAILED, "%s", lopt_last_error()); }

int cli_finish_output(int status) {
    errno = 0;
    int refused = fflush(stdout) != 0 || ferror(stdout);
    if (!refused) return status;
    if (errno == EPIPE || errno == 0) return CLI_FAILED; /* the reader has seen enough */
    return cli_error(CLI_FAILED, "the output could not be written: %s", strerror(errno));
}

int cli_threads(void) {
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

void cli_set_threads(int threads) {
#ifdef _OPENMP
    omp_set_num_threads(threads);
#else
    (void)threads;
#endif
}
