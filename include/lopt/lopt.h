/* lopt: learned optimizers (hierarchical RNN, Wichrowska et al. 2017, arXiv 1703.04813).
 *
 * This header is what a program needs to *use* a learned optimizer; <lopt/meta.h> is what it needs to train and judge one.
 *
 * Rules that hold for every call, stated once:
 *   errors     A call that can fail returns lopt_status, leaves its outputs untouched on failure, and never exits, prints or
 *              throws. lopt_last_error() then holds one sentence that says what was wrong and what to do.
 *   ownership  Objects made through an `out` argument are the caller's and are released by the matching _free, which accepts
 *              NULL. Everything passed in is copied unless the argument says otherwise; buffers stay the caller's.
 *   threads    Different objects may be used by different threads at once. One object is used by one thread at a time;
 *              lopt_last_error() is per thread. CPU work runs on OpenMP threads (OMP_NUM_THREADS), and no result depends
 *              on their number. GNU OpenMP's do not live on in a child of fork(): one that makes, loads or steps an optimizer
 *              there waits for ever, if its parent has done so on several; fork before, or call omp_set_num_threads(1) there.
 *   streams    `stream` is a cudaStream_t passed as void *, for device "cuda"; on "cpu" it must be NULL, and every call has
 *              finished its work when it returns. One optimizer is used by one stream at a time: another
 *              must wait for an event of the first (cudaStreamWaitEvent), or a step may give wrong numbers or never end.
 *   graphs     step, set_rates, true_params and set_params may be captured into a CUDA graph; it holds the pointers and numbers
 *              of its capture. create and swap are refused in the stream that is captured; save, load and skipped wait for the
 *              device, which CUDA refuses while any stream is captured, and ends that capture.
 *   aliasing   Buffers passed to one call must not overlap each other.
 *   units      Sizes count elements, not bytes. A "tensor" is a flat run of `counts[i]` elements; its shape does not matter.
 */
#ifndef LOPT_LOPT_H
#define LOPT_LOPT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define LOPT_API __attribute__((visibility("default")))
#else
#define LOPT_API
#endif

typedef enum lopt_status {
    LOPT_OK = 0,
    LOPT_ERR_ARGUMENT,    /* an argument is NULL, out of bounds or contradicts another */
    LOPT_ERR_CONFIG,      /* a configuration, or what a launcher sets, is missing, malformed, unknown or out of bounds */
    LOPT_ERR_MEMORY,      /* the machine or the device has no memory left for it */
    LOPT_ERR_UNSUPPORTED, /* right, but not in this build or not on this device */
    LOPT_ERR_DEVICE,      /* the device or its driver failed */
    LOPT_ERR_COMM,        /* another process of the job failed or fell silent */
    LOPT_ERR_IO,          /* the operating system refused to read or write a file */
    LOPT_ERR_FORMAT,      /* a file was read, but is not what it should be */
    LOPT_ERR_TASK         /* a task callback of the user's returned non-zero */
} lopt_status;

LOPT_API const char *lopt_status_name(lopt_status s); /* "LOPT_OK", ...; static memory */
LOPT_API const char *lopt_last_error(void);           /* this thread's last failure, one sentence; "" if none */
LOPT_API const char *lopt_version(void);              /* "MAJOR.MINOR.PATCH"; static memory */

/* ---- Weights: a learned optimizer as a file ------------------------------------------------------------------------- */

typedef struct lopt_weights lopt_weights;

/* Fresh weights, drawn from `seed` by the initial distributions of the format.
 * options  comma-separated key=value, any subset, or NULL for the defaults:
 *          "param=10,tensor=30,global=20,scales=4,attention=1,grad_products=1,relative_lr=1,gradient_shortcut=1";
 *          param is at most 64, tensor and global 256, scales 8, all at least 1 */
LOPT_API lopt_status lopt_weights_init(const char *options, uint64_t seed, lopt_weights **out);
/* Reads a weights file (safetensors, format lopt.hrnn.v1); a wrong checksum, shape or name is refused. */
LOPT_API lopt_status lopt_weights_load(const char *path, lopt_weights **out);
/* Writes atomically: `path` holds either its old content or the whole new file. */
LOPT_API lopt_status lopt_weights_save(const lopt_weights *w, const char *path);
LOPT_API size_t lopt_weights_count(const lopt_weights *w); /* numbers in the flat vector; 0 for NULL */
/* The flat vector [count], owned by w, writable; NULL for NULL. Weights that are not finite are refused by every call that uses or saves them. */
LOPT_API float *lopt_weights_data(lopt_weights *w);
LOPT_API void lopt_weights_free(lopt_weights *w);

