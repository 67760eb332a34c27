#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

int cli_error(int status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("lopt: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return status;
}

int cli_library_exit(lopt_status status) {
    if (status == LOPT_OK) return CLI_DONE;
    return status == LOPT_ERR_ARGUMENT || status == LOPT_ERR_CONFIG ? CLI_USAGE : CLI_FAILED;
}

int cli_library_status(lopt_status status) {
    const int exit_status = cli_library_exit(status);
    return exit_status == CLI_DONE ? CLI_DONE : cli_error(exit_status, "%s", lopt_last_error());
}

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
