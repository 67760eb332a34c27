/* The optimizer object: making, asking and releasing it, and all that touches parameters outside a step. */
#include "csrc/optimizer/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "lopt/meta.h"

enum { OPTIONS_MAX = 4096 };

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
    LOPT_CHECK(isfinite(lr_scale) && lr_scale >= 0 && lr_scale <= 1e30, LOPT_ERR_ARGUMENT, "%s: lr_scale must be from 0 to 1e30", call);
    LOPT_CHECK(isfinite(weight_decay) && weight_decay >= 0 && weight_decay <= 1e30, LOPT_ERR_ARGUMENT,
               "%s: weight_decay must be from 0 to 1e30", call);
    return LOPT_OK;
}

static lopt_status take_device(const lopt_optimizer_options *o) {
    const char *device = o->device ? o->device : "cpu";
    if (strcmp(device, "cpu") == 0) return LOPT_OK;
    if (strcmp(device, "cuda") == 0 || strncmp(device, "cuda:", 5) == 0)
        return lopt_fail(LOPT_ERR_UNSUPPORTED, "device \"%.32s\": not in this build, which has the CPU alone", device);
    return lopt_fail(LOPT_ERR_ARGUMENT, "lopt_optimizer_create: device \"%.32s\" is unknown; there are cpu, cuda and cuda:N", device);
}

static lopt_status take_options(const lopt_optimizer_options *from, lopt_optimizer *opt) {
    static const char *const numbers[] = {"fp32", "bf16", "fp16"}, *const states[] = {"fp32", "mixed"}, *const nonfinite[] = {"skip", "zero"};
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    int param = 0, grad = 0, state = 0;
    if (from) {
        LOPT_CHECK(from->struct_size >= sizeof(size_t) && from->struct_size <= OPTIONS_MAX, LOPT_ERR_ARGUMENT,
                   "lopt_optimizer_create: struct_size %zu is absurd; start from LOPT_OPTIMIZER_OPTIONS_INIT", from->struct_size);
        memcpy(&o, from, from->struct_size < sizeof o ? from->struct_size : sizeof o);
    }
    LOPT_TRY(take_device(&o));
    LOPT_CHECK(isfinite(o.init_lr_min) && isfinite(o.init_lr_max) && o.init_lr_min > 0 && o.init_lr_min <= o.init_lr_max,
               LOPT_ERR_ARGUMENT, "lopt_optimizer_create: 0 < init_lr_min <= init_lr_max must hold, and both be finite");
    LOPT_TRY(check_rates("lopt_optimizer_create", o.lr_scale, o.weight_decay));
    LOPT_TRY(choose("param_dtype", o.param_dtype, numbers, 3, &param));
    LOPT_TRY(choose("grad_dtype", o.grad_dtype, numbers, 3, &grad));
    LOPT_TRY(choose("state_dtype", o.state_dtype, states, 2, &state));
    LOPT_TRY(choose("nonfinite", o.nonfinite, nonfinite, 2, &opt->zero_nonfinite));
    LOPT_CHECK(state == 0, LOPT_ERR_UNSUPPORTED, "state_dtype \"mixed\" is for device \"cuda\"; on the CPU use \"fp32\"");
    opt->param_type = (number_type)param;
    opt->grad_type = (number_type)grad;
    opt->options = o;
    opt->options.device = opt->options.state_dtype = opt->options.param_dtype = opt->options.grad_dtype = opt->options.nonfinite = NULL;
    return LOPT_OK;
}

/* ---- Making --------------------------------------------------------------------------------------------------------------- */

static void read_params(lopt_optimizer *opt, float *const *params, float *to) {
    for (size_t i = 0; i < opt->num_tensors; i++)
        numbers_read(opt->param_type, params[i], 0, opt->counts[i], to + opt->param_at[i]);
}

static void start(lopt_optimizer *opt, float *const *params) {
    const lopt_dims d = opt->layout.dims;
    const lopt_optimizer_options *o = &opt->options;
    read_params(opt, params, opt->theta);
    for (size_t i = 0; i < opt->num_tensors; i++) {
        step_initial_state(opt->weights, opt->kernels->lanes, o->seed, o->init_lr_min, o->init_lr_max, i, opt->counts[i],
                           opt->state + opt->state_at[i]);
        memcpy(opt->u + i * padded(d.tensor), prepared_initial(opt->weights, W_TENSOR_INITIAL_STATE), (size_t)d.tensor * sizeof(float));
    }
    memcpy(opt->v, prepared_initial(opt->weights, W_GLOBAL_INITIAL_STATE), (size_t)d.global * sizeof(float));
    optimizer_sum_log_lr(opt);
}

static lopt_status check_pointers(const char *call, size_t n, const void *const *pointers, const char *what) {
    LOPT_CHECK(pointers != NULL, LOPT_ERR_ARGUMENT, "%s: %s is NULL", call, what);
    for (size_t i = 0; i < n; i++) LOPT_CHECK(pointers[i] != NULL, LOPT_ERR_ARGUMENT, "%s: %s[%zu] is NULL", call, what, i);
    return LOPT_OK;
}

