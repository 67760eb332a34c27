#include "csrc/train/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/comm/agree.h"
#include "csrc/io/safetensors.h"
#include "csrc/train/parcel.h"

#define FORMAT "lopt.train.v2"

enum { TENSOR_META, TENSOR_PARTICLES, TENSOR_EPISODES, TENSOR_AVERAGE, TENSORS };

/* The particles of all ranks, on their way to or from rank 0. */
typedef struct content {
    trainer *t;
    parcel *parcels;   /* [num_particles] */
    size_t *begin;     /* [num_particles + 1] where each one's floats stand among those of all; rank 0 only */
    int *root;         /* [num_particles] 0: the rank that has the file */
    float *own, *came; /* this rank's episodes; those of others */
    double loss_average;
} content;

static void content_free(content *c) {
    free(c->parcels);
    free(c->begin);
    free(c->root);
    free(c->own);
    free(c->came);
}

static lopt_status content_create(trainer *t, content *c) {
    void *memory = NULL;
    *c = (content){.t = t, .loss_average = t->meta_loss_average};
    LOPT_TRY(memory_alloc(t->num_particles, sizeof(parcel), "a checkpoint", &memory));
    c->parcels = memory;
    LOPT_TRY(memory_alloc(t->num_particles + 1, sizeof(size_t), "a checkpoint", &memory));
    c->begin = memory;
    LOPT_TRY(memory_alloc(t->num_particles, sizeof(int), "a checkpoint", &memory));
    c->root = memory;
    return LOPT_OK;
}

static void find_begins(content *c) {
    for (size_t p = 0; p < c->t->num_particles; p++) c->begin[p + 1] = c->begin[p] + c->parcels[p].floats;
}

static void describe(const trainer *t, size_t episodes_floats, safetensors_tensor out[TENSORS]) {
    out[TENSOR_META] = (safetensors_tensor){"meta", SAFETENSORS_F32, 2, {4, t->layout.count}};
    out[TENSOR_PARTICLES] = (safetensors_tensor){"particles", SAFETENSORS_U64, 2, {t->num_particles, PARCEL_NUMBERS}};
    out[TENSOR_EPISODES] = (safetensors_tensor){"episodes", SAFETENSORS_F32, 1, {episodes_floats}};
    out[TENSOR_AVERAGE] = (safetensors_tensor){"meta_loss_average", SAFETENSORS_F64, 1, {1}};
}

/* ---- Saving ----------------------------------------------------------------------------------------------------------------- */

static void fill_rows(const content *c, size_t first, size_t count, uint64_t *out) {
    for (size_t i = first; i < first + count; i++) *out++ = c->parcels[i / PARCEL_NUMBERS].row[i % PARCEL_NUMBERS];
}

/* Floats [first, first + count) of all episodes, one after the other in the order of the particles. */
static void fill_episodes(const content *c, size_t first, size_t count, float *out) {
    size_t low = 0, high = c->t->num_particles;
    while (low < high) { /* the first particle that ends beyond `first` */
        const size_t middle = (low + high) / 2;
        if (c->begin[middle + 1] > first) high = middle;
        else low = middle + 1;
    }
    for (size_t p = low, at = first; at < first + count; p++) {
        const size_t end = c->begin[p + 1] < first + count ? c->begin[p + 1] : first + count;
        if (end > at) memcpy(out + (at - first), c->parcels[p].values + (at - c->begin[p]), (end - at) * sizeof(float));
        at = end;
    }
}

static lopt_status fill(void *self, size_t index, size_t first, size_t count, void *buffer) {
    const content *c = self;
    if (index == TENSOR_META) memcpy(buffer, c->t->meta.storage + first, count * sizeof(float));
    if (index == TENSOR_PARTICLES) fill_rows(c, first, count, buffer);
    if (index == TENSOR_EPISODES) fill_episodes(c, first, count, buffer);
    if (index == TENSOR_AVERAGE) memcpy(buffer, &c->loss_average, sizeof(double));
    return LOPT_OK;
}

