/* The optimizer on a GPU: what the host does for it, written on gpu_runtime (kernels/cuda/gpu.h). A step enqueues its kernels and returns. */
#include "csrc/optimizer/cuda.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"

static cuda_optimizer *cuda_of(lopt_optimizer *o) { return (cuda_optimizer *)o; }

/* `status` of what was done for a call: where it failed, the sentence begins with the call's name. */
static lopt_status of_call(const char *call, lopt_status status) {
    return status == LOPT_OK ? LOPT_OK : lopt_fail_prefix(status, "%s", call);
}

/* ---- The caller's pointers ------------------------------------------------------------------------------------------------ */

static lopt_status check_pointer(const cuda_optimizer *opt, const void *p, size_t alignment) {
    LOPT_CHECK((uintptr_t)p % alignment == 0, LOPT_ERR_ARGUMENT, "not a multiple of %zu bytes, as numbers of this type must be",
               alignment);
    return opt->gpu->check_pointer(opt->common.device, p);
}

/* Asking the driver takes longer than a launch: only pointers that differ from the last call's are looked at. */
static lopt_status check_pointers(cuda_optimizer *opt, const char *call, const char *what, const void *const *pointers,
                                  number_type type, const void **seen) {
    for (size_t i = 0; i < opt->common.num_tensors; i++) {
        if (pointers[i] == NULL || pointers[i] == seen[i]) continue;
        const lopt_status status = check_pointer(opt, pointers[i], number_size(type));
        if (status != LOPT_OK) return lopt_fail_prefix(status, "%s: %s[%zu]", call, what, i);
        seen[i] = pointers[i];
    }
    return LOPT_OK;
}

static lopt_status check_params(cuda_optimizer *opt, const char *call, float *const *params, void *stream) {
    LOPT_TRY(of_call(call, opt->gpu->check_stream(opt->common.device, stream)));
    return check_pointers(opt, call, "params", (const void *const *)params, opt->common.param_type, opt->seen_params);
}

/* ---- Making --------------------------------------------------------------------------------------------------------------- */

static void destroy(lopt_optimizer *o) {
    cuda_optimizer *opt = cuda_of(o);
    if (opt->memory) opt->gpu->release(o->device, opt->memory);
    free(opt->seen_params);
    free(opt->seen_grads);
    free(opt);
}

/* Kernels between the two are enqueued on the stream. */
static lopt_status begin(cuda_optimizer *opt, const char *call, void *stream, gpu_launch *l) {
    return of_call(call, opt->gpu->begin(opt->common.device, stream, l));
}
static lopt_status end(cuda_optimizer *opt, const char *call, gpu_launch *l) { return of_call(call, opt->gpu->end(l)); }

static lopt_status start(cuda_optimizer *opt, float *const *params, void *stream) {
    const lopt_optimizer_options *o = &opt->common.options;
    const gpu_kernels *k = opt->gpu->kernels;
    const start_rates rates = {o->seed, log(o->init_lr_min), log(o->init_lr_max) - log(o->init_lr_min)};
    gpu_launch l;
    LOPT_TRY(begin(opt, "lopt_optimizer_create", stream, &l));
    k->load(&l);
    k->enter(&l, &opt->model, (void *const *)params, NULL);
    if (opt->model.fragments == NULL)
        k->advance(&l, &opt->model); /* of no gradients: its stack is memory that the driver takes now */
    k->start(&l, &opt->model, &rates);
    k->sum_rates(&l, &opt->model);
    k->set_rates(&l, &opt->model, (float)o->lr_scale, (float)o->weight_decay);
    return end(opt, "lopt_optimizer_create", &l);
}

static lopt_status seen_alloc(cuda_optimizer *opt, const void ***out) {
    void *memory = NULL;
    LOPT_TRY(memory_alloc(opt->common.num_tensors, sizeof **out, "an optimizer", &memory));
    opt->common.bytes += opt->common.num_tensors * sizeof **out;
    *out = memory;
    return LOPT_OK;
}

