/* Causal scaled dot-product attention (Vaswani et al. 2017) of each sequence to itself: for each head, with q, k, v of a position t,
 * p[t][u] = softmax over u <= t of q[t].k[u] / sqrt(depth), mixed[t] = sum_u p[t][u] v[u]; its adjoint, and both along a direction
 * (Pearlmutter's R operator; what is along it ends in _v). Every number belongs to one of the 16 sequences, so that nothing is broadcast.
 *
 * Units of the rows qkv: q of all heads, k of all heads, v of all heads. Pair (t, u) of a head is a unit u of step t of its rows. */
#ifndef LOPT_TASKS_FAMILIES_ROW_ATTENTION_H
#define LOPT_TASKS_FAMILIES_ROW_ATTENTION_H

#include "tasks/families/row_products.h"

enum { ATTENTION_STEPS = 32, ATTENTION_HEADS = 2, ATTENTION_DEPTH = 16, ATTENTION_WIDTH = ATTENTION_HEADS * ATTENTION_DEPTH };
#define ATTENTION_SCALE 0.25f /* 1 / sqrt(depth) */

enum { PART_Q = 0, PART_K = ATTENTION_WIDTH, PART_V = 2 * ATTENTION_WIDTH };

/* pairs: heads x steps rows of `steps` units. */
CELL_FN row_block attention_pairs_take(float **workspace) {
    return rows_take(workspace, (size_t)ATTENTION_HEADS * ATTENTION_STEPS, ATTENTION_STEPS);
}
CELL_FN size_t attention_pairs_floats(void) { return rows_floats((size_t)ATTENTION_HEADS * ATTENTION_STEPS, ATTENTION_STEPS); }

/* Where one worker stands: a head, a position and a vector of sequences. */
typedef struct attention_place {
    size_t head, t, lane;
} attention_place;
CELL_FN attention_place attention_at(size_t i) {
    const size_t t = i / ROW_VECTORS;
    return (attention_place){t / ATTENTION_STEPS, t % ATTENTION_STEPS, i % ROW_VECTORS * VF_LANES};
}
enum { ATTENTION_PLACES = ATTENTION_HEADS * ATTENTION_STEPS * ROW_VECTORS };
/* This head's units of a part, at step t. */
CELL_FN float *attention_units(row_block r, size_t part, attention_place a, size_t t) {
    return r.at + t * r.stride + (part + a.head * ATTENTION_DEPTH) * ROW_LANES + a.lane;
}
CELL_FN float *attention_pair(row_block pairs, attention_place a, size_t t, size_t u) {
    return pairs.at + (a.head * ATTENTION_STEPS + t) * pairs.stride + u * ROW_LANES + a.lane;
}

/* to[t][u] (+)= x . y[u] for u <= t, x and y[u] this head's units. */
ROW_FN void attention_dots(attention_place a, row_begin begin, const float *x, row_block y, size_t part, row_block to) {
    vf own[ATTENTION_DEPTH];
#pragma GCC unroll 16
    for (int d = 0; d < ATTENTION_DEPTH; d++) own[d] = vf_load(x + d * ROW_LANES);
    for (size_t u = 0; u <= a.t; u++) {
        const float *other = attention_units(y, part, a, u);
        float *pair = attention_pair(to, a, a.t, u);
        vf even = begin == ROW_ADD ? vf_load(pair) : vf_set1(0.0f), odd = vf_set1(0.0f);
#pragma GCC unroll 16
        for (int d = 0; d < ATTENTION_DEPTH; d += 2) {
            even += own[d] * vf_load(other + d * ROW_LANES);
            odd += own[d + 1] * vf_load(other + (d + 1) * ROW_LANES);
        }
        vf_store(pair, even + odd);
    }
}

/* to (+)= sum over the other positions of pair * y[other]: pairs (t, u <= t) where `over` is its past, (t >= u, u) where its future. */
typedef enum attention_over { OVER_PAST, OVER_FUTURE } attention_over;
ROW_FN void attention_mix(attention_place a, attention_over over, row_begin begin, row_block pairs, row_block y, size_t part,
                          float *to) {
    const size_t first = over == OVER_PAST ? 0 : a.t, end = over == OVER_PAST ? a.t + 1 : ATTENTION_STEPS;
    vf sum[ATTENTION_DEPTH];
#pragma GCC unroll 16
    for (int d = 0; d < ATTENTION_DEPTH; d++) sum[d] = begin == ROW_ADD ? vf_load(to + d * ROW_LANES) : vf_set1(0.0f);
    for (size_t other = first; other < end; other++) {
        const vf pair = vf_load(over == OVER_PAST ? attention_pair(pairs, a, a.t, other) : attention_pair(pairs, a, other, a.t));
        const float *from = attention_units(y, part, a, other);
#pragma GCC unroll 16
        for (int d = 0; d < ATTENTION_DEPTH; d++) sum[d] += pair * vf_load(from + d * ROW_LANES);
    }
#pragma GCC unroll 16
    for (int d = 0; d < ATTENTION_DEPTH; d++) vf_store(to + d * ROW_LANES, sum[d]);
}

