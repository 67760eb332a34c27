/* A pre-norm transformer block (Xiong et al. 2020) with a layer norm behind it: y = x + attention(norm x), z = y + mlp(norm y), top = norm z;
 * the MLP is 4 times as wide and has the Gaussian error linear unit (Hendrycks and Gimpel 2016) in its tanh form. Forward and adjoint, and
 * both along a direction v (Pearlmutter's R operator; what is along v ends in _v).
 *
 * Parameters, tensor by tensor: gain and bias of a norm; q, k, v [32, 96] and bias; mixing [32, 32] and bias; gain and bias of a norm;
 * up [32, 128] and bias; down [128, 32] and bias; gain and bias of the last norm. */
#ifndef LOPT_TASKS_FAMILIES_TRANSFORMER_BLOCK_H
#define LOPT_TASKS_FAMILIES_TRANSFORMER_BLOCK_H

#include "tasks/families/row_attention.h"
#include "tasks/families/row_layer.h"
#include "tasks/families/row_norm.h"

enum { BLOCK_STEPS = ATTENTION_STEPS, BLOCK_WIDTH = ATTENTION_WIDTH, BLOCK_MLP = 4 * BLOCK_WIDTH };
enum {
    AT_NORM_1 = 0,
    AT_QKV = AT_NORM_1 + 2 * BLOCK_WIDTH,
    AT_MIX = AT_QKV + (BLOCK_WIDTH + 1) * 3 * BLOCK_WIDTH,
    AT_NORM_2 = AT_MIX + (BLOCK_WIDTH + 1) * BLOCK_WIDTH,
    AT_UP = AT_NORM_2 + 2 * BLOCK_WIDTH,
    AT_DOWN = AT_UP + (BLOCK_WIDTH + 1) * BLOCK_MLP,
    AT_NORM_3 = AT_DOWN + (BLOCK_MLP + 1) * BLOCK_WIDTH,
    BLOCK_TOTAL = AT_NORM_3 + 2 * BLOCK_WIDTH
};
static const row_norm block_norm = {BLOCK_STEPS, BLOCK_WIDTH};
static const row_layer block_qkv = {BLOCK_STEPS, BLOCK_WIDTH, 3 * BLOCK_WIDTH}, block_mix = {BLOCK_STEPS, BLOCK_WIDTH, BLOCK_WIDTH};
static const row_layer block_up = {BLOCK_STEPS, BLOCK_WIDTH, BLOCK_MLP}, block_down = {BLOCK_STEPS, BLOCK_MLP, BLOCK_WIDTH};

/* What forward leaves, or what that is along v. */
typedef struct block_rows {
    norm_rows norm[3];
    row_block x, normed[2], qkv, pairs, mixed, y, hidden, active, z, top;
} block_rows;
/* Adjoints. */
typedef struct block_pull {
    row_block residual, inner, wide, qkv, pairs;
} block_pull;

CELL_FN size_t block_floats(void) {
    const size_t narrow = rows_floats(BLOCK_STEPS, BLOCK_WIDTH), wide = rows_floats(BLOCK_STEPS, BLOCK_MLP);
    return 3 * norm_rows_floats(block_norm) + 9 * narrow + 3 * wide + 2 * rows_floats(BLOCK_STEPS, 3 * BLOCK_WIDTH) +
           2 * attention_pairs_floats();
}
CELL_FN block_rows block_rows_take(float **workspace) {
    block_rows b;
    row_block *const narrow[] = {&b.x, &b.normed[0], &b.normed[1], &b.mixed, &b.y, &b.z, &b.top};
    for (size_t i = 0; i < sizeof narrow / sizeof narrow[0]; i++) *narrow[i] = rows_take(workspace, BLOCK_STEPS, BLOCK_WIDTH);
    for (size_t i = 0; i < 3; i++) b.norm[i] = norm_rows_take(block_norm, workspace);
    b.qkv = rows_take(workspace, BLOCK_STEPS, 3 * BLOCK_WIDTH);
    b.pairs = attention_pairs_take(workspace);
    b.hidden = rows_take(workspace, BLOCK_STEPS, BLOCK_MLP);
    b.active = rows_take(workspace, BLOCK_STEPS, BLOCK_MLP);
    return b;
}
CELL_FN block_pull block_pull_take(float **workspace) {
    block_pull p;
    p.residual = rows_take(workspace, BLOCK_STEPS, BLOCK_WIDTH);
    p.inner = rows_take(workspace, BLOCK_STEPS, BLOCK_WIDTH);
    p.wide = rows_take(workspace, BLOCK_STEPS, BLOCK_MLP);
    p.qkv = rows_take(workspace, BLOCK_STEPS, 3 * BLOCK_WIDTH);
    p.pairs = attention_pairs_take(workspace);
    return p;
}

