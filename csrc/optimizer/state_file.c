/* State files (format lopt.state.v1): what an optimizer needs to go on with the same bits. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/plain_locale.h"
#include "base/status.h"
#include "csrc/io/safetensors.h"
#include "csrc/optimizer/optimizer.h"
#include "csrc/optimizer/state_check.h"
#include "kernels/cell/guard.h"

#define FORMAT "lopt.state.v1"

/* Tensors of the file: those of each parameter tensor, in the order of state_part, then global_state, then guard where it is on. theta.i
 * is the user's own buffer in files of other writers where there is no attention; attended.i is there only while swapped. */
enum { NAME_MAX_LENGTH = 48, TEXT_MAX = 320, METADATA = 7, PIECE = 1 << 16 };

typedef struct file_shape {
    lopt_optimizer *opt;
    int parts;          /* per parameter tensor: PARTS, PARTS - 1 or PARTS - 2 */
    size_t num_tensors; /* in the file */
    size_t global;      /* where the one of the whole model is */
    safetensors_tensor *tensors;
    char (*names)[NAME_MAX_LENGTH];
} file_shape;

static void describe(const lopt_optimizer *opt, size_t i, state_part part, char name[NAME_MAX_LENGTH], safetensors_tensor *out) {
    static const char *const names[PARTS] = {"hidden", "gradient_average", "mean_square", "log_lr", "tensor_state",
                                             "theta",  "attended"};
    const size_t n = opt->counts[i], P = (size_t)opt->layout.dims.param, S = (size_t)opt->layout.dims.scales;
    snprintf(name, NAME_MAX_LENGTH, "%s.%zu", names[part], i);
    *out = (safetensors_tensor){name, SAFETENSORS_F32, 1, {n}};
    if (part == PART_HIDDEN) out->rank = 2, out->shape[1] = P;
    if (part == PART_AVERAGE || part == PART_SQUARE) out->rank = 2, out->shape[0] = S, out->shape[1] = n;
    if (part == PART_TENSOR) out->shape[0] = (size_t)opt->layout.dims.tensor;
}

static void shape_free(file_shape *f) {
    free(f->tensors);
    free(f->names);
}

static lopt_status shape_make(lopt_optimizer *opt, int parts, int guard, file_shape *out) {
    const size_t global = opt->num_tensors * (size_t)parts;
    file_shape f = {opt, parts, global + (guard ? 2 : 1), global, NULL, NULL};
    void *memory = NULL;
    LOPT_TRY(memory_alloc(f.num_tensors, sizeof *f.tensors, "a state file", &memory));
    f.tensors = memory;
    lopt_status status = memory_alloc(f.num_tensors, NAME_MAX_LENGTH, "a state file", &memory);
    if (status != LOPT_OK) {
        shape_free(&f);
        return status;
    }
    f.names = memory;
    for (size_t k = 0; k < global; k++)
        describe(opt, k / (size_t)parts, (state_part)(k % (size_t)parts), f.names[k], &f.tensors[k]);
    f.tensors[global] = (safetensors_tensor){"global_state", SAFETENSORS_F32, 1, {(size_t)opt->layout.dims.global}};
    if (guard) f.tensors[global + 1] = (safetensors_tensor){"guard", SAFETENSORS_F32, 2, {opt->num_tensors, GUARD_STATE}};
    *out = f;
    return LOPT_OK;
}

/* Elements [first, first + count) of tensor `index` of the file. */
static state_piece piece_of(const file_shape *f, size_t index, size_t first, size_t count) {
    if (index >= f->global) return (state_piece){index == f->global ? PART_GLOBAL : PART_GUARD, 0, first, count};
    return (state_piece){(state_part)(index % (size_t)f->parts), index / (size_t)f->parts, first, count};
}

static lopt_status fill(void *self, size_t index, size_t first, size_t count, void *buffer) {
    const file_shape *f = self;
    const state_piece piece = piece_of(f, index, first, count);
    LOPT_TRY(f->opt->backend->read_piece(f->opt, &piece, buffer));
    return state_check(piece.part, f->tensors[index].name, buffer, count, LOPT_ERR_ARGUMENT); /* as no load would take it */
}

/* ---- Saving --------------------------------------------------------------------------------------------------------------- */

/* Tensors that have not taken part in a step yet, "3,7": their decays are still 0. */
static lopt_status resting_text(const lopt_optimizer *opt, const unsigned char *started, char **out) {
    size_t size = 1;
    void *memory = NULL;
    for (size_t i = 0; i < opt->num_tensors; i++) size += started[i] ? 0 : 22;
    LOPT_TRY(memory_alloc(size, 1, "a state file", &memory));
    char *text = memory, *at = text;
    for (size_t i = 0; i < opt->num_tensors; i++)
        if (!started[i]) at += sprintf(at, "%s%zu", at == text ? "" : ",", i);
    *out = text;
    return LOPT_OK;
}

