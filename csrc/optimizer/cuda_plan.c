/* The memory of an optimizer on a GPU: how it is divided, and the tables and weights that are put there once. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/optimizer/cuda.h"
#include "kernels/cell/guard.h"
#include "kernels/cuda/mma_cell.h"

enum { ALIGNMENT = 256 }; /* bytes: whole sectors, and any vector load */

/* Hands out places one after the other; base NULL: only counts. */
typedef struct divider {
    char *base;
    size_t used;
} divider;

static void *take(divider *d, size_t count, size_t size) {
    void *place = d->base ? d->base + d->used : NULL;
    d->used += (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return place;
}

/* Where the weights are in the device's memory. */
typedef struct weights_place {
    gpu_weights *view;
    float *flat, *storage;
    uint32_t *fragments; /* NULL: the cell is not for tensor cores */
} weights_place;

/* Numbers that a weight is the sum of on tensor cores. */
static int fragment_terms(const gpu_model *m) { return m->mixed ? 1 : 2; }

static void divide(cuda_optimizer *opt, divider *d, size_t flat, size_t storage, uint64_t tiles, weights_place *w) {
    const lopt_dims dims = opt->common.layout.dims;
    const size_t n = opt->common.num_tensors;
    gpu_model *m = &opt->model;
    m->tensors = take(d, n, sizeof *m->tensors);
    m->chunks = take(d, m->num_chunks, sizeof *m->chunks);
    m->spans = take(d, m->num_spans, sizeof *m->spans);
    m->work = m->num_work ? take(d, m->num_work, sizeof *m->work) : NULL;
    w->view = take(d, 1, sizeof *w->view);
    w->flat = take(d, flat, sizeof(float));
    w->storage = take(d, storage, sizeof(float));
    w->fragments = dims_default_cell(dims) ? take(d, (size_t)fragment_terms(m) * MMA_FRAGMENT_WORDS, sizeof *w->fragments) : NULL;
    m->weights = w->view;
    m->fragments = w->fragments;
    m->buffers = take(d, n, sizeof *m->buffers);
    m->control = take(d, 1, sizeof *m->control);
    m->progress.ready = take(d, m->num_work ? n : 0, sizeof *m->progress.ready);
    m->progress.tensor_left = take(d, m->num_work ? n : 0, sizeof *m->progress.tensor_left);
    m->progress.span_left = take(d, m->num_work ? m->num_spans : 0, sizeof *m->progress.span_left);
    m->started = take(d, n, 1);
    m->state = take(d, tiles * gpu_tile_floats(dims, m->mixed), sizeof(float));
    m->theta = take(d, tiles * GPU_TILE, sizeof(float));
    m->move = take(d, tiles * GPU_TILE, sizeof(float));
    const int waits_here = dims.attention && !m->mixed && m->param_type != NUMBER_FP32;
    m->attend = waits_here ? take(d, tiles * GPU_TILE, sizeof(float)) : NULL;
    m->sums = take(d, m->num_chunks * (size_t)gpu_sums(dims), sizeof(float));
    m->span_sums = take(d, m->num_spans * (size_t)gpu_sums(dims), sizeof *m->span_sums);
    m->log_lr = take(d, n, sizeof *m->log_lr);
    m->u = take(d, n * padded(dims.tensor), sizeof(float));
    m->v = take(d, padded(dims.global), sizeof(float));
    m->bias_param = take(d, n * padded(3 * dims.param), sizeof(float));
    m->bias_tensor = take(d, padded(3 * dims.tensor), sizeof(float));
    m->inverse_rms = take(d, 2 * n, sizeof(float));
    m->guard = opt->common.guarded ? take(d, GUARD_STATE * n, sizeof(float)) : NULL;
    m->log_lr_max = take(d, n, sizeof(float));
    opt->staging = take(d, CUDA_STAGING, sizeof(float));
}

/* ---- Tables --------------------------------------------------------------------------------------------------------------- */

static uint64_t chunks_of(const size_t *counts, size_t num_tensors, uint32_t size) {
    uint64_t n = 0;
    for (size_t i = 0; i < num_tensors; i++) n += (counts[i] + size - 1) / size;
    return n;
}

/* From one chunk to the next a block waits 2 us, which larger chunks make rarer; but the blocks that come last are alone for longer. On an H200 models of 6
 * turns lost by it, and those of 29 gained. */
enum { LARGE_TURNS = 16 };

uint32_t cuda_chunk_size(const size_t *counts, size_t num_tensors) {
    const uint64_t at_once = 4 * 132; /* blocks: MMA_RESIDENT, SPLIT_RESIDENT */
    const uint32_t most = chunks_of(counts, num_tensors, GPU_CHUNK_MAX) < LARGE_TURNS * at_once ? GPU_CHUNK_MAX / 2 : GPU_CHUNK_MAX;
    const uint64_t turns = (chunks_of(counts, num_tensors, most) + at_once - 1) / at_once;
    uint32_t size = GPU_CHUNK_MIN;
    while (size < most && chunks_of(counts, num_tensors, size) > turns * at_once) size += GPU_BLOCK;
    return size;
}

/* Where the tensors begin, and how many chunks and spans there are; returns the tiles of all. */
static uint64_t tensor_table(const lopt_optimizer *o, uint32_t size, gpu_tensor *tensors, gpu_model *m) {
    uint64_t tiles = 0, chunks = 0, spans = 0, most = 0;
    for (size_t i = 0; i < o->num_tensors; i++) {
        const uint64_t n = (o->counts[i] + size - 1) / size, n_spans = (n + GPU_SPAN - 1) / GPU_SPAN;
        tensors[i] = (gpu_tensor){o->counts[i], tiles, chunks, chunks + n, spans, spans + n_spans};
        tiles += gpu_tiles(o->counts[i]);
        chunks += n;
        spans += n_spans;
        most = n > most ? n : most;
    }
    m->num_chunks = chunks;
    m->num_spans = most > GPU_SPAN ? spans : 0;
    m->num_work = dims_default_cell(m->dims) ? 2 * chunks : 0;
    m->piece = gpu_piece_chunks(size) * size;
    return tiles;
}

static lopt_status upload_spans(const cuda_optimizer *opt, const gpu_tensor *tensors, void *stream) {
    void *memory = NULL;
    LOPT_TRY(memory_alloc(opt->model.num_spans, sizeof(gpu_span), "an optimizer's spans", &memory));
    gpu_span *spans = memory;
    for (size_t i = 0; i < opt->common.num_tensors; i++)
        for (uint64_t k = tensors[i].span_at; k < tensors[i].span_end; k++) {
            const uint64_t at = tensors[i].chunk_at + (k - tensors[i].span_at) * GPU_SPAN;
            spans[k] = (gpu_span){at, tensors[i].chunk_end - at < GPU_SPAN ? tensors[i].chunk_end : at + GPU_SPAN};
        }
    const lopt_status status =
        opt->gpu->upload(opt->common.device, (void *)opt->model.spans, spans, opt->model.num_spans * sizeof *spans, stream);
    free(spans);
    return status;
}

static uint32_t at_most(uint64_t n, uint32_t most) { return n < most ? (uint32_t)n : most; }

gpu_chunk cuda_chunk_at(const gpu_tensor *tensors, uint32_t tensor, uint64_t k, uint32_t size) {
    const gpu_tensor *t = &tensors[tensor];
    const uint64_t first = (k - t->chunk_at) * size, place = (k - t->chunk_at) % GPU_BAND, band = first - place * size;
    gpu_chunk c = {.first = first, .tensor = tensor, .n = at_most(t->count - first, size), .band = band};
    c.band_n = at_most(t->count - band, GPU_BAND * size);
    c.place = (uint16_t)place;
    c.chunks = (uint16_t)at_most(t->chunk_end - (k - place), GPU_BAND);
    return c;
}

static lopt_status upload_chunks(const cuda_optimizer *opt, const gpu_tensor *tensors, void *stream) {
    void *memory = NULL;
    LOPT_TRY(memory_alloc(opt->model.num_chunks, sizeof(gpu_chunk), "an optimizer's chunks", &memory));
    gpu_chunk *chunks = memory;
    for (size_t i = 0; i < opt->common.num_tensors; i++)
        for (uint64_t k = tensors[i].chunk_at; k < tensors[i].chunk_end; k++)
            chunks[k] = cuda_chunk_at(tensors, (uint32_t)i, k, opt->chunk_size);
    const lopt_status status =
        opt->gpu->upload(opt->common.device, (void *)opt->model.chunks, chunks, opt->model.num_chunks * sizeof *chunks, stream);
    free(chunks);
    return status;
}

uint64_t cuda_work_order(const gpu_tensor *tensors, uint64_t num_chunks, uint32_t chunk_size, unsigned multiprocessors,
                         uint32_t *work) {
    const uint64_t lag = (uint64_t)GPU_WORK_LAG / chunk_size * multiprocessors, together = gpu_piece_chunks(chunk_size);
    uint64_t advanced = 0, applied = 0, n = 0;
    const gpu_tensor *tensor = tensors; /* of the next chunk for phase 2 */
    while (applied < num_chunks) {
        if (advanced < num_chunks) work[n++] = (uint32_t)advanced++;
        for (int k = 0; k < 2 && applied < num_chunks && (tensor->chunk_end + lag < advanced || advanced == num_chunks); k++) {
            const uint64_t left = tensor->chunk_end - applied;
            work[n++] = (uint32_t)applied | GPU_WORK_APPLY;
            applied += left < together ? left : together;
            if (applied == tensor->chunk_end) tensor++;
        }
    }
    return n;
}

static lopt_status upload_work(cuda_optimizer *opt, const gpu_tensor *tensors, void *stream) {
    void *work = NULL;
    LOPT_TRY(memory_alloc(opt->model.num_work, sizeof(uint32_t), "an optimizer's work", &work));
    const size_t n = cuda_work_order(tensors, opt->model.num_chunks, opt->chunk_size, opt->multiprocessors, work);
    opt->model.num_work = n;
    const lopt_status status = opt->gpu->upload(opt->common.device, (void *)opt->model.work, work, n * sizeof(uint32_t), stream);
    free(work);
    return status;
}

/* ---- Weights -------------------------------------------------------------------------------------------------------------- */

/* The same place in `to` as p has in `from`. NULL stays NULL. */
static const float *moved(const float *p, const float *from, const float *to) { return p ? to + (p - from) : NULL; }

static void move_cell(cell_weights *c, const float *from, const float *to) {
    const float **const parts[] = {&c->gate,        &c->candidate,   &c->update, &c->update_gradient,   &c->attention,
                                   &c->scale_decay, &c->input_decay, &c->rate,   &c->attention_gradient};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) *parts[i] = moved(*parts[i], from, to);
}

