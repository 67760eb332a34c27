/* The optimizer object: options, the checks that every device shares, and the way to the device. */
#include "csrc/optimizer/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "base/struct_size.h"
#include "kernels/cell/guard.h"
#include "lopt/meta.h"

enum { DEVICES_MAX = 1024 };

/* ---- Options -------------------------------------------------------------------------------------------------------------- */

/* The index of text among the names; NULL is the first. */
static lopt_status choose(const char *field, const char *text, const char *const *names, size_t n, int *out) {
    *out = 0;
    if (text == NULL) return LOPT_OK;
    for (size_t i = 0; i < n; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (int)i;
            return LOPT_OK;
        }
    return lopt_fail(LOPT_ERR_ARGUMENT, "lopt_optimizer_create: %s \"%.32s\" is unknown; did you mean \"%s\"?", field, text,
                     lopt_nearest_name(text, names, n));
}

static lopt_status check_rates(const char *call, double lr_scale, double weight_decay) {
    LOPT_CHECK(isfinite(lr_scale) && lr_scale >= 0 && lr_scale <= 1e30, LOPT_ERR_ARGUMENT, "%s: lr_scale must be from 0 to 1e30",
               call);
    LOPT_CHECK(isfinite(weight_decay) && weight_decay >= 0 && weight_decay <= 1e30, LOPT_ERR_ARGUMENT,
               "%s: weight_decay must be from 0 to 1e30", call);
    return LOPT_OK;
}

lopt_status optimizer_device(const char *device, const optimizer_backend **backend, int *index) {
    *backend = &cpu_backend;
    *index = 0;
    if (device == NULL || strcmp(device, "cpu") == 0) return LOPT_OK;
    *backend = &cuda_backend;
    if (strcmp(device, "cuda") == 0) return LOPT_OK;
    const char *number = strncmp(device, "cuda:", 5) == 0 ? device + 5 : "";
    char *end = NULL;
    const long n = *number >= '0' && *number <= '9' ? strtol(number, &end, 10) : -1;
    LOPT_CHECK(n >= 0 && n < DEVICES_MAX && *end == 0, LOPT_ERR_ARGUMENT,
               "device \"%.32s\" is unknown; there are cpu, cuda and cuda:N", device);
    *index = (int)n;
    return LOPT_OK;
}

static lopt_status take_options(const lopt_optimizer_options *from, const lopt_weights *w, lopt_optimizer *opt) {
    static const char *const numbers[] = {"fp32", "bf16", "fp16"}, *const states[] = {"fp32", "mixed"},
                             *const nonfinite[] = {"skip", "zero"}, *const guards[] = {"off", "on"};
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    int param = 0, grad = 0;
    if (from) {
        LOPT_CHECK(STRUCT_SIZE_FITS(lopt_optimizer_options, from->struct_size), LOPT_ERR_ARGUMENT,
                   "lopt_optimizer_create: struct_size %zu is absurd; start from LOPT_OPTIMIZER_OPTIONS_INIT", from->struct_size);
        memcpy(&o, from, from->struct_size < sizeof o ? from->struct_size : sizeof o);
    }
    LOPT_TRY(optimizer_device(o.device, &opt->backend, &opt->device));
    LOPT_CHECK(isfinite(o.init_lr_min) && isfinite(o.init_lr_max) && o.init_lr_min > 0 && o.init_lr_min <= o.init_lr_max,
               LOPT_ERR_ARGUMENT, "lopt_optimizer_create: 0 < init_lr_min <= init_lr_max must hold, and both be finite");
    LOPT_TRY(check_rates("lopt_optimizer_create", o.lr_scale, o.weight_decay));
    LOPT_TRY(choose("param_dtype", o.param_dtype, numbers, 3, &param));
    LOPT_TRY(choose("grad_dtype", o.grad_dtype, numbers, 3, &grad));
    LOPT_TRY(choose("state_dtype", o.state_dtype, states, 2, &opt->mixed));
    LOPT_TRY(choose("nonfinite", o.nonfinite, nonfinite, 2, &opt->zero_nonfinite));
    LOPT_TRY(choose("guard", o.guard, guards, 2, &opt->guarded));
    if (o.guard == NULL) opt->guarded = w->guarded;
    LOPT_CHECK(
        !opt->guarded || (o.init_lr_min >= GUARD_LR_MIN && o.init_lr_max <= GUARD_LR_MAX), LOPT_ERR_ARGUMENT,
        "lopt_optimizer_create: with the guard, init_lr_min and init_lr_max must be from %g to %g; others need guard \"off\"",
        GUARD_LR_MIN, GUARD_LR_MAX);
    LOPT_CHECK(!opt->mixed || opt->backend != &cpu_backend, LOPT_ERR_UNSUPPORTED,
               "state_dtype \"mixed\" is for device \"cuda\"; on the CPU use \"fp32\"");
    opt->param_type = (number_type)param;
    opt->grad_type = (number_type)grad;
    opt->options = o;
    opt->options.device = opt->options.state_dtype = opt->options.param_dtype = opt->options.grad_dtype = opt->options.nonfinite =
        opt->options.guard = NULL;
    return LOPT_OK;
}

