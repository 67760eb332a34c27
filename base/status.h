/* Failure: one sentence per thread, one status per call. The only control-flow macros of the project are these four. */
#ifndef LOPT_BASE_STATUS_H
#define LOPT_BASE_STATUS_H

#include "lopt/lopt.h"

/* Records the sentence (printf style; no newline, no trailing context to be added by callers) and returns s. */
lopt_status lopt_fail(lopt_status s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " before the recorded sentence, so that an outer call can name the file or object; returns s. */
lopt_status lopt_fail_prefix(lopt_status s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Return the failure of a call. */
#define LOPT_TRY(call)                                  \
    do {                                                \
        lopt_status try_status_ = (call);               \
        if (try_status_ != LOPT_OK) return try_status_; \
    } while (0)
/* Return a failure unless the condition holds. */
#define LOPT_CHECK(condition, status, ...)                         \
    do {                                                           \
        if (!(condition)) return lopt_fail((status), __VA_ARGS__); \
    } while (0)
/* The same two where something must be released: set the local `status` and go to the label `cleanup`. */
#define LOPT_TRY_CLEANUP(call)               \
    do {                                     \
        status = (call);                     \
        if (status != LOPT_OK) goto cleanup; \
    } while (0)
#define LOPT_CHECK_CLEANUP(condition, code, ...)     \
    do {                                             \
        if (!(condition)) {                          \
            status = lopt_fail((code), __VA_ARGS__); \
            goto cleanup;                            \
        }                                            \
    } while (0)

#endif