static lopt_status reach(int device, const gpu_runtime **out, unsigned *multiprocessors) {
    *out = gpu_runtime_current();
    LOPT_CHECK(*out != NULL, LOPT_ERR_UNSUPPORTED, "device \"cuda\": not in this build, which has the CPU alone");
    return (*out)->open(device, multiprocessors);
}

static lopt_status available(int device) {
    const gpu_runtime *gpu = NULL;
    unsigned multiprocessors = 0;
    return reach(device, &gpu, &multiprocessors);
}

static lopt_status create(const lopt_optimizer *common, const lopt_weights *w, float *const *params, void *stream,
                          lopt_optimizer **out) {
    const gpu_runtime *gpu = NULL;
    unsigned multiprocessors = 0;
    lopt_status status = LOPT_OK;
    void *memory = NULL;
    LOPT_TRY(reach(common->device, &gpu, &multiprocessors));
    LOPT_TRY(memory_alloc(1, sizeof(cuda_optimizer), "an optimizer", &memory));
    cuda_optimizer *opt = memory;
    opt->common = *common;
    opt->common.bytes += sizeof *opt;
    opt->gpu = gpu;
    opt->multiprocessors = multiprocessors;
    opt->fused = common->total >= CUDA_FUSED_FROM;
    LOPT_TRY_CLEANUP(seen_alloc(opt, &opt->seen_params));
    LOPT_TRY_CLEANUP(seen_alloc(opt, &opt->seen_grads));
    LOPT_TRY_CLEANUP(check_params(opt, "lopt_optimizer_create", params, stream));
    LOPT_CHECK_CLEANUP(!gpu->capturing(common->device, stream), LOPT_ERR_ARGUMENT,
                       "lopt_optimizer_create: the stream is being captured; make the optimizer before that");
    LOPT_TRY_CLEANUP(of_call("lopt_optimizer_create", cuda_plan(opt, w, stream)));
    LOPT_TRY_CLEANUP(start(opt, params, stream));
    *out = &opt->common;
    return LOPT_OK;
cleanup:
    destroy(&opt->common);
    return status;
}

/* ---- Steps and their controls --------------------------------------------------------------------------------------------- */

static int any_takes_part(const cuda_optimizer *opt, const float *const *grads) {
    for (size_t i = 0; i < opt->common.num_tensors; i++)
        if (grads[i]) return 1;
    return 0;
}

/* Whether what was launched into the stream will run, and not be part of a graph. The legacy stream is never captured; and where it is refused
 * because another one is, what it was given before has been done. */
static int runs_at_once(const cuda_optimizer *opt, void *stream) {
    const uintptr_t legacy = 1; /* cudaStreamLegacy; NULL is, too */
    return (uintptr_t)stream <= legacy || !opt->gpu->capturing(opt->common.device, stream);
}

static lopt_status step(lopt_optimizer *o, float *const *params, const float *const *grads, void *stream) {
    cuda_optimizer *opt = cuda_of(o);
    const gpu_kernels *k = opt->gpu->kernels;
    gpu_launch l;
    LOPT_TRY(check_params(opt, "lopt_optimizer_step", params, stream));
    LOPT_TRY(check_pointers(opt, "lopt_optimizer_step", "grads", (const void *const *)grads, o->grad_type, opt->seen_grads));
    if (!any_takes_part(opt, grads)) return LOPT_OK; /* neither a step nor a skipped one */
    gpu_model m = opt->model;
    m.grad_scale = o->grad_scale;
    m.found_inf = o->found_inf;
    if (!opt->fused) m.work = NULL;
    LOPT_TRY(begin(opt, "lopt_optimizer_step", stream, &l));
    k->enter(&l, &m, (void *const *)params, (const void *const *)grads);
    k->prepare(&l, &m);
    k->advance(&l, &m);
    const int advanced = l.error == 0;
    if (m.work == NULL) {
        k->gather(&l, &m);
        k->finish(&l, &m);
        k->apply(&l, &m);
    }
    const lopt_status status = end(opt, "lopt_optimizer_step", &l);
    if (status != LOPT_OK && advanced && runs_at_once(opt, stream)) o->health = STATE_LOST;
    return status;
}

