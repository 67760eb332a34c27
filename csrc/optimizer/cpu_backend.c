/* The optimizer on the CPU, apart from its step: making and releasing it, and all that moves its numbers. */
#include "csrc/optimizer/cpu.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"

static cpu_optimizer *cpu_of(lopt_optimizer *o) { return (cpu_optimizer *)o; }

/* ---- Making --------------------------------------------------------------------------------------------------------------- */

static void read_params(const cpu_optimizer *opt, float *const *params, float *to) {
    for (size_t i = 0; i < opt->common.num_tensors; i++)
        numbers_read(opt->common.param_type, params[i], 0, opt->common.counts[i], to + opt->param_at[i]);
}

static void start(cpu_optimizer *opt, float *const *params) {
    const lopt_dims d = opt->common.layout.dims;
    const lopt_optimizer_options *o = &opt->common.options;
    read_params(opt, params, opt->theta);
    for (size_t i = 0; i < opt->common.num_tensors; i++) {
        step_initial_state(opt->weights, opt->kernels->lanes, o->seed, o->init_lr_min, o->init_lr_max, i, opt->common.counts[i],
                           opt->state + opt->state_at[i]);
        memcpy(opt->u + i * padded(d.tensor), prepared_initial(opt->weights, W_TENSOR_INITIAL_STATE),
               (size_t)d.tensor * sizeof(float));
    }
    memcpy(opt->v, prepared_initial(opt->weights, W_GLOBAL_INITIAL_STATE), (size_t)d.global * sizeof(float));
    cpu_sum_log_lr(opt);
}

static void destroy(lopt_optimizer *o) {
    cpu_optimizer *opt = cpu_of(o);
    void *const buffers[] = {opt->param_at,    opt->state_at,    opt->chunk_at,   opt->chunks, opt->groups,
                             opt->started,     opt->theta,       opt->state,      opt->move,   opt->attend,
                             opt->u,           opt->v,           opt->bias_param, opt->sums,   opt->log_lr,
                             opt->bias_tensor, opt->inverse_rms, opt->attended,   opt->guard};
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) free(buffers[i]);
    prepared_free(opt->weights);
    free(opt);
}

static lopt_status create(const lopt_optimizer *common, const lopt_weights *w, float *const *params, void *stream,
                          lopt_optimizer **out) {
    lopt_status status = LOPT_OK;
    void *memory = NULL;
    (void)stream;
    LOPT_TRY(memory_alloc(1, sizeof(cpu_optimizer), "an optimizer", &memory));
    cpu_optimizer *opt = memory;
    opt->common = *common;
    opt->common.bytes += sizeof *opt;
    opt->kernels = cpu_kernels_current();
    LOPT_TRY_CLEANUP(prepared_create(&w->layout, w->data, &opt->weights));
    opt->common.bytes += prepared_bytes(opt->weights);
    LOPT_TRY_CLEANUP(cpu_plan(opt));
    start(opt, params);
    *out = &opt->common;
    return LOPT_OK;
cleanup:
    destroy(&opt->common);
    return status;
}

/* ---- Controls ------------------------------------------------------------------------------------------------------------- */

static lopt_status set_rates(lopt_optimizer *o, double lr_scale, double weight_decay, void *stream) {
    (void)o, (void)lr_scale, (void)weight_decay, (void)stream; /* a step reads the options */
    return LOPT_OK;
}

static lopt_status set_scaler(lopt_optimizer *o, const float *grad_scale, const float *found_inf) {
    (void)o, (void)grad_scale, (void)found_inf;
    return LOPT_OK;
}

/* ---- Parameters ----------------------------------------------------------------------------------------------------------- */

static lopt_status true_params(lopt_optimizer *o, float *const *out, void *stream) {
    const cpu_optimizer *opt = cpu_of(o);
    (void)stream;
    for (size_t i = 0; i < o->num_tensors; i++) memcpy(out[i], opt->theta + opt->param_at[i], o->counts[i] * sizeof(float));
    return LOPT_OK;
}

static lopt_status set_params(lopt_optimizer *o, float *const *params, void *stream) {
    cpu_optimizer *opt = cpu_of(o);
    (void)stream;
    read_params(opt, params, opt->theta);
    if (opt->attended) memcpy(opt->attended, opt->theta, o->total * sizeof(float));
    return LOPT_OK;
}

static lopt_status hold_attended(lopt_optimizer *o, int hold) {
    cpu_optimizer *opt = cpu_of(o);
    if (hold == (opt->attended != NULL)) return LOPT_OK;
    if (hold) {
        LOPT_TRY(memory_floats(o->total, "the attended parameters while swapped", &opt->attended));
        o->bytes += o->total * sizeof(float);
        return LOPT_OK;
    }
    free(opt->attended);
    opt->attended = NULL;
    o->bytes -= o->total * sizeof(float);
    return LOPT_OK;
}