/* Scores to probabilities, in place; `count` of them. */
CELL_FN void attention_softmax(size_t count, float *p) {
    vf top = vf_load(p), total = vf_set1(0.0f);
    for (size_t u = 1; u < count; u++) top = vf_max(top, vf_load(p + u * ROW_LANES));
    for (size_t u = 0; u < count; u++) {
        const vf e = vf_exp((vf_load(p + u * ROW_LANES) - top) * ATTENTION_SCALE);
        total += e;
        vf_store(p + u * ROW_LANES, e);
    }
    const vf inverse = vf_rcp(total);
    for (size_t u = 0; u < count; u++) vf_store(p + u * ROW_LANES, vf_load(p + u * ROW_LANES) * inverse);
}
/* d = scale p (d - mean of d under p), in place: the softmax's Jacobian, which is symmetric. */
CELL_FN void attention_softmax_pull(size_t count, const float *p, float *d) {
    vf mean = vf_set1(0.0f);
    for (size_t u = 0; u < count * ROW_LANES; u += ROW_LANES) mean += vf_load(p + u) * vf_load(d + u);
    for (size_t u = 0; u < count * ROW_LANES; u += ROW_LANES)
        vf_store(d + u, ATTENTION_SCALE * vf_load(p + u) * (vf_load(d + u) - mean));
}
/* attention_softmax_pull, and in d_v what it is along the direction. */
CELL_FN void attention_softmax_pull_v(size_t count, const float *p, const float *p_v, float *d, float *d_v) {
    vf mean = vf_set1(0.0f), mean_v = vf_set1(0.0f);
    for (size_t u = 0; u < count * ROW_LANES; u += ROW_LANES) {
        mean += vf_load(p + u) * vf_load(d + u);
        mean_v += vf_load(p_v + u) * vf_load(d + u) + vf_load(p + u) * vf_load(d_v + u);
    }
    for (size_t u = 0; u < count * ROW_LANES; u += ROW_LANES) {
        const vf gap = vf_load(d + u) - mean, gap_v = vf_load(d_v + u) - mean_v;
        vf_store(d + u, ATTENTION_SCALE * vf_load(p + u) * gap);
        vf_store(d_v + u, ATTENTION_SCALE * (vf_load(p_v + u) * gap + vf_load(p + u) * gap_v));
    }
}

/* p, mixed out. */
CELL_FN void attention_forward(row_block qkv, row_block p, row_block mixed) {
    TEAM_FOR(i, ATTENTION_PLACES) {
        const attention_place a = attention_at(i);
        attention_dots(a, ROW_SET, attention_units(qkv, PART_Q, a, a.t), qkv, PART_K, p);
        attention_softmax(a.t + 1, attention_pair(p, a, a.t, 0));
        attention_mix(a, OVER_PAST, ROW_SET, p, qkv, PART_V, attention_units(mixed, 0, a, a.t));
    }
    team_sync();
}

/* qkv_adj out; d: scratch, adjoints of the scores. */
CELL_FN void attention_backward(row_block qkv, row_block p, row_block mixed_adj, row_block d, row_block qkv_adj) {
    TEAM_FOR(i, ATTENTION_PLACES) {
        const attention_place a = attention_at(i);
        attention_dots(a, ROW_SET, attention_units(mixed_adj, 0, a, a.t), qkv, PART_V, d);
        attention_softmax_pull(a.t + 1, attention_pair(p, a, a.t, 0), attention_pair(d, a, a.t, 0));
        attention_mix(a, OVER_PAST, ROW_SET, d, qkv, PART_K, attention_units(qkv_adj, PART_Q, a, a.t));
    }
    team_sync();
    TEAM_FOR(i, ATTENTION_PLACES) {
        const attention_place a = attention_at(i);
        attention_mix(a, OVER_FUTURE, ROW_SET, d, qkv, PART_Q, attention_units(qkv_adj, PART_K, a, a.t));
        attention_mix(a, OVER_FUTURE, ROW_SET, p, mixed_adj, 0, attention_units(qkv_adj, PART_V, a, a.t));
    }
    team_sync();
}

