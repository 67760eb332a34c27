/* Repeated timing: runs something until its time is up and gives the median and the quartiles. */
#ifndef LOPT_CLI_SAMPLES_H
#define LOPT_CLI_SAMPLES_H

typedef struct samples {
    double median, low, high; /* seconds of one call: median, first and third quartile */
    int count;
} samples;

/* One call to be timed; non-zero: it failed, and has told so. */
typedef int (*samples_call)(void *self);

/* Calls once to warm up, then for about `seconds` (at least five, at most SAMPLES_MAX times). 0, or what a failing call returned. */
enum { SAMPLES_MAX = 4096 };
int samples_take(samples_call call, void *self, double seconds, samples *out);

#endif