/* prepared_weights as the device sees them: every pointer goes to the copy of what it points to here. */
static gpu_weights device_view(const prepared_weights *w, const weights_place *place) {
    gpu_weights g = {.cell = w->cell};
    move_cell(&g.cell, w->flat, place->flat);
    for (int i = 0; i < DENSE_COUNT; i++) {
        g.dense[i] = w->dense[i];
        g.dense[i].w = moved(w->dense[i].w, w->storage, place->storage);
        g.dense[i].transposed = moved(w->dense[i].transposed, w->storage, place->storage);
    }
    g.param_bias = moved(w->param_bias, w->storage, place->storage);
    g.tensor_bias = moved(w->tensor_bias, w->storage, place->storage);
    g.global_bias = moved(w->global_bias, w->storage, place->storage);
    g.initial_h = moved(prepared_initial(w, W_PARAM_INITIAL_STATE), w->flat, place->flat);
    g.initial_u = moved(prepared_initial(w, W_TENSOR_INITIAL_STATE), w->flat, place->flat);
    g.initial_v = moved(prepared_initial(w, W_GLOBAL_INITIAL_STATE), w->flat, place->flat);
    return g;
}

static lopt_status upload_weights(const cuda_optimizer *opt, const prepared_weights *w, const weights_place *place, void *stream) {
    const gpu_weights view = device_view(w, place);
    const int device = opt->common.device;
    LOPT_TRY(opt->gpu->upload(device, place->flat, w->flat, w->layout.count * sizeof(float), stream));
    LOPT_TRY(opt->gpu->upload(device, place->storage, w->storage, prepared_storage(w) * sizeof(float), stream));
    if (place->fragments) {
        const int terms = fragment_terms(&opt->model);
        uint32_t fragments[2 * MMA_FRAGMENT_WORDS];
        mma_fragments_of(&w->cell, w->layout.dims.attention, terms, fragments);
        const size_t bytes = (size_t)terms * MMA_FRAGMENT_WORDS * sizeof *fragments;
        LOPT_TRY(opt->gpu->upload(device, place->fragments, fragments, bytes, stream));
    }
    return opt->gpu->upload(device, place->view, &view, sizeof view, stream);
}

