/* What follows from the sums of phase 1, by a block: rules 10 and 13 for a tensor, rule 14 for the model. */
#ifndef LOPT_KERNELS_CUDA_LEVELS_CUH
#define LOPT_KERNELS_CUDA_LEVELS_CUH

#include "kernels/cell/dense_gru.h"
#include "kernels/cell/guard.h"
#include "kernels/cuda/block.cuh"

/* Where a block first sums, then multiplies; shared. So small that nine fit an A100's multiprocessor (APPLY_RESIDENT). */
struct level_scratch {
    union { /* sum_columns and dense_gru_forward end with a barrier */
        double rows[GPU_ROWS][GPU_COLUMNS_MAX];
        dense_gru_scratch gru;
    };
    double total[GPU_COLUMNS_MAX];
    float mean[GPU_COLUMNS_MAX];
};

/* Sums of a span of chunks, so that a tensor of billions is not left to one block's summing. */
__device__ static inline void gather_span(const gpu_model &m, uint64_t i, double (*rows)[GPU_COLUMNS_MAX]) {
    const gpu_span s = m.spans[i];
    const int count = gpu_sums(m.dims);
    const uint64_t stride = (uint64_t)count;
    sum_columns(m.sums + s.chunk_at * stride, stride, s.chunk_end - s.chunk_at, count, NULL, rows, m.span_sums + i * stride);
}

/* Columns of a tensor's sums that its RNN takes; d^2, e^2 and alpha' follow. */
CELL_FN int tensor_features(lopt_dims d) { return d.param + dims_features(d); }

/* A tensor's sums, and the means of its features. */
__device__ static inline void tensor_totals(const gpu_model &m, const gpu_tensor &t, level_scratch *s) {
    const int F = tensor_features(m.dims);
    tensor_sums(m, t, 0, F + 3, s->rows, s->total);
    for (int j = (int)team_rank(); j < F; j += GPU_BLOCK) s->mean[j] = (float)(s->total[j] / (double)t.count);
    __syncthreads();
}

/* By one thread: rule 10's roots and the guard. */
__device__ static inline void tensor_scales(const gpu_model &m, uint64_t i, uint64_t count, const level_scratch *level) {
    const double *sums = level->total + tensor_features(m.dims);
    const guard_sums s = {(double)count, sums[0], sums[1], sums[2], level->mean};
    float *guard = m.guard ? m.guard + GUARD_STATE * i : NULL;
    guard_inverse_rms(m.dims, &s, guard, m.inverse_rms + 2 * i, m.inverse_rms + 2 * i + 1);
    m.log_lr[i] = sums[2];
    m.started[i] = 1;
}

/* Rule 13. */
__device__ static inline void tensor_advance(const gpu_model &m, uint64_t i, level_scratch *s) {
    const lopt_dims d = m.dims;
    const dense_gru level = {&m.weights->dense[DENSE_TENSOR_GATE], &m.weights->dense[DENSE_TENSOR_CANDIDATE], tensor_features(d),
                             d.tensor};
    float *u = m.u + i * padded(d.tensor);
    dense_gru_forward(level, s->mean, u, m.bias_tensor, u, NULL, &s->gru);
}

/* Rule 14 over the tensors that took part; counts the step. */
__device__ static inline void model_finish(const gpu_model &m, level_scratch *s) {
    const int T = m.dims.tensor;
    gpu_control *control = control_of(m);
    sum_columns(m.u, padded(T), m.num_tensors, T, m.buffers, s->rows, s->total);
    for (int j = (int)team_rank(); j < T; j += GPU_BLOCK) s->mean[j] = (float)(s->total[j] / (double)control->taking_part);
    __syncthreads();
    const dense_gru level = {&m.weights->dense[DENSE_GLOBAL_GATE], &m.weights->dense[DENSE_GLOBAL_CANDIDATE], T, m.dims.global};
    dense_gru_forward(level, s->mean, m.v, m.weights->global_bias, m.v, NULL, &s->gru);
    if (team_rank() == 0) control->step++;
}

#endif