void cuda_set_fused(lopt_optimizer *o, int fused) { cuda_of(o)->fused = fused; }

static lopt_status set_rates(lopt_optimizer *o, double lr_scale, double weight_decay, void *stream) {
    cuda_optimizer *opt = cuda_of(o);
    gpu_launch l;
    LOPT_TRY(of_call("lopt_optimizer_set_rates", opt->gpu->check_stream(o->device, stream)));
    LOPT_TRY(begin(opt, "lopt_optimizer_set_rates", stream, &l));
    opt->gpu->kernels->set_rates(&l, &opt->model, (float)lr_scale, (float)weight_decay);
    return end(opt, "lopt_optimizer_set_rates", &l);
}

static lopt_status set_scaler(lopt_optimizer *o, const float *grad_scale, const float *found_inf) {
    const cuda_optimizer *opt = cuda_of(o);
    const float *const scalars[] = {grad_scale, found_inf};
    for (int i = 0; i < 2; i++) {
        const lopt_status status = scalars[i] ? check_pointer(opt, scalars[i], sizeof(float)) : LOPT_OK;
        if (status != LOPT_OK) return lopt_fail_prefix(status, "lopt_optimizer_set_scaler: %s", i ? "found_inf" : "grad_scale");
    }
    return LOPT_OK;
}

/* ---- Parameters ----------------------------------------------------------------------------------------------------------- */

static lopt_status exchange(cuda_optimizer *opt, const char *call, float *const *params, gpu_exchange what, void *stream) {
    gpu_launch l;
    LOPT_TRY(begin(opt, call, stream, &l));
    opt->gpu->kernels->enter(&l, &opt->model, (void *const *)params, NULL);
    opt->gpu->kernels->exchange(&l, &opt->model, what);
    return end(opt, call, &l);
}

static lopt_status true_params(lopt_optimizer *o, float *const *out, void *stream) {
    cuda_optimizer *opt = cuda_of(o);
    LOPT_TRY(of_call("lopt_optimizer_true_params", opt->gpu->check_stream(o->device, stream)));
    for (size_t i = 0; i < o->num_tensors; i++) { /* seldom called: each is looked at */
        const lopt_status bad = check_pointer(opt, out[i], sizeof(float));
        if (bad != LOPT_OK) return lopt_fail_prefix(bad, "lopt_optimizer_true_params: out[%zu]", i);
    }
    return exchange(opt, "lopt_optimizer_true_params", out, GPU_READ_THETA, stream);
}

static lopt_status set_params(lopt_optimizer *o, float *const *params, void *stream) {
    cuda_optimizer *opt = cuda_of(o);
    LOPT_TRY(check_params(opt, "lopt_optimizer_set_params", params, stream));
    return exchange(opt, "lopt_optimizer_set_params", params, GPU_SET, stream);
}

static lopt_status swap(lopt_optimizer *o, float *const *params, void *stream) {
    cuda_optimizer *opt = cuda_of(o);
    LOPT_TRY(check_params(opt, "lopt_optimizer_swap", params, stream));
    LOPT_CHECK(!opt->gpu->capturing(o->device, stream), LOPT_ERR_ARGUMENT,
               "lopt_optimizer_swap: the stream is being captured; swap outside of graphs"); /* replays would not turn o->swapped */
    return exchange(opt, "lopt_optimizer_swap", params, o->swapped ? GPU_SWAP_BACK : GPU_SWAP, stream);
}

