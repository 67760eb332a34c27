/* Next-character tasks on a novel: windows of 33 characters, of which 32 are read and the last 32 are to be foretold. 512 windows, evenly
 * spread over the first nine tenths of the text, are the whole data, and minibatches are 16 of them; the last tenth is cut into 448
 * windows to test. Loss: cross-entropy of a character, mean over windows and positions. */
#ifndef LOPT_TASKS_FAMILIES_TEXT_WINDOWS_H
#define LOPT_TASKS_FAMILIES_TEXT_WINDOWS_H

#include <string.h>

#include "tasks/data/text.h"
#include "tasks/families/batch.h"
#include "tasks/families/row_products.h"

enum {
    TEXT_STEPS = 32,
    TEXT_WINDOW = TEXT_STEPS + 1,
    TEXT_TRAIN_WINDOWS = 512,
    TEXT_TEST_WINDOWS = 448,
    TEXT_TRAIN_BYTES = TEXT_BYTES / 10 * 9,
    TEXT_TRAIN_STRIDE = TEXT_TRAIN_BYTES / TEXT_TRAIN_WINDOWS,
    TEXT_TEST_STRIDE = TEXT_STEPS, /* side by side: the last character of a window is the first of the next */
    TEXT_DATA_FLOATS = (TEXT_TRAIN_WINDOWS + TEXT_TEST_WINDOWS) * TEXT_WINDOW
};

#define TEXT_FORMULA \
    "cross-entropy of the next of 64 symbols, mean over 512 windows x 32 positions of Pride and Prejudice, batch 16 windows"

CELL_FN void text_window(size_t first, float *window) {
    for (size_t i = 0; i < TEXT_WINDOW; i++) window[i] = (float)(strchr(TEXT_ALPHABET, text_bytes[first + i]) - TEXT_ALPHABET);
}
/* data [window][33]: numbers of symbols; the windows to train on, then those to test. */
static void text_make(task_instance *t) {
    float *window = t->data;
    for (size_t w = 0; w < TEXT_TRAIN_WINDOWS; w++, window += TEXT_WINDOW) text_window(w * TEXT_TRAIN_STRIDE, window);
    for (size_t w = 0; w < TEXT_TEST_WINDOWS; w++, window += TEXT_WINDOW)
        text_window(TEXT_TRAIN_BYTES + w * TEXT_TEST_STRIDE, window);
}

/* 16 windows side by side. */
typedef struct text_batch {
    int symbol[TEXT_WINDOW][ROW_LANES];
    float weight; /* of a position in the mean */
} text_batch;

/* Places [first, first + 16) of the minibatch's order, or these windows themselves (order NULL). */
CELL_FN void text_load(const task_instance *t, const batch_order *order, size_t first, size_t windows, text_batch *b) {
    b->weight = 1.0f / (float)(windows * TEXT_STEPS);
    for (size_t s = 0; s < ROW_LANES; s++) {
        const size_t w = order ? batch_row(order, (uint32_t)s) : first + s;
        for (size_t i = 0; i < TEXT_WINDOW; i++) b->symbol[i][s] = (int)t->data[w * TEXT_WINDOW + i];
    }
}

/* x[t] = table[symbol at t], table [64][width]. */
CELL_FN void text_embed(const text_batch *b, size_t width, const float *table, row_block x) {
    TEAM_FOR(u, width)
    for (size_t i = 0; i < TEXT_STEPS; i++)
        for (size_t s = 0; s < ROW_LANES; s++) x.at[i * x.stride + u * ROW_LANES + s] = table[(size_t)b->symbol[i][s] * width + u];
    team_sync();
}
/* grad[symbol at t] += x_adj[t]. */
CELL_FN void text_embed_backward(const text_batch *b, size_t width, row_block x_adj, float *grad) {
    TEAM_FOR(u, width)
    for (size_t i = 0; i < TEXT_STEPS; i++)
        for (size_t s = 0; s < ROW_LANES; s++)
            grad[(size_t)b->symbol[i][s] * width + u] += x_adj.at[i * x_adj.stride + u * ROW_LANES + s];
    team_sync();
}

/* What a model does with 16 windows: the loss, with grad added to unless NULL; the product, added to out; the probabilities of all symbols. */
typedef struct text_model {
    double (*loss_grad)(const text_batch *b, const float *params, float *grad, float *workspace);
    void (*hvp)(const text_batch *b, const float *params, const float *v, float *out, float *workspace);
    row_block (*probabilities)(const text_batch *b, const float *params, float *workspace);
} text_model;

