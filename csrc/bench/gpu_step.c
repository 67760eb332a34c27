/* Steps on a GPU, timed from the host: batches of steps are enqueued, then waited for, so that what the host does is hidden as it is in training. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/bench/clock.h"
#include "csrc/optimizer/cuda.h"
#include "kernels/cuda/gpu.h"
#include "lopt/meta.h"

enum { WARM_UP = 3, BATCHES_MIN = 5, BATCHES_MAX = 1000, MOVES = 10, VECTOR = 16, PATTERN = 1 << 20 };
#define BATCH_SECONDS 0.02
#define MOVED_BYTES ((size_t)1 << 30)

typedef struct gpu_bench {
    const lopt_gpu_step_options *o;
    const gpu_runtime *gpu;
    size_t total, number_size;
    void *stream, *graph;
    void *numbers; /* parameters, then gradients */
    void *flag;    /* a float 0, or NULL */
    float **params;
    const float **grads;
    lopt_optimizer *opt;
} gpu_bench;

static void bench_free(gpu_bench *b) {
    lopt_optimizer_free(b->opt);
    if (b->graph) b->gpu->graph_destroy(b->o->device, b->graph);
    if (b->numbers) b->gpu->release(b->o->device, b->numbers);
    if (b->flag) b->gpu->release(b->o->device, b->flag);
    if (b->stream) b->gpu->stream_destroy(b->o->device, b->stream);
    free(b->params);
    free(b->grads);
}

/* Small numbers of both signs all over the device's buffer: 0.01 to 0.04 in each of the number types. */
static lopt_status fill(const gpu_bench *b) {
    const size_t bytes = 2 * b->total * b->number_size, part = bytes < PATTERN ? bytes : (size_t)PATTERN;
    void *memory = NULL;
    LOPT_TRY(memory_alloc(PATTERN, 1, "a benchmark", &memory));
    float *numbers = memory;
    uint16_t *halves = memory;
    const int bf16 = b->o->dtype && strcmp(b->o->dtype, "bf16") == 0;
    for (size_t i = 0; i < PATTERN / b->number_size; i++) {
        const size_t r = i * 2654435761u >> 7;
        const uint16_t half = (uint16_t)((bf16 ? 0x3c80 : 0x2300) + (r % 64) + ((r >> 6) % 2 << 15));
        if (b->number_size == sizeof(float)) numbers[i] = ((float)(r % 1999) * 1e-3f - 1.0f) * 0.04f;
        if (b->number_size != sizeof(float)) halves[i] = half;
    }
    lopt_status status = b->gpu->upload(b->o->device, b->numbers, memory, part, b->stream);
    for (size_t at = part; at < bytes && status == LOPT_OK; at += part)
        status = b->gpu->copy(b->o->device, (char *)b->numbers + at, b->numbers, bytes - at < part ? bytes - at : part, b->stream);
    free(memory);
    return status;
}

static lopt_status make_model(gpu_bench *b) {
    const lopt_gpu_step_options *o = b->o;
    void *memory = NULL;
    LOPT_TRY(memory_alloc(o->num_tensors, sizeof *b->params, "a benchmark", &memory));
    b->params = memory;
    LOPT_TRY(memory_alloc(o->num_tensors, sizeof *b->grads, "a benchmark", &memory));
    b->grads = memory;
    LOPT_TRY(b->gpu->stream_create(o->device, &b->stream));
    LOPT_TRY(b->gpu->allocate(o->device, 2 * b->total * b->number_size, b->stream, &b->numbers));
    if (o->found_inf) LOPT_TRY(b->gpu->allocate(o->device, sizeof(float), b->stream, &b->flag));
    LOPT_TRY(fill(b));
    char *at = b->numbers;
    for (size_t i = 0; i < o->num_tensors; i++, at += o->counts[i - 1] * b->number_size) {
        b->params[i] = (float *)(void *)at;
        b->grads[i] = (const float *)(void *)(at + b->total * b->number_size);
    }
    return LOPT_OK;
}

static lopt_status make_optimizer(gpu_bench *b) {
    const lopt_gpu_step_options *o = b->o;
    lopt_optimizer_options options = LOPT_OPTIMIZER_OPTIONS_INIT;
    lopt_weights *w = NULL;
    char device[32];
    snprintf(device, sizeof device, "cuda:%d", o->device);
    options.device = device;
    options.state_dtype = o->state_dtype;
    options.param_dtype = options.grad_dtype = o->dtype;
    LOPT_TRY(lopt_weights_init(o->weights, 0, &w));
    lopt_status status = lopt_optimizer_create(w, &options, o->num_tensors, o->counts, b->params, b->stream, &b->opt);
    lopt_weights_free(w);
    if (status == LOPT_OK) status = lopt_optimizer_set_scaler(b->opt, NULL, b->flag);
    if (status == LOPT_OK && o->launches && strcmp(o->launches, "auto") != 0)
        cuda_set_fused(b->opt, strcmp(o->launches, "fused") == 0);
    return status;
}

static lopt_status one_step(gpu_bench *b) {
    if (b->graph) return b->gpu->graph_launch(b->o->device, b->graph, b->stream);
    return lopt_optimizer_step(b->opt, b->params, b->grads, b->stream);
}

static lopt_status capture(gpu_bench *b) {
    LOPT_TRY(b->gpu->capture_begin(b->o->device, b->stream));
    const lopt_status status = lopt_optimizer_step(b->opt, b->params, b->grads, b->stream);
    char why[256];
    void *graph = NULL;
    snprintf(why, sizeof why, "%s", status == LOPT_OK ? "" : lopt_last_error()); /* before it is said that there is no graph */
    const lopt_status ended =
        b->gpu->capture_end(b->o->device, b->stream, &graph); /* whatever happened: the stream must be free again */
    b->graph = graph;
    return status == LOPT_OK ? ended : lopt_fail(status, "%s", why);
}