/* ---- Optimizer: applies weights to a model --------------------------------------------------------------------------- */

typedef struct lopt_optimizer lopt_optimizer;

typedef struct lopt_optimizer_options {
    size_t struct_size;              /* sizeof of the caller's version; fields beyond it take their defaults */
    const char *device;              /* "cpu" (NULL too), "cuda", "cuda:1" */
    uint64_t seed;                   /* draws the initial learning rates */
    double init_lr_min, init_lr_max; /* 1e-6, 1e-2; the initial learning rates, log-uniform between; with the guard 1e-20..1e20 */
    double lr_scale, weight_decay;   /* 1, 0; each from 0 to 1e30; weight decay is decoupled: 0.01 shrinks by 1 % a step */
    const char *state_dtype;         /* "fp32" (NULL too) or "mixed" (cuda) */
    const char *param_dtype;         /* "fp32" (NULL too), "bf16", "fp16": what params point to; true parameters stay fp32 */
    const char *grad_dtype;          /* likewise for grads */
    const char *nonfinite;           /* "skip" (NULL too): the step is skipped and counted; "zero": such entries read as 0 */
    /* "on": rates stay near their average so far, late updates are plain (kernels/cell/guard.h, handover.h); "off"; NULL: as the weights say */
    const char *guard;
} lopt_optimizer_options;

#define LOPT_OPTIMIZER_OPTIONS_INIT \
    { sizeof(lopt_optimizer_options), NULL, 0, 1e-6, 1e-2, 1.0, 0.0, NULL, NULL, NULL, NULL, NULL }

/* LOPT_OK if optimizers can be made on the device, as options name it; else lopt_last_error says why not. */
LOPT_API lopt_status lopt_device_available(const char *device);
/* Makes an optimizer for `num_tensors` > 0 tensors of counts[i] > 0 elements.
 * w        copied
 * o        NULL: all defaults
 * counts   [num_tensors]
 * params   [num_tensors], the model's parameters: read as the start, not kept
 * stream   see the rules above */
LOPT_API lopt_status lopt_optimizer_create(const lopt_weights *w, const lopt_optimizer_options *o, size_t num_tensors,
                                           const size_t *counts, float *const *params, void *stream, lopt_optimizer **out);
/* One step. Where param_dtype/grad_dtype is a 16-bit type, cast the pointers to float *.
 * params   [num_tensors], in: anything; out: the point where the next gradient is to be taken. A step that is skipped leaves all as they are, and
 *          any step those of tensors that rest: where buffers change, copy what the last call left in them
 * grads    [num_tensors], gradients at the point that the last call left in params; not changed; grads[i] NULL: tensor i rests
 * On a GPU a pointer is looked at when it is not that of the last call: memory that has been freed since is not noticed. Should a GPU take a step's first
 * kernels and refuse a later one, the state is lost, and params are not to be used: true_params gives those of before, load makes the optimizer whole
 * again, and until then step, swap, set_params and save say so. */
LOPT_API lopt_status lopt_optimizer_step(lopt_optimizer *opt, float *const *params, const float *const *grads, void *stream);
/* New rates for the steps that follow: lr_scale multiplies every update (a schedule goes here); bounds as in the options. */
LOPT_API lopt_status lopt_optimizer_set_rates(lopt_optimizer *opt, double lr_scale, double weight_decay, void *stream);
/* Loss scaling: gradients are divided by *grad_scale, a step with *found_inf != 0 is skipped. Scalars in the device's memory,
 * kept by pointer and read by every later step; NULL: none. With found_inf, lopt does not look for non-finite entries itself. */
LOPT_API lopt_status lopt_optimizer_set_scaler(lopt_optimizer *opt, const float *grad_scale, const float *found_inf);
/* The true parameters theta (to evaluate or ship), fp32. out  [num_tensors], counts[i] elements each, kind of memory as params. */
LOPT_API lopt_status lopt_optimizer_true_params(lopt_optimizer *opt, float *const *out, void *stream);
/* The user changed the parameters: params (param_dtype) become the true and the attended ones; all other state stays. */
LOPT_API lopt_status lopt_optimizer_set_params(lopt_optimizer *opt, float *const *params, void *stream);
/* Exchanges attended and true parameters in the user's buffers, and back at the next call. step while swapped is an error; one
 * that a graph replays then does nothing, and is not counted as skipped. */
