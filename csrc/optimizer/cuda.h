/* An optimizer on a GPU. All of its device memory is one block.
 *
 * Bytes per parameter: 76 state (mixed: 40), 4 true parameters, 4 waiting updates, 0.03 (in small models up to 0.4) sums of chunks; 4 more for the attended points that wait,
 * where there is attention and params are 16-bit (otherwise they wait in the caller's buffers). */
#ifndef LOPT_OPTIMIZER_CUDA_H
#define LOPT_OPTIMIZER_CUDA_H

#include "csrc/optimizer/optimizer.h"
#include "kernels/cuda/gpu.h"

enum { CUDA_STAGING = 1 << 16 }; /* floats on their way between a state file and the device */

typedef struct cuda_optimizer {
    lopt_optimizer common; /* first: the two pointers are one */
    const gpu_runtime *gpu;
    gpu_model model; /* its pointers go into `memory`; the caller's scalars are filled in per step */
    void *memory;                           /* the device's */
    float *staging;                         /* [CUDA_STAGING] of it */
    const void **seen_params, **seen_grads; /* [num_tensors] pointers that were found good */
} cuda_optimizer;

/* The model's memory, and in it everything that does not depend on the caller's parameters. */
lopt_status cuda_plan(cuda_optimizer *opt, const lopt_weights *w, void *stream);

#endif
