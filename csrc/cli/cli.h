/* The lopt command: what its parts share. It stands on the public headers alone. */
#ifndef LOPT_CLI_CLI_H
#define LOPT_CLI_CLI_H

#include "lopt/lopt.h"

/* Exit statuses; a job stopped by a signal ends with 128 + its number. */
enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

/* "lopt: <sentence>" on stderr. Returns `status`, so that a caller can return it. */
int cli_error(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What a call of the library's returned, as an exit status. Where it failed, its last error is such a sentence: CLI_USAGE for a wrong argument or
 * configuration, with which another try would fail too, CLI_FAILED for all else. */
int cli_library_status(lopt_status status);
int cli_library_exit(lopt_status status); /* the same without the sentence */
/* Writes out what stdout still holds: `status`, or CLI_FAILED if that is refused (silently where a reader has gone: lopt ... | head). */
int cli_finish_output(int status);

/* OpenMP threads that the library will use from now on; 1 in a build without OpenMP. */
int cli_threads(void);
void cli_set_threads(int threads);

/* The commands: argv[0] is the command's name. Each returns the exit status. */
int command_train(int argc, char **argv);
int command_eval(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_tasks(int argc, char **argv);
int command_info(int argc, char **argv);

#endif
