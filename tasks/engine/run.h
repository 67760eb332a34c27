/* What stands behind unroll_run and unroll_workspace, for the files of the engine. */
#ifndef LOPT_TASKS_ENGINE_RUN_H
#define LOPT_TASKS_ENGINE_RUN_H

#include "kernels/cpu/adjoint.h"
#include "tasks/engine/unroll.h"

/* n: parameters of all tensors; each tensor's state starts at a block border: state_at[i] floats into the state. */
struct unroll_run {
    weight_layout layout;
    const lopt_task *task;
    const cpu_kernels *kernels;
    size_t num_tensors, total, state_total;
    size_t *param_at, *state_at; /* [num_tensors + 1] */
    float *theta, *phi;          /* [total]; the same buffer without attention */
    float *state;                /* [state_total] */
    float *u;                    /* [num_tensors][padded T] */
    float *v;                    /* [padded G] */
    unroll_position at;
    float *storage;
    size_t storage_floats;
};

/* Scalars of one tensor in one step. */
typedef struct tensor_record {
    float inverse_rms_move, inverse_rms_attend;
} tensor_record;

/* Places in the tape of one step, in floats; the same for every step of a run. */
typedef struct tape_layout {
    size_t loss_pull;               /* [total]: d meta_loss / d theta after the step, by that step's loss alone */
    size_t phi, grad, move, attend; /* [total]; before the step but for move, attend */
    size_t state, gates;            /* before the step; r, z, c */
    size_t u, v;                    /* before the step */
    size_t tensor_input, tensor_gates, global_input, global_gates; /* of the RNNs; tensor_*: one after the other */
    size_t record;                                                 /* [num_tensors] tensor_record */
    size_t floats;                                                 /* of one step */
} tape_layout;

struct unroll_workspace {
    void *tape, *scratch;
    size_t tape_floats, scratch_floats;
    gradient_sums *sums;
    weight_layout sums_layout; /* the shape that sums is for */
};

tape_layout tape_layout_make(const unroll_run *r, int with_gradient);
/* Grows the tape and the scratch; contents are lost. */
lopt_status workspace_reserve(unroll_workspace *ws, size_t tape_floats, size_t scratch_floats);
lopt_status workspace_sums(unroll_workspace *ws, const prepared_weights *w, gradient_sums **out);

/* Long sums are of floats within STEP_CHUNK parameters, as the optimizer forms them, and of doubles beyond. */
static inline size_t chunk_length(size_t n, size_t first) { return n - first < STEP_CHUNK ? n - first : STEP_CHUNK; }
/* mean(alpha) over all tensors of a state [state_total]. */
float run_mean_log_lr(const unroll_run *r, const float *state);

/* Floats of the forward pass's scratch. */
size_t forward_scratch_floats(const unroll_run *r);
/* One step forward (rules 1-14) at the gradient `grad`; tape NULL: nothing is kept. */
void run_step(unroll_run *r, const prepared_weights *w, const float *grad, float *scratch, const tape_layout *t, float *tape);

size_t backward_scratch_floats(const unroll_run *r);
/* Walks the tape of `steps` steps back and leaves the gradient of mean over the window of log(f/(f0 + 1e-6) + 1e-6). */
lopt_status window_backward(unroll_run *r, const prepared_weights *w, const unroll_window_args *a, uint64_t first_step,
                            unroll_workspace *ws, const tape_layout *t, size_t *bounded);

#endif
