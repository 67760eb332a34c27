/* An optimizer on the CPU.
 *
 * Parameters are cut into chunks of at most STEP_CHUNK that never span two tensors; consecutive tensors form groups of some 2^18
 * parameters. A step goes group by group: phase 1 over its chunks in parallel, the tensors' sums and RNNs, phase 2 over its chunks.
 * Between the phases the unnormalised updates wait in a buffer as large as the largest group, which stays in the caches where tensors
 * are small. Sums are formed per chunk, then over chunks in order, so that no result depends on the number of threads.
 *
 * Bytes per parameter: 76 state + 4 true parameters, and per parameter of the largest group 4 more with attention (without, and with
 * fp32 parameters, the user's buffer serves), 8 for 16-bit parameters with attention. */
#ifndef LOPT_OPTIMIZER_CPU_H
#define LOPT_OPTIMIZER_CPU_H

#include "csrc/optimizer/optimizer.h"
#include "kernels/cpu/kernels.h"

typedef struct chunk {
    size_t tensor, first, n; /* parameters [first, first + n) of the tensor */
} chunk;

typedef struct group {
    size_t first_tensor, end_tensor, first_chunk, end_chunk;
    size_t base; /* of its first parameter */
} group;

typedef struct cpu_optimizer {
    lopt_optimizer common; /* first: the two pointers are one */
    prepared_weights *weights;
    const cpu_kernels *kernels;
    size_t num_chunks, num_groups;
    size_t *param_at;                /* [num_tensors + 1] */
    size_t *state_at;                /* [num_tensors + 1], floats */
    size_t *chunk_at;                /* [num_tensors + 1] */
    chunk *chunks;                   /* [num_chunks] */
    group *groups;                   /* [num_groups] */
    unsigned char *started;          /* [num_tensors] 1: has taken part in a step; before that its decays are 0 */
    float *theta;                    /* [total] true parameters */
    float *state;                    /* [block][C][lane] of each tensor */
    float *move, *attend;            /* [largest group]; NULL where the user's buffer serves */
    float *u, *v;                    /* [num_tensors][padded T], [padded G] */
    float *bias_param, *bias_tensor; /* [num_tensors][padded 3P], [num_tensors][padded 3T] */
    float *inverse_rms;              /* [num_tensors][2]: of move, of attend */
    float *guard;                    /* [num_tensors][GUARD_STATE]; NULL: it is off */
    double *sums;                    /* [num_chunks][P + X + 2]: features, then move_square, attend_square */
    double *log_lr;                  /* [num_chunks]: sum of alpha as it is now */
    float *attended;                 /* [total] while swapped; NULL: not swapped */
    uint64_t step, skipped;
} cpu_optimizer;

/* Memory that is counted in common.bytes. */
lopt_status cpu_alloc(cpu_optimizer *opt, size_t count, size_t size, const char *what, void **out);
/* Sums of alpha from the state: at the start and after loading. */
void cpu_sum_log_lr(cpu_optimizer *opt);
/* Chunks, groups and all buffers. */
lopt_status cpu_plan(cpu_optimizer *opt);
lopt_status cpu_step(lopt_optimizer *o, float *const *params, const float *const *grads, void *stream);

#endif