/* ---- All of it ------------------------------------------------------------------------------------------------------------ */

static lopt_status plan(cuda_optimizer *opt, const prepared_weights *w, gpu_tensor *tensors, void *stream) {
    const lopt_optimizer *o = &opt->common;
    gpu_model *m = &opt->model;
    divider count = {NULL, 0};
    weights_place place;
    m->dims = o->layout.dims;
    m->mixed = o->mixed;
    m->param_type = o->param_type;
    m->grad_type = o->grad_type;
    m->zero_nonfinite = o->zero_nonfinite;
    m->num_tensors = o->num_tensors;
    opt->chunk_size = cuda_chunk_size(o->counts, o->num_tensors);
    const uint64_t tiles = tensor_table(o, opt->chunk_size, tensors, m);
    LOPT_CHECK(m->num_chunks < GPU_CHUNKS_MAX, LOPT_ERR_UNSUPPORTED, "more than 2 billion chunks of parameters on a GPU");
    divide(opt, &count, w->layout.count, prepared_storage(w), tiles, &place);
    LOPT_TRY(opt->gpu->allocate(o->device, count.used, stream, &opt->memory));
    opt->common.bytes += count.used;
    divider divided = {opt->memory, 0};
    divide(opt, &divided, w->layout.count, prepared_storage(w), tiles, &place);
    m->cell = (gpu_cell){MMA_DECAY_SCALE * w->cell.scale_decay_bias, MMA_DECAY_SCALE * w->cell.input_decay_bias, w->cell.momentum,
                         w->cell.step_offset};
    LOPT_TRY(opt->gpu->upload(o->device, (void *)m->tensors, tensors, o->num_tensors * sizeof *tensors, stream));
    LOPT_TRY(upload_chunks(opt, tensors, stream));
    if (m->num_spans) LOPT_TRY(upload_spans(opt, tensors, stream));
    if (m->num_work) LOPT_TRY(upload_work(opt, tensors, stream));
    return upload_weights(opt, w, &place, stream);
}

lopt_status cuda_plan(cuda_optimizer *opt, const lopt_weights *w, void *stream) {
    lopt_status status = LOPT_OK;
    prepared_weights *prepared = NULL;
    void *tensors = NULL;
    LOPT_TRY(prepared_create(&w->layout, w->data, &prepared));
    LOPT_TRY_CLEANUP(memory_alloc(opt->common.num_tensors, sizeof(gpu_tensor), "an optimizer's tensors", &tensors));
    LOPT_TRY_CLEANUP(plan(opt, prepared, tensors, stream));
cleanup:
    free(tensors);
    prepared_free(prepared);
    return status;
}