/* p_v, mixed_v out. */
CELL_FN void attention_forward_v(row_block qkv, row_block qkv_v, row_block p, row_block p_v, row_block mixed_v) {
    TEAM_FOR(i, ATTENTION_PLACES) {
        const attention_place a = attention_at(i);
        attention_dots(a, ROW_SET, attention_units(qkv_v, PART_Q, a, a.t), qkv, PART_K, p_v);
        attention_dots(a, ROW_ADD, attention_units(qkv, PART_Q, a, a.t), qkv_v, PART_K, p_v);
        attention_softmax_pull(a.t + 1, attention_pair(p, a, a.t, 0), attention_pair(p_v, a, a.t, 0));
        attention_mix(a, OVER_PAST, ROW_SET, p_v, qkv, PART_V, attention_units(mixed_v, 0, a, a.t));
        attention_mix(a, OVER_PAST, ROW_ADD, p, qkv_v, PART_V, attention_units(mixed_v, 0, a, a.t));
    }
    team_sync();
}

/* The adjoints of scores and q, and along the direction. */
CELL_FN void attention_scores_backward_v(row_block qkv, row_block qkv_v, row_block p, row_block p_v, row_block mixed_adj,
                                         row_block mixed_adj_v, row_block d, row_block d_v, row_block qkv_adj,
                                         row_block qkv_adj_v) {
    TEAM_FOR(i, ATTENTION_PLACES) {
        const attention_place a = attention_at(i);
        float *q_v = attention_units(qkv_adj_v, PART_Q, a, a.t);
        attention_dots(a, ROW_SET, attention_units(mixed_adj, 0, a, a.t), qkv, PART_V, d);
        attention_dots(a, ROW_SET, attention_units(mixed_adj_v, 0, a, a.t), qkv, PART_V, d_v);
        attention_dots(a, ROW_ADD, attention_units(mixed_adj, 0, a, a.t), qkv_v, PART_V, d_v);
        attention_softmax_pull_v(a.t + 1, attention_pair(p, a, a.t, 0), attention_pair(p_v, a, a.t, 0),
                                 attention_pair(d, a, a.t, 0), attention_pair(d_v, a, a.t, 0));
        attention_mix(a, OVER_PAST, ROW_SET, d, qkv, PART_K, attention_units(qkv_adj, PART_Q, a, a.t));
        attention_mix(a, OVER_PAST, ROW_SET, d_v, qkv, PART_K, q_v);
        attention_mix(a, OVER_PAST, ROW_ADD, d, qkv_v, PART_K, q_v);
    }
    team_sync();
}

/* qkv_adj and qkv_adj_v out; d, d_v: scratch. */
CELL_FN void attention_backward_v(row_block qkv, row_block qkv_v, row_block p, row_block p_v, row_block mixed_adj,
                                  row_block mixed_adj_v, row_block d, row_block d_v, row_block qkv_adj, row_block qkv_adj_v) {
    attention_scores_backward_v(qkv, qkv_v, p, p_v, mixed_adj, mixed_adj_v, d, d_v, qkv_adj, qkv_adj_v);
    TEAM_FOR(i, ATTENTION_PLACES) {
        const attention_place a = attention_at(i);
        float *k_v = attention_units(qkv_adj_v, PART_K, a, a.t), *v_v = attention_units(qkv_adj_v, PART_V, a, a.t);
        attention_mix(a, OVER_FUTURE, ROW_SET, d, qkv, PART_Q, attention_units(qkv_adj, PART_K, a, a.t));
        attention_mix(a, OVER_FUTURE, ROW_SET, p, mixed_adj, 0, attention_units(qkv_adj, PART_V, a, a.t));
        attention_mix(a, OVER_FUTURE, ROW_SET, d_v, qkv, PART_Q, k_v);
        attention_mix(a, OVER_FUTURE, ROW_ADD, d, qkv_v, PART_Q, k_v);
        attention_mix(a, OVER_FUTURE, ROW_SET, p_v, mixed_adj, 0, v_v);
        attention_mix(a, OVER_FUTURE, ROW_ADD, p, mixed_adj_v, 0, v_v);
    }
    team_sync();
}

#endif
