#include "csrc/train/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/io/safetensors.h"

#define FORMAT "lopt.train.v2"

/* Numbers of one particle, a row of the tensor "particles"; all from the third on are 0 between episodes. */
enum { ROW_RESTART, ROW_LEFT, ROW_SEED, ROW_STEP, ROW_START_LOSS, ROW_WINDOW, ROW_NUMBERS };
enum { TENSOR_META, TENSOR_PARTICLES, TENSOR_EPISODES, TENSOR_AVERAGE, TENSORS };

/* episodes: what all episodes under way hold (runs, accumulators), one after the other in the order of the particles. */
typedef struct content {
    const float *meta;   /* weights, average, moment, square */
    uint64_t *particles; /* [num_particles][ROW_NUMBERS] */
    float *episodes;     /* [episodes_floats] */
    size_t episodes_floats;
    double loss_average;
} content;

static void describe(const trainer *t, size_t episodes_floats, safetensors_tensor out[TENSORS]) {
    out[TENSOR_META] = (safetensors_tensor){"meta", SAFETENSORS_F32, 2, {4, t->layout.count}};
    out[TENSOR_PARTICLES] = (safetensors_tensor){"particles", SAFETENSORS_U64, 2, {t->num_particles, ROW_NUMBERS}};
    out[TENSOR_EPISODES] = (safetensors_tensor){"episodes", SAFETENSORS_F32, 1, {episodes_floats}};
    out[TENSOR_AVERAGE] = (safetensors_tensor){"meta_loss_average", SAFETENSORS_F64, 1, {1}};
}

static lopt_status fill(void *self, size_t index, size_t first, size_t count, void *buffer) {
    const content *c = self;
    if (index == TENSOR_META) memcpy(buffer, c->meta + first, count * sizeof(float));
    if (index == TENSOR_PARTICLES) memcpy(buffer, c->particles + first, count * sizeof(uint64_t));
    if (index == TENSOR_EPISODES) memcpy(buffer, c->episodes + first, count * sizeof(float));
    if (index == TENSOR_AVERAGE) memcpy(buffer, &c->loss_average, sizeof(double));
    return LOPT_OK;
}

static size_t all_episodes_floats(const trainer *t) {
    size_t floats = 0;
    for (size_t p = 0; p < t->num_particles; p++)
        if (t->particles[p].episode) floats += episode_floats(t->particles[p].episode);
    return floats;
}

static lopt_status gather(const trainer *t, content *c) {
    void *memory = NULL;
    c->episodes_floats = all_episodes_floats(t);
    LOPT_TRY(memory_alloc(t->num_particles * ROW_NUMBERS, sizeof(uint64_t), "a checkpoint", &memory));
    c->particles = memory;
    LOPT_TRY(memory_floats(c->episodes_floats, "a checkpoint", &c->episodes));
    float *at = c->episodes;
    for (size_t i = 0; i < t->num_particles; i++) {
        const particle *p = &t->particles[i];
        uint64_t *row = c->particles + i * ROW_NUMBERS;
        row[ROW_RESTART] = p->restart;
        row[ROW_LEFT] = p->left;
        if (p->episode == NULL) continue;
        const unroll_position position = episode_position(p->episode);
        row[ROW_SEED] = position.seed;
        row[ROW_STEP] = position.step;
        memcpy(&row[ROW_START_LOSS], &position.start_loss, sizeof(double));
        row[ROW_WINDOW] = p->episode->window;
        episode_export(p->episode, at);
        at += episode_floats(p->episode);
    }
    return LOPT_OK;
}

lopt_status checkpoint_save(const trainer *t, const char *path) {
    lopt_status status = LOPT_OK;
    content c = {t->meta.storage, NULL, NULL, 0, t->meta_loss_average};
    safetensors_tensor tensors[TENSORS];
    char iteration[24], inner_steps[24];
    snprintf(iteration, sizeof iteration, "%" PRIu64, t->iteration);
    snprintf(inner_steps, sizeof inner_steps, "%" PRIu64, t->inner_steps);
    const safetensors_pair metadata[] = {{"format", FORMAT}, {"iteration", iteration}, {"inner_steps", inner_steps}};
    LOPT_TRY_CLEANUP(gather(t, &c));
    describe(t, c.episodes_floats, tensors);
    LOPT_TRY_CLEANUP(safetensors_write(path, metadata, sizeof metadata / sizeof metadata[0], tensors, TENSORS, fill, &c));
cleanup:
    free(c.particles);
    free(c.episodes);
    return status;
}

