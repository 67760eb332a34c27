/* What stands behind lopt_optimizer, whatever the device: what the user asked for, and a table of what its device does. */
#ifndef LOPT_OPTIMIZER_OPTIMIZER_H
#define LOPT_OPTIMIZER_OPTIMIZER_H

#include "csrc/weights/weights.h"
#include "kernels/cell/half.h"
#include "kernels/state_part.h"

/* What a call that failed half way has left, as only a device can: then nothing may follow but a load, and as long as the true parameters are those of
 * before, reading them. */
typedef enum optimizer_health { STATE_WHOLE, STATE_LOST, PARAMS_LOST } optimizer_health;

/* What a device's object begins with. */
struct lopt_optimizer {
    const struct optimizer_backend *backend;
    int device; /* of GPUs: its number */
    weight_layout layout;
    uint64_t weights_fingerprint;
    lopt_optimizer_options options; /* texts are not kept */
    number_type param_type, grad_type;
    int mixed, zero_nonfinite;
    int guarded;                         /* kernels/cell/guard.h */
    const float *grad_scale, *found_inf; /* the user's */
    size_t num_tensors, total;
    size_t *counts; /* [num_tensors] */
    int swapped;    /* the attended parameters are in the optimizer, the true ones in the user's buffers */
    optimizer_health health;
    size_t bytes; /* held in all */
};

/* What changes from step to step beside the state's parts. */
typedef struct optimizer_progress {
    uint64_t step, skipped;
    unsigned char *started; /* [num_tensors] 1: has taken part in a step; before that its decays are 0. NULL: not asked for */
    int swapped;            /* written alone: the object knows it itself */
} optimizer_progress;

/* Arguments have been checked as far as that is the same on every device; streams and what pointers point to have not. Calls with a stream
 * may only enqueue there, all others return when the work is done. */
typedef struct optimizer_backend {
    lopt_status (*available)(int device);
    /* Makes the device's object, whose beginning is a copy of `common`; on success it owns common->counts. */
    lopt_status (*create)(const lopt_optimizer *common, const lopt_weights *w, float *const *params, void *stream,
                          lopt_optimizer **out);
    void (*destroy)(lopt_optimizer *opt); /* counts are not its to free */
    lopt_status (*step)(lopt_optimizer *opt, float *const *params, const float *const *grads, void *stream);
    lopt_status (*set_rates)(lopt_optimizer *opt, double lr_scale, double weight_decay,
                             void *stream); /* options are not its to change */
    lopt_status (*set_scaler)(lopt_optimizer *opt, const float *grad_scale, const float *found_inf); /* only checks */
    lopt_status (*true_params)(lopt_optimizer *opt, float *const *out, void *stream);
    lopt_status (*set_params)(lopt_optimizer *opt, float *const *params, void *stream);
    lopt_status (*swap)(lopt_optimizer *opt, float *const *params, void *stream); /* back, if opt->swapped */
    /* Room for the attended parameters while swapped, for a state that is to be loaded; or none any more, which cannot fail. */
    lopt_status (*hold_attended)(lopt_optimizer *opt, int hold);
    lopt_status (*read_progress)(lopt_optimizer *opt, optimizer_progress *out);
    /* The first of a load's writes. A device that may fail amid them sets `health` before it changes anything. */
    lopt_status (*write_progress)(lopt_optimizer *opt, const optimizer_progress *p);
    lopt_status (*read_piece)(lopt_optimizer *opt, const state_piece *piece, float *to);
    lopt_status (*write_piece)(lopt_optimizer *opt, const state_piece *piece, const float *from);
    lopt_status (*loaded)(lopt_optimizer *opt); /* all pieces have been written */
} optimizer_backend;

extern const optimizer_backend cpu_backend, cuda_backend;

/* Of a device as options name it: "cpu" (NULL too), "cuda", "cuda:1". */
lopt_status optimizer_device(const char *device, const optimizer_backend **backend, int *index);

/* LOPT_OK where it is no worse than that; else a sentence for the call. */
lopt_status optimizer_check_health(const char *call, const lopt_optimizer *opt, optimizer_health worst);

/* n numbers of the given type at element `first`, to and from float, in the host's memory. */
void numbers_read(number_type type, const void *from, size_t first, size_t n, float *to);
void numbers_write(number_type type, const float *from, size_t n, void *to, size_t first);

#endif
