/* Layer normalisation of rows (Ba et al. 2016): y = gain hat + bias, hat = (x - mean) / sqrt(variance + 1e-5) over the units of a
 * position; its adjoint, and both along a direction v (Pearlmutter's R operator; what is along v ends in _v). Parameters: gain [width],
 * then bias [width]. The variance's derivative needs hat and the reciprocal deviation alone, so that x is not kept. */
#ifndef LOPT_TASKS_FAMILIES_ROW_NORM_H
#define LOPT_TASKS_FAMILIES_ROW_NORM_H

#include "tasks/families/row_products.h"

typedef struct row_norm {
    size_t steps, width;
} row_norm;
/* What forward keeps, or what that is along v. */
typedef struct norm_rows {
    row_block hat, inverse; /* inverse: 1 unit, 1 / deviation */
} norm_rows;

CELL_FN size_t norm_rows_floats(row_norm n) { return rows_floats(n.steps, n.width) + rows_floats(n.steps, 1); }
CELL_FN norm_rows norm_rows_take(row_norm n, float **workspace) {
    norm_rows r;
    r.hat = rows_take(workspace, n.steps, n.width);
    r.inverse = rows_take(workspace, n.steps, 1);
    return r;
}

/* Mean over the units of a vector's a, and of a * b. */
CELL_FN vf norm_mean(size_t width, const float *a) {
    vf sum = vf_set1(0.0f);
    for (size_t u = 0; u < width; u++) sum += vf_load(a + u * ROW_LANES);
    return sum * (1.0f / (float)width);
}
CELL_FN vf norm_mean_product(size_t width, const float *a, const float *b) {
    vf sum = vf_set1(0.0f);
    for (size_t u = 0; u < width; u++) sum += vf_load(a + u * ROW_LANES) * vf_load(b + u * ROW_LANES);
    return sum * (1.0f / (float)width);
}

CELL_FN void norm_forward(row_norm n, const float *params, row_block x, norm_rows r, row_block y) {
    TEAM_FOR(i, n.steps * ROW_VECTORS) {
        const float *from = rows_vector(x, i);
        float *hat = rows_vector(r.hat, i), *to = rows_vector(y, i);
        const vf mean = norm_mean(n.width, from);
        vf variance = vf_set1(0.0f);
        for (size_t u = 0; u < n.width; u++) {
            const vf gap = vf_load(from + u * ROW_LANES) - mean;
            variance += gap * gap;
        }
        const vf inverse = vf_rsqrt(variance * (1.0f / (float)n.width) + 1e-5f);
        vf_store(rows_vector(r.inverse, i), inverse);
        for (size_t u = 0; u < n.width; u++) {
            const vf h = (vf_load(from + u * ROW_LANES) - mean) * inverse;
            vf_store(hat + u * ROW_LANES, h);
            vf_store(to + u * ROW_LANES, params[u] * h + params[n.width + u]);
        }
    }
    team_sync();
}

/* x_adj += inverse (d - mean d - hat mean(d hat)), d = gain y_adj. */
CELL_FN void norm_backward(row_norm n, const float *params, norm_rows r, row_block y_adj, float *grad, row_block x_adj) {
    TEAM_FOR(u, n.width) {
        vf gain = vf_set1(0.0f), bias = vf_set1(0.0f);
        for (size_t i = 0; i < n.steps * ROW_VECTORS; i++) {
            const vf d = vf_load(rows_vector(y_adj, i) + u * ROW_LANES);
            gain += d * vf_load(rows_vector(r.hat, i) + u * ROW_LANES);
            bias += d;
        }
        grad[u] += vf_sum(gain);
        grad[n.width + u] += vf_sum(bias);
    }
    TEAM_FOR(i, n.steps * ROW_VECTORS) {
        const float *hat = rows_vector(r.hat, i), *d = rows_vector(y_adj, i);
        float *to = rows_vector(x_adj, i);
        const vf inverse = vf_load(rows_vector(r.inverse, i));
        vf mean = vf_set1(0.0f), with_hat = vf_set1(0.0f);
        for (size_t u = 0; u < n.width; u++) {
            const vf scaled = params[u] * vf_load(d + u * ROW_LANES);
            mean += scaled;
            with_hat += scaled * vf_load(hat + u * ROW_LANES);
        }
        mean *= 1.0f / (float)n.width;
        with_hat *= 1.0f / (float)n.width;
        for (size_t u = 0; u < n.width; u++) {
            const vf scaled = params[u] * vf_load(d + u * ROW_LANES);
            vf_store(to + u * ROW_LANES,
                     vf_load(to + u * ROW_LANES) + inverse * (scaled - mean - vf_load(hat + u * ROW_LANES) * with_hat));
        }
    }
    team_sync();
}