/* ---- Making --------------------------------------------------------------------------------------------------------------- */

static lopt_status check_pointers(const char *call, size_t n, const void *const *pointers, const char *what) {
    LOPT_CHECK(pointers != NULL, LOPT_ERR_ARGUMENT, "%s: %s is NULL", call, what);
    for (size_t i = 0; i < n; i++) LOPT_CHECK(pointers[i] != NULL, LOPT_ERR_ARGUMENT, "%s: %s[%zu] is NULL", call, what, i);
    return LOPT_OK;
}

static lopt_status take_counts(lopt_optimizer *opt, size_t num_tensors, const size_t *counts) {
    void *memory = NULL;
    LOPT_CHECK(num_tensors < SIZE_MAX / 64, LOPT_ERR_MEMORY, "no memory for %zu tensors", num_tensors);
    LOPT_TRY(memory_alloc(num_tensors, sizeof *counts, "an optimizer", &memory));
    opt->counts = memory;
    opt->num_tensors = num_tensors;
    opt->bytes += num_tensors * sizeof *counts;
    for (size_t i = 0; i < num_tensors; i++) {
        LOPT_CHECK(counts[i] > 0, LOPT_ERR_ARGUMENT, "lopt_optimizer_create: tensor %zu has no elements; leave it out", i);
        LOPT_CHECK(counts[i] < SIZE_MAX / 1024 && opt->total < SIZE_MAX / 1024, LOPT_ERR_MEMORY,
                   "lopt_optimizer_create: the sizes of the tensors up to %zu are more than memory can hold", i);
        opt->counts[i] = counts[i];
        opt->total += counts[i];
    }
    return LOPT_OK;
}

/* A stream on the CPU would be ignored: better to say so. */
static lopt_status check_stream(const char *call, const lopt_optimizer *opt, const void *stream) {
    LOPT_CHECK(stream == NULL || opt->backend != &cpu_backend, LOPT_ERR_ARGUMENT, "%s: stream must be NULL on the CPU", call);
    return LOPT_OK;
}

lopt_status lopt_optimizer_create(const lopt_weights *w, const lopt_optimizer_options *o, size_t num_tensors, const size_t *counts,
                                  float *const *params, void *stream, lopt_optimizer **out) {
    lopt_status status = LOPT_OK;
    lopt_optimizer common = {0};
    LOPT_CHECK(w != NULL && out != NULL && counts != NULL, LOPT_ERR_ARGUMENT,
               "lopt_optimizer_create: weights, counts and out must not be NULL");
    LOPT_CHECK(num_tensors > 0, LOPT_ERR_ARGUMENT, "lopt_optimizer_create: there must be at least one tensor");
    LOPT_TRY(take_options(o, w, &common));
    LOPT_TRY(check_stream("lopt_optimizer_create", &common, stream));
    LOPT_TRY(check_pointers("lopt_optimizer_create", num_tensors, (const void *const *)params, "params"));
    if (weights_check_finite(w, LOPT_ERR_ARGUMENT) != LOPT_OK) return lopt_fail_prefix(LOPT_ERR_ARGUMENT, "lopt_optimizer_create");
    common.layout = w->layout;
    common.weights_fingerprint = weights_fingerprint(w);
    LOPT_TRY_CLEANUP(take_counts(&common, num_tensors, counts));
    LOPT_TRY_CLEANUP(common.backend->create(&common, w, params, stream, out));
    return LOPT_OK;
cleanup:
    free(common.counts);
    return status;
}

lopt_status lopt_device_available(const char *device) {
    const optimizer_backend *backend = NULL;
    int index = 0;
    LOPT_TRY(optimizer_device(device, &backend, &index));
    return backend->available(index);
}

void lopt_optimizer_free(lopt_optimizer *opt) {
    if (opt == NULL) return;
    free(opt->counts);
    opt->backend->destroy(opt);
}

size_t lopt_optimizer_memory(const lopt_optimizer *opt) { return opt ? opt->bytes : 0; }

