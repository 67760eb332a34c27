/* Which of the code in a build a GPU runs. */
#ifndef LOPT_KERNELS_CUDA_ARCHITECTURE_H
#define LOPT_KERNELS_CUDA_ARCHITECTURE_H

#include <stddef.h>

/* The latest of `list` [n] up to `own`, beyond `best`; family: only of the same major number. Architectures are written as 900 for 9.0. */
static inline int architecture_latest(const int *list, size_t n, int own, int family, int best) {
    for (size_t i = 0; i < n; i++)
        if (list[i] > best && list[i] <= own && (!family || list[i] / 100 == own / 100)) best = list[i];
    return best;
}
/* Of a device of capability `own`: machine code of its own kind, or what it makes itself of PTX; 0: there is none. */
static inline int architecture_for(const int *code, size_t num_code, const int *ptx, size_t num_ptx, int own) {
    return architecture_latest(ptx, num_ptx, own, 0, architecture_latest(code, num_code, own, 1, 0));
}

#endif