static lopt_status load_particles(trainer *t, const uint64_t *rows) {
    for (size_t i = 0; i < t->num_particles; i++) {
        particle *p = &t->particles[i];
        const uint64_t *row = rows + i * ROW_NUMBERS;
        p->restart = row[ROW_RESTART];
        if (row[ROW_LEFT] == 0) continue;
        LOPT_TRY(particle_prepare(t->config, &t->tasks, &t->layout, p));
        LOPT_CHECK(row[ROW_LEFT] <= p->left, LOPT_ERR_FORMAT, "tensor particles: particle %zu has more left than its run is long", i);
        p->left = row[ROW_LEFT];
    }
    return LOPT_OK;
}

static void load_episodes(trainer *t, const uint64_t *rows, const float *values) {
    for (size_t i = 0; i < t->num_particles; i++) {
        const uint64_t *row = rows + i * ROW_NUMBERS;
        episode *e = t->particles[i].episode;
        if (e == NULL) continue;
        unroll_position position = {row[ROW_SEED], row[ROW_STEP], 0.0};
        memcpy(&position.start_loss, &row[ROW_START_LOSS], sizeof(double));
        episode_import(e, position, row[ROW_WINDOW], values);
        values += episode_floats(e);
    }
}

/* Tensor data may be unaligned in the file: a copy, malloc'ed. */
static lopt_status copy_tensor(const safetensors_file *f, const safetensors_tensor *expected, size_t size, void **out) {
    const void *data = NULL;
    LOPT_TRY(safetensors_data(f, expected, &data));
    LOPT_TRY(memory_alloc(safetensors_count(expected), size, "a checkpoint", out));
    memcpy(*out, data, safetensors_count(expected) * size);
    return LOPT_OK;
}

static lopt_status load(trainer *t, const safetensors_file *f, void **rows, void **episodes) {
    safetensors_tensor tensors[TENSORS];
    const void *data = NULL;
    const char *format = safetensors_metadata(f, "format");
    LOPT_CHECK(format && strcmp(format, FORMAT) == 0, LOPT_ERR_FORMAT, "not a checkpoint of a training (format %s)", FORMAT);
    LOPT_TRY(safetensors_metadata_u64(f, "iteration", &t->iteration));
    LOPT_TRY(safetensors_metadata_u64(f, "inner_steps", &t->inner_steps));
    describe(t, 0, tensors);
    LOPT_TRY(copy_tensor(f, &tensors[TENSOR_PARTICLES], sizeof(uint64_t), rows));
    LOPT_TRY(load_particles(t, *rows));
    describe(t, all_episodes_floats(t), tensors);
    LOPT_TRY(copy_tensor(f, &tensors[TENSOR_EPISODES], sizeof(float), episodes));
    LOPT_TRY(safetensors_data(f, &tensors[TENSOR_META], &data));
    memcpy(t->meta.storage, data, 4 * t->layout.count * sizeof(float));
    LOPT_TRY(safetensors_data(f, &tensors[TENSOR_AVERAGE], &data));
    memcpy(&t->meta_loss_average, data, sizeof(double));
    load_episodes(t, *rows, *episodes);
    prepared_set(t->prepared, t->meta.weights);
    return LOPT_OK;
}

lopt_status checkpoint_load(trainer *t, const char *path) {
    safetensors_file *f = NULL;
    void *rows = NULL, *episodes = NULL;
    LOPT_TRY(safetensors_open(path, &f));
    lopt_status status = load(t, f, &rows, &episodes);
    free(rows);
    free(episodes);
    safetensors_close(f);
    return status == LOPT_OK ? LOPT_OK : lopt_fail_prefix(status, "%s", path);
}
