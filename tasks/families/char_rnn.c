/* char_rnn: the next character of a novel, foretold by embedding 16, 32 gated recurrent units, dense layer to 64 symbols. Held out: never
 * meta-trained on. Tensors: embedding [64, 16]; gate kernel [48, 64] and bias, candidate kernel [48, 32] and bias (rows x then h, columns
 * reset then update); output layer [32, 64] and bias. */
#include "tasks/families/gru_rows_v.h"
#include "tasks/families/text_head.h"

enum { EMBED = 16, HIDDEN = 32 };
enum {
    AT_GRU = TEXT_SYMBOLS * EMBED,
    AT_HEAD = AT_GRU + (EMBED + HIDDEN) * 3 * HIDDEN + 3 * HIDDEN,
    TOTAL = AT_HEAD + (HIDDEN + 1) * TEXT_SYMBOLS
};

static const gru_shape shape = {TEXT_STEPS, EMBED, HIDDEN};
static const row_layer head = {TEXT_STEPS, HIDDEN, TEXT_SYMBOLS};

/* One pass's activations and adjoints; along v likewise. */
typedef struct pass {
    gru_rows gru;
    gru_pull pull;
    row_block logits, top, entropy; /* top: adjoint of the states, later of the inputs */
} pass;

static size_t pass_floats(void) {
    return gru_rows_floats(shape) + gru_pull_floats(shape) + rows_floats(TEXT_STEPS, TEXT_SYMBOLS) +
           rows_floats(TEXT_STEPS, HIDDEN) + rows_floats(TEXT_STEPS, 1);
}
static pass pass_take(float **workspace) {
    pass p;
    p.gru = gru_rows_take(shape, workspace);
    p.pull = gru_pull_take(shape, workspace);
    p.logits = rows_take(workspace, TEXT_STEPS, TEXT_SYMBOLS);
    p.top = rows_take(workspace, TEXT_STEPS, HIDDEN);
    p.entropy = rows_take(workspace, TEXT_STEPS, 1);
    return p;
}

static void plan(task_instance *t) {
    const size_t counts[] = {AT_GRU, (EMBED + HIDDEN) * 2 * HIDDEN, 2 * HIDDEN,  (EMBED + HIDDEN) * HIDDEN,
                             HIDDEN, HIDDEN * TEXT_SYMBOLS,         TEXT_SYMBOLS};
    t->num_tensors = sizeof counts / sizeof counts[0];
    memcpy(t->counts, counts, sizeof counts);
    t->total = TOTAL;
    t->data_floats = TEXT_DATA_FLOATS;
    t->workspace_floats = 2 * pass_floats();
}

/* Embedding N(0, 1), kernels N(0, 1) / sqrt(inputs), biases 0. */
static void start(const task_instance *t, uint64_t seed, float *params) {
    const size_t inputs[] = {1, EMBED + HIDDEN, 0, EMBED + HIDDEN, 0, HIDDEN, 0};
    text_start(t, seed, inputs, params);
}

/* The probabilities of all symbols stand in p->logits; returns the loss. */
static double forward(const text_batch *b, const float *params, pass *p) {
    text_embed(b, EMBED, params, p->gru.x);
    gru_rows_forward(shape, gru_weights_at(shape, params + AT_GRU), p->gru);
    return head_forward(head, b, params + AT_HEAD, rows_from(p->gru.h, 1, 0), p->logits, p->entropy);
}

static double batch_loss_grad(const text_batch *b, const float *params, float *grad, float *workspace) {
    pass p = pass_take(&workspace);
    const double loss = forward(b, params, &p);
    if (grad == NULL) return loss;
    head_delta(b, p.logits);
    layer_backward(head, params + AT_HEAD, rows_from(p.gru.h, 1, 0), p.logits, grad + AT_HEAD, p.top);
    gru_rows_backward(shape, gru_weights_at(shape, params + AT_GRU), p.gru, p.top, p.pull, gru_gradient_at(shape, grad + AT_GRU),
                      p.top);
    text_embed_backward(b, EMBED, p.top, grad);
    return loss;
}

static void batch_hvp(const text_batch *b, const float *params, const float *v, float *out, float *workspace) {
    const gru_weights w = gru_weights_at(shape, params + AT_GRU), along = gru_weights_at(shape, v + AT_GRU);
    pass p = pass_take(&workspace), q = pass_take(&workspace);
    const row_block h = rows_from(p.gru.h, 1, 0), h_v = rows_from(q.gru.h, 1, 0);
    forward(b, params, &p);
    text_embed(b, EMBED, v, q.gru.x);
    gru_rows_forward_v(shape, w, along, p.gru, q.gru);
    layer_forward_v(head, params + AT_HEAD, v + AT_HEAD, h, h_v, q.logits);
    head_delta_v(b, p.logits, q.logits);
    head_delta(b, p.logits);
    layer_backward_v(head, params + AT_HEAD, v + AT_HEAD, h, h_v, p.logits, q.logits, out + AT_HEAD, p.top, q.top);
    gru_rows_backward_v(shape, w, along, p.gru, q.gru, p.top, q.top, p.pull, q.pull, gru_gradient_at(shape, out + AT_GRU), q.top);
    text_embed_backward(b, EMBED, q.top, out);
}

static row_block probabilities(const text_batch *b, const float *params, float *workspace) {
    pass p = pass_take(&workspace);
    forward(b, params, &p);
    return p.logits;
}

TEXT_FAMILY(char_rnn, "next character of a novel, 32 gated recurrent units")
