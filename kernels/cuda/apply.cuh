/* Phase 2 (rule 12): what waited goes to the parameters, now that the tensor's RMS is known.
 *
 * Bytes per parameter: 8 (with attention 12) read, 8 written. */
#ifndef LOPT_KERNELS_CUDA_APPLY_CUH
#define LOPT_KERNELS_CUDA_APPLY_CUH

#include "kernels/cell/readout.h"
#include "kernels/cuda/block.cuh"

/* A chunk's share of phase 2. */
struct apply_work {
    readout_rates rates;
    number_type type; /* of params */
    float *theta;
    const float *move, *attend; /* attend NULL: no attention */
    void *params;
};

__device__ static inline float applied(const apply_work &w, float theta, float move, float attend, float *phi) {
    const float moved = readout_theta(w.rates, theta, move), attended = readout_phi(w.rates, theta, attend);
    *phi = w.attend ? attended : moved; /* not a branch, which takes registers that a kernel of 40 warps has not got */
    return moved;
}

/* `batch` fours of parameters from i on, 4 GPU_BLOCK apart; all that is read is read first, as in `look`. */
template <int batch> __device__ static inline void apply_fours(const apply_work &w, unsigned i) {
    floats4 theta[batch], move[batch], attend[batch];
    CELL_UNROLL
    for (unsigned k = 0; k < batch; k++) {
        const unsigned at = i + k * 4 * GPU_BLOCK;
        theta[k] = read_once((const floats4 *)(w.theta + at)), move[k] = read_once((const floats4 *)(w.move + at));
        attend[k] = w.attend ? read_once((const floats4 *)(w.attend + at)) : floats4{{0.0f, 0.0f, 0.0f, 0.0f}};
    }
    CELL_UNROLL
    for (unsigned k = 0; k < batch; k++) {
        const unsigned at = i + k * 4 * GPU_BLOCK;
        floats4 phi;
        CELL_UNROLL
        for (int j = 0; j < 4; j++) theta[k].at[j] = applied(w, theta[k].at[j], move[k].at[j], attend[k].at[j], &phi.at[j]);
        write_once((floats4 *)(w.theta + at), theta[k]);
        if (w.type == NUMBER_FP32) write_once((floats4 *)((float *)w.params + at), phi);
        else
            for (unsigned j = 0; j < 4; j++) number_write(w.type, w.params, at + j, phi.at[j]);
    }
}
/* One parameter at a time. */
__device__ static inline void apply_singly(const apply_work &w, unsigned first, unsigned end) {
    for (unsigned i = first + threadIdx.x; i < end; i += GPU_BLOCK) {
        float phi;
        w.theta[i] = applied(w, w.theta[i], w.move[i], w.attend ? w.attend[i] : 0.0f, &phi);
        number_write(w.type, w.params, i, phi);
    }
}

__device__ static inline void apply_chunk(const gpu_model &m, const gpu_chunk &c) {
    const uint64_t at = m.tensors[c.tensor].tile_at * GPU_TILE + c.first;
    const gpu_buffers b = m.buffers[c.tensor];
    const float *inverse_rms = m.inverse_rms + 2 * (uint64_t)c.tensor;
    if (b.grads == NULL) return;
    apply_work w;
    w.rates = readout_rates_of(m.control->lr_scale, m.control->weight_decay, inverse_rms[0], inverse_rms[1]);
    w.type = m.param_type;
    w.theta = m.theta + at, w.move = m.move + at;
    w.params = (void *)number_at(m.param_type, b.params, c.first);
    w.attend = !m.dims.attention ? NULL : m.attend ? m.attend + at : (const float *)w.params;
    const unsigned turn = 4 * GPU_BLOCK, n = w.type != NUMBER_FP32 || (uintptr_t)w.params % sizeof(floats4) == 0 ? c.n / 4 * 4 : 0;
    unsigned i = 4 * threadIdx.x;
    for (; i + turn < n; i += 2 * turn) apply_fours<2>(w, i);
    for (; i < n; i += turn) apply_fours<1>(w, i);
    apply_singly(w, n, c.n);
}

#endif
