/* Models whose tensors are those of real networks, for benchmarks. */
#ifndef LOPT_CLI_BENCH_SHAPES_H
#define LOPT_CLI_BENCH_SHAPES_H

#include <stddef.h>

enum { BENCH_TENSORS_MAX = 161 }; /* of the shapes here */

typedef struct bench_shape {
    char name[24];               /* "1M" */
    size_t num_tensors, *counts; /* [BENCH_TENSORS_MAX] at least, the caller's */
} bench_shape;

/* The next of the shapes, from 0 on: 1 M and 1 B in one tensor, ResNet-50's 161, GPT-2's 148. Returns 0 beyond the last. */
int bench_shape_at(size_t index, bench_shape *out);
size_t bench_shape_total(const bench_shape *s);

#endif