LOPT_API lopt_status lopt_optimizer_swap(lopt_optimizer *opt, float *const *params, void *stream);
/* State file (safetensors, format lopt.state.v1), written atomically. Loading needs the same weights and tensor sizes, and
 * replaces state only: options stay as created, and state of another device or state_dtype becomes this one's. save, load, skipped and free wait for enqueued work.
 * A state whose numbers are not finite is neither saved nor loaded; parameters may be anything.
 * Should a GPU fail amid a load, the true parameters are lost too, until one succeeds; no capture may begin on it meanwhile.
 * A file beyond 16 MiB must not be made shorter by others while it is loaded; one that is replaced as save does it may be. */
LOPT_API lopt_status lopt_optimizer_save(lopt_optimizer *opt, const char *path);
LOPT_API lopt_status lopt_optimizer_load(lopt_optimizer *opt, const char *path);
LOPT_API uint64_t lopt_optimizer_skipped(lopt_optimizer *opt); /* steps skipped for non-finite gradients; UINT64_MAX on failure */
LOPT_API size_t lopt_optimizer_memory(const lopt_optimizer *opt); /* bytes that this optimizer holds in all; 0 for NULL */
LOPT_API void lopt_optimizer_free(lopt_optimizer *opt);

/* ---- Tasks and meta-gradients ----------------------------------------------------------------------------------------- */

/* A task of the user's own, by callbacks on host memory; each returns 0 for success, else the call ends with LOPT_ERR_TASK.
 * One `self` is never entered by two threads at once. Pointers are [num_tensors], counts[i] elements each.
 * A callback does not call lopt with its own task, which would wait for itself, and returns (no longjmp, no exception). */
typedef struct lopt_task_ops {
    size_t struct_size;
    const char *name; /* copied */
    size_t num_tensors;
    const size_t *counts; /* copied */
    /* Writes the starting parameters, a pure function of seed. */
    int (*init)(void *self, uint64_t seed, float *const *params);
    /* Minibatch loss and gradient, a pure function of (seed, step, params). */
    int (*loss_grad)(void *self, uint64_t seed, uint64_t step, const float *const *params, double *loss, float *const *grads);
    /* The whole loss (>= 0), and its gradient unless grads is NULL. NULL callback: loss_grad is the whole loss already. */
    int (*full_loss_grad)(void *self, const float *const *params, double *loss, float *const *grads);
    /* J'v of loss_grad's gradient at (seed, step, params). NULL: no second derivatives. */
    int (*hvp)(void *self, uint64_t seed, uint64_t step, const float *const *params, const float *const *v, float *const *out);
    void (*destroy)(void *self); /* NULL: nothing to do. Called once, by lopt_task_free. */
} lopt_task_ops;

typedef struct lopt_task lopt_task;

/* A task of the corpus. spec: "family" or "family:key=value,...", as `lopt tasks` lists; seed draws the instance's data. */
LOPT_API lopt_status lopt_task_create(const char *spec, uint64_t seed, lopt_task **out);
/* On success the task, and no other one, owns `self` (through ops->destroy). */
LOPT_API lopt_status lopt_task_from_ops(const lopt_task_ops *ops, void *self, lopt_task **out);
LOPT_API void lopt_task_free(lopt_task *t);

typedef struct lopt_unroll_options {
    size_t struct_size;
    const char *device; /* "cpu" (NULL too) */
    uint64_t seed;
    size_t steps;                    /* 100 */
    int second_derivatives;          /* 1 */
    double init_lr_min, init_lr_max; /* 1e-6, 1e-2 */
} lopt_unroll_options;

#define LOPT_UNROLL_OPTIONS_INIT \
    { sizeof(lopt_unroll_options), NULL, 0, 100, 1, 1e-6, 1e-2 }

/* Meta-loss J of one fresh run of `steps` steps, and its exact gradient with respect to the flat weights.
 * J = mean over t of log( f(theta_t) / (f(theta_0) + 1e-6) + 1e-6 ).
 * A task loss that is not finite, or a gradient with an entry that is not, or is beyond 1e18, ends the run: status LOPT_OK,
 * meta_loss NaN, gradient zero. So it is where only the gradient that was asked for is not finite.
 * gradient  [lopt_weights_count], or NULL: forward only */
LOPT_API lopt_status lopt_meta_gradient(const lopt_weights *w, lopt_task *t, const lopt_unroll_options *o, double *meta_loss,
                                        float *gradient);

#ifdef __cplusplus
}
#endif
#endif
