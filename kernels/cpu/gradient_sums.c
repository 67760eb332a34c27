#include "kernels/cpu/gradient_sums.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"

lopt_status gradient_sums_create(const prepared_weights *w, gradient_sums **out) {
    const lopt_dims d = w->layout.dims;
    void *memory = NULL;
    LOPT_TRY(memory_alloc(1, sizeof(gradient_sums), "gradient sums", &memory));
    gradient_sums *g = memory;
    g->dims = d;
    g->cell_weights = gradient_cell_weights(d);
    g->dense_floats = w->dense_floats;
    size_t levels =
        padded(3 * d.param) + padded(3 * d.tensor) + padded(3 * d.global) + padded(d.param) + padded(d.tensor) + padded(d.global);
    g->storage_floats = g->cell_weights * LANES_MAX + g->dense_floats + levels;
    lopt_status status = memory_floats(g->storage_floats, "gradient sums", &g->storage);
    if (status != LOPT_OK) {
        free(g);
        return status;
    }
    float *at = g->storage;
    g->cell = at, at += g->cell_weights * LANES_MAX;
    g->dense = at, at += g->dense_floats;
    g->param_bias = at, at += padded(3 * d.param);
    g->tensor_bias = at, at += padded(3 * d.tensor);
    g->global_bias = at, at += padded(3 * d.global);
    g->initial_h = at, at += padded(d.param);
    g->initial_u = at, at += padded(d.tensor);
    g->initial_v = at;
    *out = g;
    return LOPT_OK;
}

void gradient_sums_reset(gradient_sums *g) { memset(g->storage, 0, g->storage_floats * sizeof(float)); }

void gradient_sums_free(gradient_sums *g) {
    if (g == NULL) return;
    free(g->storage);
    free(g);
}