static lopt_status write_file(content *c, const char *path) {
    const trainer *t = c->t;
    safetensors_tensor tensors[TENSORS];
    char iteration[24], inner_steps[24];
    snprintf(iteration, sizeof iteration, "%" PRIu64, t->iteration);
    snprintf(inner_steps, sizeof inner_steps, "%" PRIu64, t->inner_steps);
    const safetensors_pair metadata[] = {{"format", FORMAT}, {"iteration", iteration}, {"inner_steps", inner_steps}};
    find_begins(c);
    describe(t, c->begin[t->num_particles], tensors);
    return safetensors_write(path, metadata, sizeof metadata / sizeof metadata[0], tensors, TENSORS, fill, c);
}

/* This rank's own particles. */
static lopt_status pack(content *c) {
    const trainer *t = c->t;
    size_t floats = 0;
    for (size_t i = 0; i < shards_held(&t->shards, t->shards.rank); i++) floats += parcel_floats(&t->particles[t->shards.mine[i]]);
    LOPT_TRY(memory_scratch(floats + 1, "a checkpoint", &c->own));
    float *at = c->own;
    for (size_t i = 0; i < shards_held(&t->shards, t->shards.rank); i++) {
        const size_t p = t->shards.mine[i];
        c->parcels[p] = parcel_of(&t->particles[p], at);
        at += c->parcels[p].floats;
    }
    return LOPT_OK;
}

lopt_status checkpoint_save(trainer *t, const char *path) {
    lopt_comm *comm = t->shards.comm;
    content c;
    lopt_status status = content_create(t, &c);
    if (status == LOPT_OK) status = pack(&c);
    LOPT_TRY_CLEANUP(comm_agree(comm, status));
    LOPT_TRY_CLEANUP(parcels_announce(comm, t->num_particles, t->shards.owner, c.root, c.parcels));
    LOPT_TRY_CLEANUP(parcels_carry(comm, t->num_particles, t->shards.owner, c.root, c.parcels, &c.came));
    status = comm_agree(comm, t->shards.rank == 0 ? write_file(&c, path) : LOPT_OK);
cleanup:
    content_free(&c);
    return status;
}

/* ---- Loading ---------------------------------------------------------------------------------------------------------------- */

/* Tensor data may be unaligned in the file. */
static lopt_status read_tensor(const safetensors_file *f, const safetensors_tensor *expected, size_t size, void *out) {
    const void *data = NULL;
    LOPT_TRY(safetensors_data(f, expected, &data));
    memcpy(out, data, safetensors_count(expected) * size);
    return LOPT_OK;
}

/* What every rank needs: counters, weights, rows. */
static lopt_status read_common(const safetensors_file *f, content *c) {
    trainer *t = c->t;
    safetensors_tensor tensors[TENSORS];
    const void *rows = NULL;
    const char *format = safetensors_metadata(f, "format");
    LOPT_CHECK(format && strcmp(format, FORMAT) == 0, LOPT_ERR_FORMAT, "not a checkpoint of a training (format %s)", FORMAT);
    LOPT_TRY(safetensors_metadata_u64(f, "iteration", &t->iteration));
    LOPT_TRY(safetensors_metadata_u64(f, "inner_steps", &t->inner_steps));
    describe(t, 0, tensors);
    LOPT_TRY(safetensors_data(f, &tensors[TENSOR_PARTICLES], &rows));
    for (size_t p = 0; p < t->num_particles; p++)
        memcpy(c->parcels[p].row, (const char *)rows + p * sizeof c->parcels[p].row, sizeof c->parcels[p].row);
    LOPT_TRY(read_tensor(f, &tensors[TENSOR_META], sizeof(float), t->meta.storage));
    return read_tensor(f, &tensors[TENSOR_AVERAGE], sizeof(double), &t->meta_loss_average);
}