/* While swapped, `attended` keeps what the user's buffers held. */
static lopt_status swap(lopt_optimizer *o, float *const *params, void *stream) {
    cpu_optimizer *opt = cpu_of(o);
    (void)stream;
    if (!o->swapped) {
        LOPT_TRY(hold_attended(o, 1));
        read_params(opt, params, opt->attended);
    }
    for (size_t i = 0; i < o->num_tensors; i++)
        numbers_write(o->param_type, (o->swapped ? opt->attended : opt->theta) + opt->param_at[i], o->counts[i], params[i], 0);
    return o->swapped ? hold_attended(o, 0) : LOPT_OK;
}

/* ---- State ---------------------------------------------------------------------------------------------------------------- */

static lopt_status read_progress(lopt_optimizer *o, optimizer_progress *out) {
    const cpu_optimizer *opt = cpu_of(o);
    out->step = opt->step;
    out->skipped = opt->skipped;
    if (out->started) memcpy(out->started, opt->started, o->num_tensors);
    return LOPT_OK;
}

static lopt_status write_progress(lopt_optimizer *o, const optimizer_progress *p) {
    cpu_optimizer *opt = cpu_of(o);
    opt->step = p->step;
    opt->skipped = p->skipped;
    memcpy(opt->started, p->started, o->num_tensors);
    return LOPT_OK;
}

/* Where a part that is an array of its own begins; NULL: it is components of private state. */
static float *part_array(cpu_optimizer *opt, const state_piece *piece) {
    const size_t i = piece->tensor;
    switch (piece->part) {
    case PART_GLOBAL: return opt->v;
    case PART_GUARD: return opt->guard;
    case PART_TENSOR: return opt->u + i * padded(opt->common.layout.dims.tensor);
    case PART_THETA: return opt->theta + opt->param_at[i];
    case PART_ATTENDED: return opt->attended + opt->param_at[i];
    default: return NULL;
    }
}

/* Numbers one after the other in a part, which stand in memory at equal distances. */
typedef struct stretch {
    float *at;
    size_t apart, count;
} stretch;

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* The longest from element `done` of the piece on. Were each number found by itself, a save or load would take three times as long. */
static stretch stretch_at(cpu_optimizer *opt, const state_piece *piece, size_t done) {
    const lopt_dims d = opt->common.layout.dims;
    const size_t at = piece->first + done, left = piece->count - done, lanes = (size_t)opt->kernels->lanes;
    float *array = part_array(opt, piece);
    if (array) return (stretch){array + at, 1, left};
    const size_t i = piece->tensor, n = opt->common.counts[i];
    const state_place p = state_part_place(d, piece->part, n, at);
    float *place = opt->state + opt->state_at[i] + state_index(opt->kernels->lanes, dims_state(d), p.parameter, p.component);
    if (piece->part == PART_HIDDEN) return (stretch){place, lanes, least(left, (size_t)(d.param - p.component))};
    return (stretch){place, 1, least(left, least(n - p.parameter, lanes - p.parameter % lanes))};
}

static lopt_status read_piece(lopt_optimizer *o, const state_piece *piece, float *to) {
    for (size_t done = 0; done < piece->count;) {
        const stretch s = stretch_at(cpu_of(o), piece, done);
        for (size_t k = 0; k < s.count; k++) to[done + k] = s.at[k * s.apart];
        done += s.count;
    }
    return LOPT_OK;
}

static lopt_status write_piece(lopt_optimizer *o, const state_piece *piece, const float *from) {
    for (size_t done = 0; done < piece->count;) {
        const stretch s = stretch_at(cpu_of(o), piece, done);
        for (size_t k = 0; k < s.count; k++) s.at[k * s.apart] = from[done + k];
        done += s.count;
    }
    return LOPT_OK;
}

static lopt_status loaded(lopt_optimizer *o) {
    cpu_sum_log_lr(cpu_of(o));
    return LOPT_OK;
}

static lopt_status available(int device) {
    (void)device;
    return LOPT_OK;
}

const optimizer_backend cpu_backend = {
    .available = available,
    .create = create,
    .destroy = destroy,
    .step = cpu_step,
    .set_rates = set_rates,
    .set_scaler = set_scaler,
    .true_params = true_params,
    .set_params = set_params,
    .swap = swap,
    .hold_attended = hold_attended,
    .read_progress = read_progress,
    .write_progress = write_progress,
    .read_piece = read_piece,
    .write_piece = write_piece,
    .loaded = loaded,
};