#define BLOCK_FOR(t, i, units) \
    for (size_t t = 0; t < BLOCK_STEPS; t++) TEAM_FOR_BLOCKS(i, (units)*ROW_LANES)

/* to += from, width units. */
CELL_FN void block_add(row_block from, row_block to) {
    BLOCK_FOR(t, i, BLOCK_WIDTH) {
        float *at = to.at + t * to.stride + i;
        vf_store(at, vf_load(at) + vf_load(from.at + t * from.stride + i));
    }
    team_sync();
}
CELL_FN void block_clear(row_block to) {
    BLOCK_FOR(t, i, BLOCK_WIDTH) vf_store(to.at + t * to.stride + i, vf_set1(0.0f));
    team_sync();
}

/* x (1 + tanh w) / 2 = x sigma(2 w), w = sqrt(2 / pi) (x + 0.044715 x^3), with two derivatives. */
typedef struct gelu_point {
    vf value, slope, curve;
} gelu_point;
CELL_FN gelu_point gelu_at(vf x) {
    const vf square = x * x;
    const vf w = 1.5957691216f * x * (1.0f + 0.044715f * square),
             w_1 = 1.5957691216f * (1.0f + 0.134145f * square); /* 2 w and its slope */
    const vf e = vf_exp2(w * -VF_LOG2_E), s = vf_rcp(1.0f + e);
    const vf s_1 = e * s * s; /* sigma' without the loss of digits of s (1 - s) */
    return (gelu_point){x * s, s + x * s_1 * w_1,
                        s_1 * (2.0f * w_1 + x * ((1.0f - 2.0f * s) * w_1 * w_1 + 1.5957691216f * 0.26829f * x))};
}
CELL_FN void block_gelu(row_block hidden, row_block active) {
    BLOCK_FOR(t, i, BLOCK_MLP)
    vf_store(active.at + t * active.stride + i, gelu_at(vf_load(hidden.at + t * hidden.stride + i)).value);
    team_sync();
}
CELL_FN void block_gelu_backward(row_block hidden, row_block adj) {
    BLOCK_FOR(t, i, BLOCK_MLP) {
        float *at = adj.at + t * adj.stride + i;
        vf_store(at, vf_load(at) * gelu_at(vf_load(hidden.at + t * hidden.stride + i)).slope);
    }
    team_sync();
}
CELL_FN void block_gelu_v(row_block hidden, row_block hidden_v, row_block active_v) {
    BLOCK_FOR(t, i, BLOCK_MLP) {
        const vf slope = gelu_at(vf_load(hidden.at + t * hidden.stride + i)).slope;
        vf_store(active_v.at + t * active_v.stride + i, slope * vf_load(hidden_v.at + t * hidden_v.stride + i));
    }
    team_sync();
}
CELL_FN void block_gelu_backward_v(row_block hidden, row_block hidden_v, row_block adj, row_block adj_v) {
    BLOCK_FOR(t, i, BLOCK_MLP) {
        float *at = adj.at + t * adj.stride + i, *at_v = adj_v.at + t * adj_v.stride + i;
        const gelu_point g = gelu_at(vf_load(hidden.at + t * hidden.stride + i));
        vf_store(at_v, vf_load(at_v) * g.slope + vf_load(at) * g.curve * vf_load(hidden_v.at + t * hidden_v.stride + i));
        vf_store(at, vf_load(at) * g.slope);
    }
    team_sync();
}

/* From b->x to b->top. */
CELL_FN void block_forward(const float *params, const block_rows *b) {
    norm_forward(block_norm, params + AT_NORM_1, b->x, b->norm[0], b->normed[0]);
    layer_forward(block_qkv, params + AT_QKV, b->normed[0], b->qkv);
    attention_forward(b->qkv, b->pairs, b->mixed);
    layer_forward(block_mix, params + AT_MIX, b->mixed, b->y);
    block_add(b->x, b->y);
    norm_forward(block_norm, params + AT_NORM_2, b->y, b->norm[1], b->normed[1]);
    layer_forward(block_up, params + AT_UP, b->normed[1], b->hidden);
    block_gelu(b->hidden, b->active);
    layer_forward(block_down, params + AT_DOWN, b->active, b->z);
    block_add(b->y, b->z);
    norm_forward(block_norm, params + AT_NORM_3, b->z, b->norm[2], b->top);
}