static lopt_status share_common(content *c) {
    trainer *t = c->t;
    uint64_t numbers[3] = {t->iteration, t->inner_steps, 0};
    memcpy(&numbers[2], &t->meta_loss_average, sizeof(double));
    LOPT_TRY(lopt_comm_broadcast(t->shards.comm, numbers, sizeof numbers, 0));
    t->iteration = numbers[0];
    t->inner_steps = numbers[1];
    memcpy(&t->meta_loss_average, &numbers[2], sizeof(double));
    LOPT_TRY(lopt_comm_broadcast(t->shards.comm, t->meta.storage, 4 * t->layout.count * sizeof(float), 0));
    return lopt_comm_broadcast(t->shards.comm, c->parcels, t->num_particles * sizeof(parcel), 0);
}

/* Tasks and episodes of this rank's particles; of the others the number of the run is enough, and whether it has begun. */
static lopt_status prepare(content *c) {
    trainer *t = c->t;
    for (size_t p = 0; p < t->num_particles; p++) {
        t->particles[p].restart = c->parcels[p].row[PARCEL_RESTART];
        t->reports[p].restarted = c->parcels[p].row[PARCEL_LEFT] == 0;
    }
    for (size_t i = 0; i < shards_held(&t->shards, t->shards.rank); i++) {
        const size_t p = t->shards.mine[i];
        LOPT_TRY(parcel_prepare(t->config, &t->tasks, &t->layout, &c->parcels[p], &t->particles[p]));
        c->parcels[p].floats = parcel_floats(&t->particles[p]);
    }
    return LOPT_OK;
}

/* The episodes, once their owners have said how long they must be. */
static lopt_status read_episodes(const safetensors_file *f, content *c) {
    const trainer *t = c->t;
    safetensors_tensor tensors[TENSORS];
    find_begins(c);
    describe(t, c->begin[t->num_particles], tensors);
    LOPT_TRY(memory_scratch(c->begin[t->num_particles] + 1, "a checkpoint", &c->own));
    LOPT_TRY(read_tensor(f, &tensors[TENSOR_EPISODES], sizeof(float), c->own));
    for (size_t p = 0; p < t->num_particles; p++) c->parcels[p].values = c->own + c->begin[p];
    return LOPT_OK;
}

static lopt_status distribute(content *c, const safetensors_file *f) {
    trainer *t = c->t;
    lopt_comm *comm = t->shards.comm;
    const int first = t->shards.rank == 0;
    LOPT_TRY(comm_agree(comm, first ? read_common(f, c) : LOPT_OK));
    LOPT_TRY(share_common(c));
    LOPT_TRY(comm_agree(comm, prepare(c)));
    LOPT_TRY(parcels_announce(comm, t->num_particles, t->shards.owner, c->root, c->parcels));
    LOPT_TRY(comm_agree(comm, first ? read_episodes(f, c) : LOPT_OK));
    LOPT_TRY(parcels_carry(comm, t->num_particles, c->root, t->shards.owner, c->parcels, &c->came));
    for (size_t i = 0; i < shards_held(&t->shards, t->shards.rank); i++) {
        const size_t p = t->shards.mine[i];
        parcel_unpack(&c->parcels[p], &t->particles[p]);
    }
    trainer_set_weights(t);
    return LOPT_OK;
}

lopt_status checkpoint_load(trainer *t, const char *path) {
    safetensors_file *f = NULL;
    content c;
    lopt_status status = content_create(t, &c);
    if (status == LOPT_OK && t->shards.rank == 0) status = safetensors_open(path, &f);
    status = comm_agree(t->shards.comm, status);
    if (status == LOPT_OK) status = distribute(&c, f);
    if (status != LOPT_OK && f) lopt_fail_prefix(status, "%s", path); /* the reader names it itself where it cannot open it */
    content_free(&c);
    safetensors_close(f);
    return status;
}