CELL_FN double text_loss_grad(text_model m, const task_instance *t, const task_draw *draw, const float *params, float *grad,
                              float *workspace) {
    text_batch b;
    double loss = 0.0;
    if (grad) memset(grad, 0, t->total * sizeof(float));
    if (draw) {
        const batch_order order = batch_begin(draw, TEXT_TRAIN_WINDOWS, ROW_LANES);
        text_load(t, &order, 0, ROW_LANES, &b);
        return m.loss_grad(&b, params, grad, workspace);
    }
    for (size_t first = 0; first < TEXT_TRAIN_WINDOWS; first += ROW_LANES) {
        text_load(t, NULL, first, TEXT_TRAIN_WINDOWS, &b);
        loss += m.loss_grad(&b, params, grad, workspace);
    }
    return loss;
}

CELL_FN void text_hvp(text_model m, const task_instance *t, const task_draw *draw, const float *params, const float *v, float *out,
                      float *workspace) {
    text_batch b;
    const size_t windows = draw ? ROW_LANES : TEXT_TRAIN_WINDOWS;
    batch_order order;
    if (draw) order = batch_begin(draw, TEXT_TRAIN_WINDOWS, ROW_LANES);
    memset(out, 0, t->total * sizeof(float));
    for (size_t first = 0; first < windows; first += ROW_LANES) {
        text_load(t, draw ? &order : NULL, first, windows, &b);
        m.hvp(&b, params, v, out, workspace);
    }
}

/* Share of test characters that have the largest probability. */
CELL_FN double text_accuracy(text_model m, const task_instance *t, const float *params, float *workspace) {
    text_batch b;
    size_t right = 0;
    for (size_t first = 0; first < TEXT_TEST_WINDOWS; first += ROW_LANES) {
        text_load(t, NULL, TEXT_TRAIN_WINDOWS + first, TEXT_TEST_WINDOWS, &b);
        const row_block p = m.probabilities(&b, params, workspace);
        for (size_t i = 0; i < TEXT_STEPS; i++)
            for (size_t s = 0; s < ROW_LANES; s++) {
                const float *of = p.at + i * p.stride + s;
                int best = 0;
                for (int o = 1; o < TEXT_SYMBOLS; o++)
                    if (of[o * ROW_LANES] > of[best * ROW_LANES]) best = o;
                right += best == b.symbol[i + 1][s];
            }
    }
    return (double)right / (double)(TEXT_TEST_WINDOWS * TEXT_STEPS);
}

/* Starting parameters: tensor i is N(0, 1) / sqrt(inputs[i]), or all 0 where inputs[i] is 0. */
CELL_FN void text_start(const task_instance *t, uint64_t seed, const size_t *inputs, float *params) {
    for (size_t i = 0; i < t->num_tensors; i++) {
        const float scale = inputs[i] ? 1.0f / sqrtf((float)inputs[i]) : 0.0f;
        random_normals(seed, RANDOM_TASK_START, (uint32_t)i, 0, t->counts[i], params);
        for (size_t j = 0; j < t->counts[i]; j++) params[j] *= scale;
        params += t->counts[i];
    }
}

/* Defines the family `name` around the static functions plan, start, batch_loss_grad, batch_hvp and probabilities of its file. */
#define TEXT_FAMILY(name, summary_)                                                                                              \
    static const text_model model = {batch_loss_grad, batch_hvp, probabilities};                                                 \
    static double loss_grad(const task_instance *t, const task_draw *draw, const float *params, float *grad, float *workspace) { \
        return text_loss_grad(model, t, draw, params, grad, workspace);                                                          \
    }                                                                                                                            \
    static void hvp(const task_instance *t, const task_draw *draw, const float *params, const float *v, float *out,              \
                    float *workspace) {                                                                                          \
        text_hvp(model, t, draw, params, v, out, workspace);                                                                     \
    }                                                                                                                            \
    static double accuracy(const task_instance *t, const float *params, float *workspace) {                                      \
        return text_accuracy(model, t, params, workspace);                                                                       \
    }                                                                                                                            \
    static const lopt_task_key keys[] = {TASK_TRANSFORM_KEYS};                                                                   \
    static const char *const instances[] = {#name};                                                                              \
    const task_family ISA_SYMBOL(name##_family) = {{#name, summary_, TEXT_FORMULA, TRANSFORM_KEYS, keys, 1, instances, 1, 1},    \
                                                   1,                                                                            \
                                                   plan,                                                                         \
                                                   text_make,                                                                    \
                                                   start,                                                                        \
                                                   loss_grad,                                                                    \
                                                   hvp,                                                                          \
                                                   accuracy};

#endif