lopt_status lopt_optimizer_save(lopt_optimizer *opt, const char *path) {
    static const char *const numbers[] = {"fp32", "bf16", "fp16"};
    lopt_status status = LOPT_OK;
    file_shape shape = {0};
    char step[24], skipped[24], seed[24], weights[24], options[TEXT_MAX], *resting = NULL;
    LOPT_CHECK(opt != NULL && path != NULL, LOPT_ERR_ARGUMENT, "lopt_optimizer_save: opt and path must not be NULL");
    LOPT_TRY(optimizer_check_health("lopt_optimizer_save", opt, STATE_WHOLE));
    const lopt_optimizer_options *o = &opt->options;
    optimizer_progress p = {0};
    void *memory = NULL;
    LOPT_TRY(memory_alloc(opt->num_tensors, 1, "a state file", &memory));
    p.started = memory;
    status = opt->backend->read_progress(opt, &p);
    LOPT_TRY_CLEANUP(status == LOPT_OK ? LOPT_OK : lopt_fail_prefix(status, "lopt_optimizer_save"));
    snprintf(step, sizeof step, "%" PRIu64, p.step);
    snprintf(skipped, sizeof skipped, "%" PRIu64, p.skipped);
    snprintf(seed, sizeof seed, "%" PRIu64, o->seed);
    snprintf(weights, sizeof weights, "%016" PRIx64, opt->weights_fingerprint);
    plain_print(
        options, sizeof options,
        "init_lr_min=%.17g,init_lr_max=%.17g,lr_scale=%.17g,weight_decay=%.17g,state_dtype=%s,param_dtype=%s,grad_dtype=%s,nonfinite=%s,guard=%s",
        o->init_lr_min, o->init_lr_max, o->lr_scale, o->weight_decay, opt->mixed ? "mixed" : "fp32", numbers[opt->param_type],
        numbers[opt->grad_type], opt->zero_nonfinite ? "zero" : "skip", opt->guarded ? "on" : "off");
    LOPT_TRY_CLEANUP(resting_text(opt, p.started, &resting));
    LOPT_TRY_CLEANUP(shape_make(opt, opt->swapped ? PARTS : PARTS - 1, opt->guarded, &shape));
    const safetensors_pair metadata[METADATA] = {{"format", FORMAT},  {"step", step},       {"skipped", skipped},
                                                 {"seed", seed},      {"options", options}, {"weights_checksum", weights},
                                                 {"resting", resting}};
    LOPT_TRY_CLEANUP(safetensors_write(path, metadata, METADATA, shape.tensors, shape.num_tensors, fill, &shape));
cleanup:
    shape_free(&shape);
    free(p.started);
    free(resting);
    return status;
}

/* ---- Loading -------------------------------------------------------------------------------------------------------------- */

/* Everything of a file that is not in its tensors, and where those are. */
typedef struct loaded {
    optimizer_progress progress;
    int swapped;
    const void **data; /* [shape.num_tensors] */
    float *buffer;     /* [PIECE] */
    file_shape shape;
} loaded;

/* Half of what the number can hold: neither ends nor looks like a failure thereafter. */
static lopt_status read_steps(const safetensors_file *f, const char *key, uint64_t *out) {
    LOPT_TRY(safetensors_metadata_u64(f, key, out));
    LOPT_CHECK(*out <= INT64_MAX, LOPT_ERR_FORMAT, "metadata %s = %" PRIu64 " is more than anything has taken", key, *out);
    return LOPT_OK;
}

static lopt_status read_started(const lopt_optimizer *opt, const safetensors_file *f, loaded *l) {
    void *memory = NULL;
    const char *at = safetensors_metadata(f, "resting");
    LOPT_TRY(memory_alloc(opt->num_tensors, 1, "a state", &memory));
    l->progress.started = memory;
    memset(l->progress.started, l->progress.step > 0, opt->num_tensors);
    while (at && *at) {
        char *end = NULL;
        unsigned long long i = *at >= '0' && *at <= '9' ? strtoull(at, &end, 10) : opt->num_tensors;
        LOPT_CHECK(i < opt->num_tensors && (*end == 0 || (*end == ',' && end[1] != 0)), LOPT_ERR_FORMAT,
                   "metadata resting is malformed");
        l->progress.started[i] = 0;
        at = *end ? end + 1 : end;
    }
    return LOPT_OK;
}

static lopt_status check_weights(const lopt_optimizer *opt, const safetensors_file *f) {
    char want[24];
    const char *format = safetensors_metadata(f, "format"), *have = safetensors_metadata(f, "weights_checksum");
    LOPT_CHECK(format && strcmp(format, FORMAT) == 0, LOPT_ERR_FORMAT, "its format is \"%.32s\", not " FORMAT,
               format ? format : "");
    snprintf(want, sizeof want, "%016" PRIx64, opt->weights_fingerprint);
    LOPT_CHECK(have == NULL || strcmp(have, want) == 0, LOPT_ERR_FORMAT,
               "it belongs to other weights (checksum %.16s, this optimizer has %s): create the optimizer from those", have, want);
    return LOPT_OK;
}

