/* char_attention: the next character of a novel, foretold by one pre-norm transformer block of width 32 with 2 heads, from 32 characters.
 * Held out: never meta-trained on. Tensors: embedding [64, 32] and that of positions [32, 32]; the block's (transformer_block.h); output
 * layer [32, 64] and bias. */
#include "tasks/families/text_head.h"
#include "tasks/families/transformer_block.h"

enum {
    AT_POSITIONS = TEXT_SYMBOLS * BLOCK_WIDTH,
    AT_BLOCK = AT_POSITIONS + TEXT_STEPS * BLOCK_WIDTH,
    AT_HEAD = AT_BLOCK + BLOCK_TOTAL,
    TOTAL = AT_HEAD + (BLOCK_WIDTH + 1) * TEXT_SYMBOLS
};
_Static_assert((int)TEXT_STEPS == (int)BLOCK_STEPS, "a window is the block's context");

static const row_layer head = {TEXT_STEPS, BLOCK_WIDTH, TEXT_SYMBOLS};

typedef struct pass {
    block_rows block;
    block_pull pull;
    row_block logits, entropy;
} pass;

static size_t pass_floats(void) { return block_floats() + rows_floats(TEXT_STEPS, TEXT_SYMBOLS) + rows_floats(TEXT_STEPS, 1); }
static pass pass_take(float **workspace) {
    pass p;
    p.block = block_rows_take(workspace);
    p.pull = block_pull_take(workspace);
    p.logits = rows_take(workspace, TEXT_STEPS, TEXT_SYMBOLS);
    p.entropy = rows_take(workspace, TEXT_STEPS, 1);
    return p;
}

static void plan(task_instance *t) {
    const size_t W = BLOCK_WIDTH, M = BLOCK_MLP;
    const size_t counts[] = {AT_POSITIONS,     TEXT_STEPS * W, W, W, W * 3 * W, 3 * W, W * W, W, W, W, W * M, M, M * W, W, W, W,
                             W * TEXT_SYMBOLS, TEXT_SYMBOLS};
    t->num_tensors = sizeof counts / sizeof counts[0];
    memcpy(t->counts, counts, sizeof counts);
    t->total = TOTAL;
    t->data_floats = TEXT_DATA_FLOATS;
    t->workspace_floats = 2 * pass_floats();
}

/* Embedding N(0, 1), positions and kernels N(0, 1) / sqrt(inputs), gains 1, biases 0. */
static void start(const task_instance *t, uint64_t seed, float *params) {
    const size_t W = BLOCK_WIDTH, inputs[] = {1, W, 0, 0, W, 0, W, 0, 0, 0, W, 0, BLOCK_MLP, 0, 0, 0, W, 0};
    const size_t gains[] = {AT_BLOCK + AT_NORM_1, AT_BLOCK + AT_NORM_2, AT_BLOCK + AT_NORM_3};
    text_start(t, seed, inputs, params);
    for (size_t n = 0; n < 3; n++)
        for (size_t u = 0; u < W; u++) params[gains[n] + u] = 1.0f;
}

/* x = embedding of symbols and of positions. */
static void embed(const text_batch *b, const float *params, row_block x) {
    text_embed(b, BLOCK_WIDTH, params, x);
    BLOCK_FOR(t, i, BLOCK_WIDTH) {
        float *at = x.at + t * x.stride + i;
        vf_store(at, vf_load(at) + params[AT_POSITIONS + t * BLOCK_WIDTH + i / ROW_LANES]);
    }
    team_sync();
}
static void embed_backward(const text_batch *b, row_block x_adj, float *grad) {
    text_embed_backward(b, BLOCK_WIDTH, x_adj, grad);
    for (size_t t = 0; t < TEXT_STEPS; t++) row_sums(1, BLOCK_WIDTH, rows_from(x_adj, t, 0), grad + AT_POSITIONS + t * BLOCK_WIDTH);
}

/* The probabilities of all symbols stand in p->logits; returns the loss. */
static double forward(const text_batch *b, const float *params, pass *p) {
    embed(b, params, p->block.x);
    block_forward(params + AT_BLOCK, &p->block);
    return head_forward(head, b, params + AT_HEAD, p->block.top, p->logits, p->entropy);
}

static double batch_loss_grad(const text_batch *b, const float *params, float *grad, float *workspace) {
    pass p = pass_take(&workspace);
    const double loss = forward(b, params, &p);
    if (grad == NULL) return loss;
    head_delta(b, p.logits);
    layer_backward(head, params + AT_HEAD, p.block.top, p.logits, grad + AT_HEAD, p.pull.inner);
    block_backward(params + AT_BLOCK, &p.block, &p.pull, grad + AT_BLOCK);
    embed_backward(b, p.pull.residual, grad);
    return loss;
}

static void batch_hvp(const text_batch *b, const float *params, const float *v, float *out, float *workspace) {
    pass p = pass_take(&workspace), q = pass_take(&workspace);
    forward(b, params, &p);
    embed(b, v, q.block.x);
    block_forward_v(params + AT_BLOCK, v + AT_BLOCK, &p.block, &q.block);
    layer_forward_v(head, params + AT_HEAD, v + AT_HEAD, p.block.top, q.block.top, q.logits);
    head_delta_v(b, p.logits, q.logits);
    head_delta(b, p.logits);
    layer_backward_v(head, params + AT_HEAD, v + AT_HEAD, p.block.top, q.block.top, p.logits, q.logits, out + AT_HEAD, p.pull.inner,
                     q.pull.inner);
    block_backward_v(params + AT_BLOCK, v + AT_BLOCK, &p.block, &q.block, &p.pull, &q.pull, out + AT_BLOCK);
    embed_backward(b, q.pull.residual, out);
}

static row_block probabilities(const text_batch *b, const float *params, float *workspace) {
    pass p = pass_take(&workspace);
    forward(b, params, &p);
    return p.logits;
}

TEXT_FAMILY(char_attention, "next character of a novel, one transformer block")