lopt_status lopt_optimizer_create(const lopt_weights *w, const lopt_optimizer_options *o, size_t num_tensors, const size_t *counts,
                                  float *const *params, void *stream, lopt_optimizer **out) {
    lopt_status status = LOPT_OK;
    void *memory = NULL;
    LOPT_CHECK(w != NULL && out != NULL && counts != NULL, LOPT_ERR_ARGUMENT,
               "lopt_optimizer_create: weights, counts and out must not be NULL");
    LOPT_CHECK(num_tensors > 0, LOPT_ERR_ARGUMENT, "lopt_optimizer_create: there must be at least one tensor");
    LOPT_CHECK(stream == NULL || (o && o->device && strncmp(o->device, "cuda", 4) == 0), LOPT_ERR_ARGUMENT,
               "lopt_optimizer_create: stream must be NULL on the CPU");
    LOPT_TRY(check_pointers("lopt_optimizer_create", num_tensors, (const void *const *)params, "params"));
    LOPT_TRY(memory_alloc(1, sizeof(lopt_optimizer), "an optimizer", &memory));
    lopt_optimizer *opt = memory;
    opt->bytes = sizeof *opt;
    opt->layout = w->layout;
    opt->kernels = cpu_kernels_current();
    opt->weights_fingerprint = weights_fingerprint(w);
    LOPT_TRY_CLEANUP(take_options(o, opt));
    LOPT_TRY_CLEANUP(prepared_create(&w->layout, w->data, &opt->weights));
    opt->bytes += prepared_bytes(opt->weights);
    LOPT_TRY_CLEANUP(optimizer_plan(opt, num_tensors, counts));
    start(opt, params);
    *out = opt;
    return LOPT_OK;
cleanup:
    lopt_optimizer_free(opt);
    return status;
}

void lopt_optimizer_free(lopt_optimizer *opt) {
    if (opt == NULL) return;
    void *const buffers[] = {opt->counts, opt->param_at, opt->state_at,   opt->chunk_at,    opt->chunks, opt->groups, opt->started,
                             opt->theta,  opt->state,    opt->move,       opt->attend,      opt->u,      opt->v,      opt->bias_param,
                             opt->sums,   opt->log_lr,   opt->bias_tensor, opt->inverse_rms, opt->attended};
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) free(buffers[i]);
    prepared_free(opt->weights);
    free(opt);
}

size_t lopt_optimizer_memory(const lopt_optimizer *opt) { return opt ? opt->bytes : 0; }

uint64_t lopt_optimizer_skipped(lopt_optimizer *opt) {
    if (opt) return opt->skipped;
    lopt_fail(LOPT_ERR_ARGUMENT, "lopt_optimizer_skipped: opt is NULL");
    return UINT64_MAX;
}

/* ---- Controls ------------------------------------------------------------------------------------------------------------- */

lopt_status lopt_optimizer_set_rates(lopt_optimizer *opt, double lr_scale, double weight_decay, void *stream) {
    LOPT_CHECK(opt != NULL && stream == NULL, LOPT_ERR_ARGUMENT, "lopt_optimizer_set_rates: opt must not be NULL; stream must be, on the CPU");
    LOPT_TRY(check_rates("lopt_optimizer_set_rates", lr_scale, weight_decay));
    opt->options.lr_scale = lr_scale;
    opt->options.weight_decay = weight_decay;
    return LOPT_OK;
}

lopt_status lopt_optimizer_set_scaler(lopt_optimizer *opt, const float *grad_scale, const float *found_inf) {
    LOPT_CHECK(opt != NULL, LOPT_ERR_ARGUMENT, "lopt_optimizer_set_scaler: opt is NULL");
    opt->grad_scale = grad_scale;
    opt->found_inf = found_inf;
    return LOPT_OK;
}

/* ---- Parameters ----------------------------------------------------------------------------------------------------------- */

static lopt_status check_params(const char *call, const lopt_optimizer *opt, float *const *params, const void *stream) {
    LOPT_CHECK(opt != NULL && stream == NULL, LOPT_ERR_ARGUMENT, "%s: opt must not be NULL; stream must be, on the CPU", call);
    return check_pointers(call, opt->num_tensors, (const void *const *)params, "params");
}

lopt_status lopt_optimizer_true_params(lopt_optimizer *opt, float *const *out, void *stream) {
    LOPT_TRY(check_params("lopt_optimizer_true_params", opt, out, stream));
    for (size_t i = 0; i < opt->num_tensors; i++) memcpy(out[i], opt->theta + opt->param_at[i], opt->counts[i] * sizeof(float));
    return LOPT_OK;
}

lopt_status lopt_optimizer_set_params(lopt_optimizer *opt, float *const *params, void *stream) {
    LOPT_TRY(check_params("lopt_optimizer_set_params", opt, params, stream));
    read_params(opt, params, opt->theta);
    if (opt->attended) memcpy(opt->attended, opt->theta, opt->total * sizeof(float));
    return LOPT_OK;
}

/* While swapped, `attended` keeps what the user's buffers held. */
lopt_status lopt_optimizer_swap(lopt_optimizer *opt, float *const *params, void *stream) {
    LOPT_TRY(check_params("lopt_optimizer_swap", opt, params, stream));
    const int back = opt->attended != NULL;
    if (!back) {
        LOPT_TRY(memory_floats(opt->total, "the attended parameters while swapped", &opt->attended));
        opt->bytes += opt->total * sizeof(float);
        read_params(opt, params, opt->attended);
    }
    for (size_t i = 0; i < opt->num_tensors; i++)
        numbers_write(opt->param_type, (back ? opt->attended : opt->theta) + opt->param_at[i], opt->counts[i], params[i], 0);
    if (back) {
        free(opt->attended);
        opt->attended = NULL;
        opt->bytes -= opt->total * sizeof(float);
    }
    return LOPT_OK;
}