/* The room of the updates that wait within a step serves. */
static lopt_status hold_attended(lopt_optimizer *o, int hold) {
    (void)o, (void)hold;
    return LOPT_OK;
}

/* ---- State, on the default stream once all work is done -------------------------------------------------------------------- */

static lopt_status read_progress(lopt_optimizer *o, optimizer_progress *out) {
    cuda_optimizer *opt = cuda_of(o);
    gpu_control control;
    LOPT_TRY(opt->gpu->wait(o->device));
    LOPT_TRY(opt->gpu->download(o->device, &control, opt->model.control, sizeof control, NULL));
    if (out->started) LOPT_TRY(opt->gpu->download(o->device, out->started, opt->model.started, o->num_tensors, NULL));
    out->step = control.step;
    out->skipped = control.skipped;
    return LOPT_OK;
}

static lopt_status write_progress(lopt_optimizer *o, const optimizer_progress *p) {
    cuda_optimizer *opt = cuda_of(o);
    gpu_control control;
    LOPT_TRY(opt->gpu->wait(o->device));
    LOPT_TRY(opt->gpu->download(o->device, &control, opt->model.control, sizeof control, NULL));
    control.step = p->step;
    control.skipped = p->skipped;
    control.swapped = (uint32_t)p->swapped;
    o->health = PARAMS_LOST;
    LOPT_TRY(opt->gpu->upload(o->device, opt->model.started, p->started, o->num_tensors, NULL));
    return opt->gpu->upload(o->device, opt->model.control, &control, sizeof control, NULL);
}

/* The part of a piece that starts `done` elements in and fits the staging buffer. */
static state_piece staged(const state_piece *piece, size_t done) {
    const uint64_t left = piece->count - done;
    return (state_piece){piece->part, piece->tensor, piece->first + done, left < CUDA_STAGING ? left : CUDA_STAGING};
}

static lopt_status read_piece(lopt_optimizer *o, const state_piece *piece, float *to) {
    cuda_optimizer *opt = cuda_of(o);
    for (size_t done = 0; done < piece->count; done += CUDA_STAGING) {
        const state_piece p = staged(piece, done);
        gpu_launch l;
        LOPT_TRY(begin(opt, "lopt_optimizer_save", NULL, &l));
        opt->gpu->kernels->pack(&l, &opt->model, &p, opt->staging);
        LOPT_TRY(end(opt, "lopt_optimizer_save", &l));
        LOPT_TRY(
            of_call("lopt_optimizer_save", opt->gpu->download(o->device, to + done, opt->staging, p.count * sizeof(float), NULL)));
    }
    return LOPT_OK;
}

static lopt_status write_piece(lopt_optimizer *o, const state_piece *piece, const float *from) {
    cuda_optimizer *opt = cuda_of(o);
    for (size_t done = 0; done < piece->count; done += CUDA_STAGING) {
        const state_piece p = staged(piece, done);
        gpu_launch l;
        LOPT_TRY(opt->gpu->upload(o->device, opt->staging, from + done, p.count * sizeof(float), NULL));
        LOPT_TRY(begin(opt, "lopt_optimizer_load", NULL, &l));
        opt->gpu->kernels->unpack(&l, &opt->model, &p, opt->staging);
        LOPT_TRY(end(opt, "lopt_optimizer_load", &l));
    }
    return LOPT_OK;
}

static lopt_status loaded(lopt_optimizer *o) {
    cuda_optimizer *opt = cuda_of(o);
    gpu_launch l;
    LOPT_TRY(begin(opt, "lopt_optimizer_load", NULL, &l));
    opt->gpu->kernels->sum_rates(&l, &opt->model);
    LOPT_TRY(end(opt, "lopt_optimizer_load", &l));
    return opt->gpu->wait(o->device);
}

const optimizer_backend cuda_backend = {
    .available = available,
    .create = create,
    .destroy = destroy,
    .step = step,
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