uint64_t lopt_optimizer_skipped(lopt_optimizer *opt) {
    optimizer_progress p = {0};
    if (opt == NULL) lopt_fail(LOPT_ERR_ARGUMENT, "lopt_optimizer_skipped: opt is NULL");
    const lopt_status status = opt ? opt->backend->read_progress(opt, &p) : LOPT_ERR_ARGUMENT;
    if (opt && status != LOPT_OK) lopt_fail_prefix(status, "lopt_optimizer_skipped");
    return status == LOPT_OK ? p.skipped : UINT64_MAX;
}

/* ---- Steps and their controls --------------------------------------------------------------------------------------------- */

lopt_status optimizer_check_health(const char *call, const lopt_optimizer *opt, optimizer_health worst) {
    LOPT_CHECK(
        opt->health <= worst, LOPT_ERR_DEVICE,
        "%s: an earlier call failed half way, and the state is lost; load one with lopt_optimizer_load, or make the optimizer anew",
        call);
    return LOPT_OK;
}

lopt_status lopt_optimizer_step(lopt_optimizer *opt, float *const *params, const float *const *grads, void *stream) {
    LOPT_CHECK(opt != NULL && params != NULL && grads != NULL, LOPT_ERR_ARGUMENT,
               "lopt_optimizer_step: opt, params and grads must not be NULL");
    LOPT_TRY(check_stream("lopt_optimizer_step", opt, stream));
    LOPT_TRY(optimizer_check_health("lopt_optimizer_step", opt, STATE_WHOLE));
    LOPT_CHECK(!opt->swapped, LOPT_ERR_ARGUMENT,
               "lopt_optimizer_step: the parameters are swapped; call lopt_optimizer_swap once more before stepping");
    for (size_t i = 0; i < opt->num_tensors; i++)
        LOPT_CHECK(params[i] != NULL || grads[i] == NULL, LOPT_ERR_ARGUMENT, "lopt_optimizer_step: params[%zu] is NULL", i);
    return opt->backend->step(opt, params, grads, stream);
}

lopt_status lopt_optimizer_set_rates(lopt_optimizer *opt, double lr_scale, double weight_decay, void *stream) {
    LOPT_CHECK(opt != NULL, LOPT_ERR_ARGUMENT, "lopt_optimizer_set_rates: opt is NULL");
    LOPT_TRY(check_stream("lopt_optimizer_set_rates", opt, stream));
    LOPT_TRY(check_rates("lopt_optimizer_set_rates", lr_scale, weight_decay));
    LOPT_TRY(opt->backend->set_rates(opt, lr_scale, weight_decay, stream));
    opt->options.lr_scale = lr_scale;
    opt->options.weight_decay = weight_decay;
    return LOPT_OK;
}

lopt_status lopt_optimizer_set_scaler(lopt_optimizer *opt, const float *grad_scale, const float *found_inf) {
    LOPT_CHECK(opt != NULL, LOPT_ERR_ARGUMENT, "lopt_optimizer_set_scaler: opt is NULL");
    LOPT_TRY(opt->backend->set_scaler(opt, grad_scale, found_inf));
    opt->grad_scale = grad_scale;
    opt->found_inf = found_inf;
    return LOPT_OK;
}

/* ---- Parameters ----------------------------------------------------------------------------------------------------------- */

static lopt_status check_params(const char *call, const lopt_optimizer *opt, float *const *params, const char *what,
                                const void *stream) {
    LOPT_CHECK(opt != NULL, LOPT_ERR_ARGUMENT, "%s: opt is NULL", call);
    LOPT_TRY(check_stream(call, opt, stream));
    return check_pointers(call, opt->num_tensors, (const void *const *)params, what);
}

lopt_status lopt_optimizer_true_params(lopt_optimizer *opt, float *const *out, void *stream) {
    LOPT_TRY(check_params("lopt_optimizer_true_params", opt, out, "out", stream));
    LOPT_TRY(optimizer_check_health("lopt_optimizer_true_params", opt, STATE_LOST));
    return opt->backend->true_params(opt, out, stream);
}

lopt_status lopt_optimizer_set_params(lopt_optimizer *opt, float *const *params, void *stream) {
    LOPT_TRY(check_params("lopt_optimizer_set_params", opt, params, "params", stream));
    LOPT_TRY(optimizer_check_health("lopt_optimizer_set_params", opt, STATE_WHOLE));
    return opt->backend->set_params(opt, params, stream);
}

lopt_status lopt_optimizer_swap(lopt_optimizer *opt, float *const *params, void *stream) {
    LOPT_TRY(check_params("lopt_optimizer_swap", opt, params, "params", stream));
    LOPT_TRY(optimizer_check_health("lopt_optimizer_swap", opt, STATE_WHOLE));
    LOPT_TRY(opt->backend->swap(opt, params, stream));
    opt->swapped = !opt->swapped;
    return LOPT_OK;
}