/* p->inner: adjoint of top. p->residual out: adjoint of x; grad is added to. */
CELL_FN void block_backward(const float *params, const block_rows *b, const block_pull *p, float *grad) {
    block_clear(p->residual);
    norm_backward(block_norm, params + AT_NORM_3, b->norm[2], p->inner, grad + AT_NORM_3, p->residual);
    layer_backward(block_down, params + AT_DOWN, b->active, p->residual, grad + AT_DOWN, p->wide);
    block_gelu_backward(b->hidden, p->wide);
    layer_backward(block_up, params + AT_UP, b->normed[1], p->wide, grad + AT_UP, p->inner);
    norm_backward(block_norm, params + AT_NORM_2, b->norm[1], p->inner, grad + AT_NORM_2, p->residual);
    layer_backward(block_mix, params + AT_MIX, b->mixed, p->residual, grad + AT_MIX, p->inner);
    attention_backward(b->qkv, b->pairs, p->inner, p->pairs, p->qkv);
    layer_backward(block_qkv, params + AT_QKV, b->normed[0], p->qkv, grad + AT_QKV, p->inner);
    norm_backward(block_norm, params + AT_NORM_1, b->norm[0], p->inner, grad + AT_NORM_1, p->residual);
}

/* From a->x to a->top, b as forward left it. */
CELL_FN void block_forward_v(const float *params, const float *v, const block_rows *b, const block_rows *a) {
    norm_forward_v(block_norm, params + AT_NORM_1, v + AT_NORM_1, a->x, b->norm[0], a->norm[0], a->normed[0]);
    layer_forward_v(block_qkv, params + AT_QKV, v + AT_QKV, b->normed[0], a->normed[0], a->qkv);
    attention_forward_v(b->qkv, a->qkv, b->pairs, a->pairs, a->mixed);
    layer_forward_v(block_mix, params + AT_MIX, v + AT_MIX, b->mixed, a->mixed, a->y);
    block_add(a->x, a->y);
    norm_forward_v(block_norm, params + AT_NORM_2, v + AT_NORM_2, a->y, b->norm[1], a->norm[1], a->normed[1]);
    layer_forward_v(block_up, params + AT_UP, v + AT_UP, b->normed[1], a->normed[1], a->hidden);
    block_gelu_v(b->hidden, a->hidden, a->active);
    layer_forward_v(block_down, params + AT_DOWN, v + AT_DOWN, b->active, a->active, a->z);
    block_add(a->y, a->z);
    norm_forward_v(block_norm, params + AT_NORM_3, v + AT_NORM_3, a->z, b->norm[2], a->norm[2], a->top);
}

/* block_backward, with q what p is along v; grad_v is added to. */
CELL_FN void block_backward_v(const float *params, const float *v, const block_rows *b, const block_rows *a, const block_pull *p,
                              const block_pull *q, float *grad_v) {
    block_clear(p->residual);
    block_clear(q->residual);
    norm_backward_v(block_norm, params + AT_NORM_3, v + AT_NORM_3, b->norm[2], a->norm[2], p->inner, q->inner, grad_v + AT_NORM_3,
                    p->residual, q->residual);
    layer_backward_v(block_down, params + AT_DOWN, v + AT_DOWN, b->active, a->active, p->residual, q->residual, grad_v + AT_DOWN,
                     p->wide, q->wide);
    block_gelu_backward_v(b->hidden, a->hidden, p->wide, q->wide);
    layer_backward_v(block_up, params + AT_UP, v + AT_UP, b->normed[1], a->normed[1], p->wide, q->wide, grad_v + AT_UP, p->inner,
                     q->inner);
    norm_backward_v(block_norm, params + AT_NORM_2, v + AT_NORM_2, b->norm[1], a->norm[1], p->inner, q->inner, grad_v + AT_NORM_2,
                    p->residual, q->residual);
    layer_backward_v(block_mix, params + AT_MIX, v + AT_MIX, b->mixed, a->mixed, p->residual, q->residual, grad_v + AT_MIX,
                     p->inner, q->inner);
    attention_backward_v(b->qkv, a->qkv, b->pairs, a->pairs, p->inner, q->inner, p->pairs, q->pairs, p->qkv, q->qkv);
    layer_backward_v(block_qkv, params + AT_QKV, v + AT_QKV, b->normed[0], a->normed[0], p->qkv, q->qkv, grad_v + AT_QKV, p->inner,
                     q->inner);
    norm_backward_v(block_norm, params + AT_NORM_1, v + AT_NORM_1, b->norm[0], a->norm[0], p->inner, q->inner, grad_v + AT_NORM_1,
                    p->residual, q->residual);
}

#endif
