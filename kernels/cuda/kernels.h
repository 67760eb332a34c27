/* The GPU kernels as host code calls them: functions that enqueue on a stream and return at once; what went wrong stands in the launch.
 * A table of them exists for CUDA, and in the tests for the CPU. All of a step in order: enter, prepare, advance, and, where the model has no list of
 * work, gather, finish, apply. */
#ifndef LOPT_KERNELS_CUDA_KERNELS_H
#define LOPT_KERNELS_CUDA_KERNELS_H

#include "kernels/cuda/launch.h"
#include "kernels/cuda/model.h"

/* What moves between the caller's parameters (gpu_enter's) and the model. */
typedef enum gpu_exchange {
    GPU_READ_THETA, /* fp32 whatever param_type is */
    GPU_SET,        /* theta and, what counts while swapped, the attended parameters that wait in `move` */
    GPU_SWAP,       /* the caller's go to `move`, theta to the caller */
    GPU_SWAP_BACK   /* and `move` back to the caller */
} gpu_exchange;

typedef struct gpu_kernels {
    /* Brings the kernels that a stream may be given to the device, so that the first of each may be a captured one. */
    void (*load)(gpu_launch *l);
    /* The pointers of the call at hand, [num_tensors] each; NULL: none. */
    void (*enter)(gpu_launch *l, const gpu_model *m, void *const *params, const void *const *grads);
    /* The look at the gradients, where the caller has no found_inf; biases from above; mean alpha. */
    void (*prepare)(gpu_launch *l, const gpu_model *m);
    /* Phase 1; where the model has a list of work, all that follows too, and then none of the three below. */
    void (*advance)(gpu_launch *l, const gpu_model *m);
    /* Sums of spans of chunks, where the model has spans. */
    void (*gather)(gpu_launch *l, const gpu_model *m);
    /* Tensors: RMS and RNN. */
    void (*finish)(gpu_launch *l, const gpu_model *m);
    /* Phase 2, and the global RNN. */
    void (*apply)(gpu_launch *l, const gpu_model *m);
    void (*set_rates)(gpu_launch *l, const gpu_model *m, float lr_scale, float weight_decay);
    /* The start of a run from the parameters of `enter`; all memory of the model is zero before. */
    void (*start)(gpu_launch *l, const gpu_model *m, const start_rates *rates);
    /* Sums of alpha from the state: at the start and after unpacking. */
    void (*sum_rates)(gpu_launch *l, const gpu_model *m);
    void (*exchange)(gpu_launch *l, const gpu_model *m, gpu_exchange what);
    /* to, from [piece->count], in the device's memory */
    void (*pack)(gpu_launch *l, const gpu_model *m, const state_piece *piece, float *to);
    void (*unpack)(gpu_launch *l, const gpu_model *m, const state_piece *piece, const float *from);
    /* For benchmarks: the bits of `key` changed in all words of memory, whole vectors of 16 bytes, aligned so: the least that a step does with its state. */
    void (*in_place)(gpu_launch *l, void *memory, uint64_t bytes, uint32_t key);
} gpu_kernels;

#endif
