/* Phase 1 on cells of any size, by multiply-adds; the default one goes to tensor cores. */
#include "kernels/cuda/advance.cuh"

#include "kernels/cell/gru.h"
#include "kernels/cuda/advance_mma.h"

enum { ANY_RESIDENT = 2 }; /* blocks on a multiprocessor */

/* Lanes beyond n compute on zero gradients, write state that nobody reads, and take part in no sum. */
__device__ static inline void advance_tile(const gpu_model &m, const cell_weights &w, const chunk_work &k, unsigned t,
                                           float *sums) {
    const lopt_dims d = m.dims;
    const int P = d.param, S = d.scales, C = dims_state(d);
    const unsigned lane = gpu_lane(), i = t * GPU_TILE + lane;
    const bool exists = i < k.n;
    float *tile = k.tiles + t * gpu_tile_floats(d, m.mixed);
    float h[PARAM_SIZE_MAX], gates[3 * PARAM_SIZE_MAX], x[FEATURES_MAX], gbar[SCALES_MAX], lam[SCALES_MAX];
    const uint32_t bits = gradient_load(m, number_at(m.grad_type, k.grads, i), exists);
    for (int j = 0; j < P; j++) h[j] = state_read(m, tile, lane, j);
    for (int s = 0; s < S; s++) gbar[s] = state_read(m, tile, lane, P + s), lam[s] = state_read(m, tile, lane, P + S + s);
    const float log_lr = begin_rate(k, state_read(m, tile, lane, C - 1));
    const float lam_before = lam[0], g = gradient_of(m, k, bits);
    cell_decays decays;
    decays_forward(d, &w, h, first_step(k), &decays);
    averages_forward(d, &decays, g, gbar, lam);
    for (int s = 0; s < S; s++) state_write(m, tile, lane, P + s, gbar[s]), state_write(m, tile, lane, P + S + s, lam[s]);
    features_forward(d, gbar, lam, log_lr - k.mean_log_lr, x);
    gru_forward(d, &w, k.bias, x, h, gates);
    cell_readout o = readout_forward(d, &w, h, x, log_lr);
    if (k.handed_over > 0.0f)
        handover_blend(&w, k.handed_over, handover_direction(gbar[handover_scale(d)], lam_before), log_lr, &o);
    for (int j = 0; j < P; j++) state_write(m, tile, lane, j, h[j]);
    state_write(m, tile, lane, C - 1, o.log_lr);
    store_moves(d, m.mixed, k, i, o, exists);
    add_sums(P, h, exists, sums);
    add_sums(dims_features(d), x, exists, sums + P);
    add_readout(o, exists, sums + P + dims_features(d));
}

__global__ __launch_bounds__(GPU_BLOCK, ANY_RESIDENT) void lopt_advance_any(const __grid_constant__ gpu_model m) {
    __shared__ float part[GPU_WARPS][GPU_SUMS_MAX];
    step_follows();
    if (step_skipped(m)) return;
    GRID_FOR(chunk, m.num_chunks) {
        const gpu_chunk c = m.chunks[chunk];
        if (chunk + gridDim.x >= m.num_chunks) step_leads();
        if (m.buffers[c.tensor].grads == NULL) continue;
        const chunk_work k = chunk_begin(m.dims, m, c);
        float sums[GPU_SUMS_MAX];
        for (int j = 0; j < gpu_sums(m.dims); j++) sums[j] = 0.0f;
        for (unsigned i = k.first + gpu_warp() * GPU_TILE; i < k.n; i += k.apart)
            advance_tile(m, m.weights->cell, k, i / GPU_TILE, sums);
        block_sums(sums, gpu_sums(m.dims), busy_warps(k.n), part, m.sums + chunk * (unsigned)gpu_sums(m.dims));
    }
}

void GPU_SYMBOL(gpu_load_advance)(gpu_launch *l) {
    CUDA_LOAD(l, lopt_advance_any);
    GPU_SYMBOL(gpu_load_advance_mma)(l);
    GPU_SYMBOL(gpu_load_advance_split)(l);
}

void GPU_SYMBOL(gpu_advance)(gpu_launch *l, const gpu_model *m) {
    if (m->fragments == NULL) /* and no list of work */
        CUDA_FOLLOW(l, lopt_advance_any, gpu_grid(l, m->num_chunks, ANY_RESIDENT), *m);
    else if (m->mixed) GPU_SYMBOL(gpu_advance_mma)(l, m);
    else GPU_SYMBOL(gpu_advance_split)(l, m);
}