/* Finds every tensor; the number of them in the file says that there are no others. */
static lopt_status find_tensors(lopt_optimizer *opt, const safetensors_file *f, loaded *l) {
    void *memory = NULL;
    l->swapped = safetensors_has(f, "attended.0");
    const int theta = opt->layout.dims.attention || l->swapped || safetensors_has(f, "theta.0");
    const int guard = safetensors_has(f, "guard");
    LOPT_TRY(shape_make(opt, PARTS - 2 + theta + l->swapped, guard && opt->guarded, &l->shape));
    LOPT_TRY(memory_alloc(l->shape.num_tensors, sizeof *l->data, "a state", &memory));
    l->data = memory;
    for (size_t k = 0; k < l->shape.num_tensors; k++) LOPT_TRY(safetensors_data(f, &l->shape.tensors[k], &l->data[k]));
    const size_t ignored = guard && !opt->guarded;
    LOPT_CHECK(safetensors_num_tensors(f) == l->shape.num_tensors + ignored, LOPT_ERR_FORMAT,
               "it has %zu tensors where this optimizer (%zu parameter tensors) has %zu", safetensors_num_tensors(f),
               opt->num_tensors, l->shape.num_tensors + ignored);
    return memory_floats(PIECE, "a state", &l->buffer);
}

/* A state without one: the guard was off, and begins anew. */
static lopt_status reset_guard(lopt_optimizer *opt) {
    const float zero[GUARD_STATE] = {0};
    for (size_t i = 0; i < opt->num_tensors; i++) {
        const state_piece piece = {PART_GUARD, 0, GUARD_STATE * i, GUARD_STATE};
        LOPT_TRY(opt->backend->write_piece(opt, &piece, zero));
    }
    return LOPT_OK;
}

typedef lopt_status (*piece_visitor)(lopt_optimizer *opt, const char *tensor, const state_piece *piece, const float *values);

static lopt_status visit_pieces(lopt_optimizer *opt, loaded *l, piece_visitor visit) {
    for (size_t k = 0; k < l->shape.num_tensors; k++)
        for (size_t at = 0, n = safetensors_count(&l->shape.tensors[k]); at < n; at += PIECE) {
            const state_piece piece = piece_of(&l->shape, k, at, n - at < PIECE ? n - at : PIECE);
            memcpy(l->buffer, (const char *)l->data[k] + at * sizeof(float), piece.count * sizeof(float)); /* it may be unaligned */
            LOPT_TRY(visit(opt, l->shape.tensors[k].name, &piece, l->buffer));
        }
    return LOPT_OK;
}

static lopt_status check_piece(lopt_optimizer *opt, const char *tensor, const state_piece *piece, const float *values) {
    (void)opt;
    return state_check(piece->part, tensor, values, piece->count, LOPT_ERR_FORMAT);
}

static lopt_status write_piece(lopt_optimizer *opt, const char *tensor, const state_piece *piece, const float *values) {
    (void)tensor;
    return opt->backend->write_piece(opt, piece, values);
}

/* What fails amid it leaves neither state whole, as the backend then says (health). */
static lopt_status take(lopt_optimizer *opt, loaded *l) {
    if (l->swapped) LOPT_TRY(opt->backend->hold_attended(opt, 1));
    l->progress.swapped = l->swapped;
    LOPT_TRY(opt->backend->write_progress(opt, &l->progress));
    opt->swapped = l->swapped;
    LOPT_TRY(visit_pieces(opt, l, write_piece));
    if (opt->guarded && l->shape.num_tensors == l->shape.global + 1) LOPT_TRY(reset_guard(opt));
    if (!l->swapped) LOPT_TRY(opt->backend->hold_attended(opt, 0));
    LOPT_TRY(opt->backend->loaded(opt));
    opt->health = STATE_WHOLE;
    return LOPT_OK;
}

lopt_status lopt_optimizer_load(lopt_optimizer *opt, const char *path) {
    lopt_status status = LOPT_OK;
    safetensors_file *f = NULL;
    loaded l = {0};
    LOPT_CHECK(opt != NULL && path != NULL, LOPT_ERR_ARGUMENT, "lopt_optimizer_load: opt and path must not be NULL");
    LOPT_TRY(safetensors_open(path, &f));
    LOPT_TRY_CLEANUP(check_weights(opt, f));
    LOPT_TRY_CLEANUP(read_steps(f, "step", &l.progress.step));
    LOPT_TRY_CLEANUP(read_steps(f, "skipped", &l.progress.skipped));
    LOPT_TRY_CLEANUP(read_started(opt, f, &l));
    LOPT_TRY_CLEANUP(find_tensors(opt, f, &l));
    LOPT_TRY_CLEANUP(visit_pieces(opt, &l, check_piece)); /* all of them, before the first is taken */
    LOPT_TRY_CLEANUP(take(opt, &l));
cleanup:
    shape_free(&l.shape);
    free(l.data);
    free(l.progress.started);
    free(l.buffer);
    safetensors_close(f);
    return status == LOPT_OK ? LOPT_OK : lopt_fail_prefix(status, "%s", path);
}