static lopt_status timed_batch(gpu_bench *b, size_t steps, double *seconds) {
    const double start = clock_seconds();
    for (size_t i = 0; i < steps; i++) LOPT_TRY(one_step(b));
    LOPT_TRY(b->gpu->wait(b->o->device));
    *seconds = (clock_seconds() - start) / (double)steps;
    return LOPT_OK;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static lopt_status time_steps(gpu_bench *b, lopt_gpu_step *out) {
    double taken[BATCHES_MAX], one = 0.0;
    size_t n = 0;
    LOPT_TRY(timed_batch(b, WARM_UP, &one));
    LOPT_TRY(timed_batch(b, WARM_UP, &one));
    const size_t steps = one < BATCH_SECONDS ? (size_t)(BATCH_SECONDS / (one + 1e-9)) + 1 : 1;
    const double end = clock_seconds() + b->o->seconds;
    while (n < BATCHES_MAX && (n < BATCHES_MIN || clock_seconds() < end)) LOPT_TRY(timed_batch(b, steps, &taken[n++]));
    qsort(taken, n, sizeof taken[0], ascending);
    out->seconds = taken[n / 2];
    out->low = taken[n / 4];
    out->high = taken[3 * n / 4];
    return LOPT_OK;
}

/* Memory to move numbers in: the model's own buffer, or a larger one where there is memory for it. */
typedef struct room {
    char *memory;
    size_t bytes; /* of either half; whole vectors of 16 */
} room;

static lopt_status copy_once(gpu_bench *b, const room *r) {
    return b->gpu->copy(b->o->device, r->memory + r->bytes, r->memory, r->bytes, b->stream);
}

static lopt_status turn_in_place(gpu_bench *b, const room *r) {
    gpu_launch l;
    LOPT_TRY(b->gpu->begin(b->o->device, b->stream, &l));
    b->gpu->kernels->in_place(&l, r->memory, r->bytes, 0);
    return b->gpu->end(&l);
}

/* Bytes read and written per second by one of the two above. */
static lopt_status time_moves(gpu_bench *b, const room *r, lopt_status (*move)(gpu_bench *, const room *), double *out) {
    LOPT_TRY(move(b, r));
    LOPT_TRY(b->gpu->wait(b->o->device));
    const double start = clock_seconds();
    for (int i = 0; i < MOVES; i++) LOPT_TRY(move(b, r));
    LOPT_TRY(b->gpu->wait(b->o->device));
    *out = 2.0 * MOVES * (double)r->bytes / (clock_seconds() - start);
    return LOPT_OK;
}

static lopt_status time_memory(gpu_bench *b, lopt_gpu_step *out) {
    void *more = NULL;
    room r = {b->numbers, b->total * b->number_size / VECTOR * VECTOR};
    if (r.bytes < MOVED_BYTES && b->gpu->allocate(b->o->device, 2 * MOVED_BYTES, b->stream, &more) == LOPT_OK)
        r = (room){more, MOVED_BYTES};
    lopt_status status = time_moves(b, &r, copy_once, &out->copy_per_second);
    if (status == LOPT_OK) status = time_moves(b, &r, turn_in_place, &out->in_place_per_second);
    if (more) b->gpu->release(b->o->device, more);
    return status;
}

static lopt_status measure(gpu_bench *b, lopt_gpu_step *out) {
    unsigned multiprocessors = 0;
    LOPT_TRY(b->gpu->open(b->o->device, &multiprocessors));
    LOPT_TRY(b->gpu->name(b->o->device, out->device, sizeof out->device));
    LOPT_TRY(make_model(b));
    LOPT_TRY(make_optimizer(b));
    out->bytes_held = (double)lopt_optimizer_memory(b->opt);
    LOPT_TRY(b->gpu->wait(b->o->device));
    if (b->o->graph) LOPT_TRY(capture(b));
    LOPT_TRY(time_steps(b, out));
    return time_memory(b, out);
}

lopt_status lopt_gpu_step_measure(const lopt_gpu_step_options *o, lopt_gpu_step *out) {
    lopt_gpu_step result = {{0}, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0};
    LOPT_CHECK(o != NULL && out != NULL && o->struct_size == sizeof *o && o->counts != NULL && o->num_tensors > 0 && o->device >= 0,
               LOPT_ERR_ARGUMENT,
               "a GPU's steps cannot be timed: options, out and counts must not be NULL, the device not be negative");
    gpu_bench b = {.o = o, .gpu = gpu_runtime_current(), .number_size = o->dtype == NULL || strcmp(o->dtype, "fp32") == 0 ? 4 : 2};
    LOPT_CHECK(b.gpu != NULL, LOPT_ERR_UNSUPPORTED, "device \"cuda\": not in this build, which has the CPU alone");
    LOPT_CHECK(o->launches == NULL || strcmp(o->launches, "auto") == 0 || strcmp(o->launches, "phases") == 0 ||
                   strcmp(o->launches, "fused") == 0,
               LOPT_ERR_ARGUMENT, "a GPU's steps cannot be timed: launches \"%s\": it must be auto, phases or fused", o->launches);
    for (size_t i = 0; i < o->num_tensors; i++) b.total += o->counts[i];
    const lopt_status status = measure(&b, &result);
    bench_free(&b);
    if (status == LOPT_OK) *out = result;
    return status;
}