/* R hat = inverse (R x - mean R x - hat mean(hat R x)); R inverse = -inverse^2 mean(hat R x). */
CELL_FN void norm_forward_v(row_norm n, const float *params, const float *v, row_block x_v, norm_rows r, norm_rows a,
                            row_block y_v) {
    TEAM_FOR(i, n.steps * ROW_VECTORS) {
        const float *from = rows_vector(x_v, i), *hat = rows_vector(r.hat, i);
        float *hat_v = rows_vector(a.hat, i), *to = rows_vector(y_v, i);
        const vf inverse = vf_load(rows_vector(r.inverse, i)), mean = norm_mean(n.width, from);
        const vf with_hat = norm_mean_product(n.width, from, hat);
        vf_store(rows_vector(a.inverse, i), -inverse * inverse * with_hat);
        for (size_t u = 0; u < n.width; u++) {
            const vf h = vf_load(hat + u * ROW_LANES), h_v = inverse * (vf_load(from + u * ROW_LANES) - mean - h * with_hat);
            vf_store(hat_v + u * ROW_LANES, h_v);
            vf_store(to + u * ROW_LANES, params[u] * h_v + v[u] * h + v[n.width + u]);
        }
    }
    team_sync();
}

CELL_FN void norm_gradient_v(row_norm n, norm_rows r, norm_rows a, row_block y_adj, row_block y_adj_v, float *grad_v) {
    TEAM_FOR(u, n.width) {
        vf gain = vf_set1(0.0f), bias = vf_set1(0.0f);
        for (size_t i = 0; i < n.steps * ROW_VECTORS; i++) {
            const vf d_v = vf_load(rows_vector(y_adj_v, i) + u * ROW_LANES);
            gain += d_v * vf_load(rows_vector(r.hat, i) + u * ROW_LANES);
            gain += vf_load(rows_vector(y_adj, i) + u * ROW_LANES) * vf_load(rows_vector(a.hat, i) + u * ROW_LANES);
            bias += d_v;
        }
        grad_v[u] += vf_sum(gain);
        grad_v[n.width + u] += vf_sum(bias);
    }
    team_sync();
}

/* Adds to x_adj what norm_backward does, and to x_adj_v what that is along v. y_adj and y_adj_v are overwritten by gain y_adj and its _v. */
CELL_FN void norm_backward_v(row_norm n, const float *params, const float *v, norm_rows r, norm_rows a, row_block y_adj,
                             row_block y_adj_v, float *grad_v, row_block x_adj, row_block x_adj_v) {
    norm_gradient_v(n, r, a, y_adj, y_adj_v, grad_v);
    TEAM_FOR(i, n.steps * ROW_VECTORS) {
        const float *hat = rows_vector(r.hat, i), *hat_v = rows_vector(a.hat, i);
        float *d = rows_vector(y_adj, i), *d_v = rows_vector(y_adj_v, i), *to = rows_vector(x_adj, i),
              *to_v = rows_vector(x_adj_v, i);
        for (size_t u = 0; u < n.width; u++) {
            const vf y = vf_load(d + u * ROW_LANES), y_v = vf_load(d_v + u * ROW_LANES);
            vf_store(d + u * ROW_LANES, params[u] * y);
            vf_store(d_v + u * ROW_LANES, params[u] * y_v + v[u] * y);
        }
        const vf inverse = vf_load(rows_vector(r.inverse, i)), inverse_v = vf_load(rows_vector(a.inverse, i));
        const vf mean = norm_mean(n.width, d), mean_v = norm_mean(n.width, d_v), with_hat = norm_mean_product(n.width, d, hat);
        const vf with_hat_v = norm_mean_product(n.width, d_v, hat) + norm_mean_product(n.width, d, hat_v);
        for (size_t u = 0; u < n.width * ROW_LANES; u += ROW_LANES) {
            const vf h = vf_load(hat + u), rest = vf_load(d + u) - mean - h * with_hat;
            const vf rest_v = vf_load(d_v + u) - mean_v - vf_load(hat_v + u) * with_hat - h * with_hat_v;
            vf_store(to + u, vf_load(to + u) + inverse * rest);
            vf_store(to_v + u, vf_load(to_v + u) + inverse_v * rest + inverse * rest_v);
        }
    }
    team_sync();
}

#endif
