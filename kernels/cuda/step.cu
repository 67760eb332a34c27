/* A step around phase 1: taking the call's pointers, the look at the gradients, what the levels send down; and, in launches of their own, what
 * follows phase 1: the tensors' roots (rule 10), then phase 2 (rule 12) beside the tensors' and the model's RNNs (rules 13 and 14).
 *
 * Bytes per parameter: look 4 (only without the caller's found_inf); phase 2 is in apply.cuh. */
#include "kernels/cuda/apply.cuh"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/levels.cuh"
#include "kernels/cuda/order.cuh"

/* Pointers of tensors [first, first + n), as arguments: so a captured graph holds those of its capture. */
typedef struct pointer_batch {
    uint64_t first;
    uint32_t n;
    gpu_buffers buffers[GPU_POINTERS];
} pointer_batch;
static_assert(sizeof(gpu_model) + sizeof(pointer_batch) <= 4096, "arguments of a kernel are at most 4 KB");

__global__ void lopt_enter(const __grid_constant__ gpu_model m, const __grid_constant__ pointer_batch p) {
    step_follows();
    step_leads();
    for (unsigned i = threadIdx.x; i < p.n; i += GPU_BLOCK) m.buffers[p.first + i] = p.buffers[i];
    if (p.first == 0 && threadIdx.x == 0) m.control->unusable = 0;
}

/* ---- Before phase 1 ------------------------------------------------------------------------------------------------------------ */

/* Whether the one or two entries of a word are usable. */
template <number_type type> __device__ static inline bool look_word(uint32_t word, float divisor) {
    if (type == NUMBER_FP32) return gradient_usable(gradient_divided(bits_to_float(word), divisor));
    return gradient_usable(gradient_divided(number_value(type, word & 0xffffu), divisor)) &
           gradient_usable(gradient_divided(number_value(type, word >> 16), divisor));
}
/* Of GPU_BATCH fours of words from i on, a block apart, those below n. They are read before any is looked at: a thread goes on past a load, but not
 * past the first use of what it loads. */
template <number_type type> __device__ static inline bool look(const words4 *grads, unsigned i, unsigned n, float divisor) {
    words4 g[GPU_BATCH];
    bool usable = true;
    CELL_UNROLL
    for (unsigned k = 0; k < GPU_BATCH; k++) g[k] = i + k * GPU_BLOCK < n ? grads[i + k * GPU_BLOCK] : words4{{0, 0, 0, 0}};
    CELL_UNROLL
    for (unsigned k = 0; k < GPU_BATCH; k++)
        for (unsigned j = 0; j < 4; j++) usable &= look_word<type>(g[k].word[j], divisor);
    return usable;
}
template <number_type type> __device__ static inline bool look_all(const void *grads, unsigned n, float divisor) {
    const unsigned each = sizeof(words4) / (type == NUMBER_FP32 ? sizeof(float) : sizeof(uint16_t));
    const unsigned fours = (uintptr_t)grads % sizeof(words4) == 0 ? n / each : 0;
    bool usable = true;
    for (unsigned i = threadIdx.x; i < fours; i += GPU_BATCH * GPU_BLOCK)
        usable &= look<type>((const words4 *)grads, i, fours, divisor);
    for (unsigned i = fours * each + threadIdx.x; i < n; i += GPU_BLOCK)
        usable &= gradient_usable(gradient_divided(number_read(type, grads, i), divisor));
    return usable;
}

__device__ static inline void look_chunk(const gpu_model &m, gpu_chunk c) {
    const void *grads = m.buffers[c.tensor].grads;
    const float divisor = gradient_divisor(m);
    bool usable;
    if (grads == NULL) return;
    grads = number_at(m.grad_type, grads, c.first);
    if (m.grad_type == NUMBER_FP32) usable = look_all<NUMBER_FP32>(grads, c.n, divisor);
    else if (m.grad_type == NUMBER_BF16) usable = look_all<NUMBER_BF16>(grads, c.n, divisor);
    else usable = look_all<NUMBER_FP16>(grads, c.n, divisor);
    if (!usable) m.control->unusable = 1; /* whoever comes first or last writes the same */
}

/* What of a tensor is before the blocks of one launch that do all the rest. */
__device__ static inline void progress_begin(const gpu_model &m, uint64_t tensor) {
    const gpu_tensor t = m.tensors[tensor];
    if (threadIdx.x == 0) {
        m.progress.ready[tensor] = 0;
        m.progress.tensor_left[tensor] = (uint32_t)(m.num_spans ? t.span_end - t.span_at : t.chunk_end - t.chunk_at);
    }
    if (m.num_spans == 0) return;
    for (uint64_t k = t.span_at + threadIdx.x; k < t.span_end; k += GPU_BLOCK)
        m.progress.span_left[k] = (uint32_t)(m.spans[k].chunk_end - m.spans[k].chunk_at);
}

/* The bias that a tensor's cells receive, and the bound of its rates. */
__device__ static inline void tensor_begin(const gpu_model &m, const gpu_weights &w, uint64_t tensor) {
    const lopt_dims d = m.dims;
    if (threadIdx.x == GPU_BLOCK - 1) { /* while others see to the bias */
        const float most = guard_log_lr_max(m.guard ? m.guard + GUARD_STATE * tensor : NULL);
        m.log_lr_max[tensor] = m.started[tensor] ? fminf(most, GPU_UNBOUND) : INFINITY;
    }
    if (m.work) progress_begin(m, tensor);
    dense_bias(w.param_bias, &w.dense[DENSE_TENSOR_TO_PARAM], m.u + tensor * padded(d.tensor), &w.dense[DENSE_GLOBAL_TO_PARAM], m.v,
               m.bias_param + tensor * padded(3 * d.param));
}

/* Sums over the block's threads, always in the same order; all get them. */
enum { BEGIN_SUMS = 3 };
__device__ static inline void block_sums_double(double *mine) {
    __shared__ double part[GPU_BLOCK][BEGIN_SUMS];
    for (int j = 0; j < BEGIN_SUMS; j++) part[threadIdx.x][j] = mine[j];
    __syncthreads();
    for (unsigned half = GPU_BLOCK / 2; half > 0; half /= 2) {
        if (threadIdx.x < half)
            for (int j = 0; j < BEGIN_SUMS; j++) part[threadIdx.x][j] += part[threadIdx.x + half][j];
        __syncthreads();
    }
    for (int j = 0; j < BEGIN_SUMS; j++) mine[j] = part[0][j];
    __syncthreads();
}

/* Mean of alpha over the tensors that take part, and the bias that v alone makes. */
__device__ static inline void model_begin(const gpu_model &m, const gpu_weights &w) {
    double sums[BEGIN_SUMS] = {0.0, 0.0, 0.0}; /* alpha, parameters, tensors */
    for (uint64_t i = threadIdx.x; i < m.num_tensors; i += GPU_BLOCK)
        if (m.buffers[i].grads) sums[0] += m.log_lr[i], sums[1] += (double)m.tensors[i].count, sums[2] += 1.0;
    block_sums_double(sums);
    if (threadIdx.x == 0) {
        m.control->mean_log_lr = sums[1] > 0.0 ? (float)(sums[0] / sums[1]) : 0.0f;
        m.control->taking_part = (uint64_t)sums[2];
        m.control->tensors_left = (uint32_t)sums[2], m.control->ticket = 0;
    }
    dense_bias(w.tensor_bias, &w.dense[DENSE_GLOBAL_TO_TENSOR], m.v, NULL, NULL, m.bias_tensor);
}

/* Work items: the model, its tensors, and the chunks that are to be looked at (look 0: none). */
enum { PREPARE_RESIDENT = 8 }; /* blocks on a multiprocessor */
__global__ __launch_bounds__(GPU_BLOCK, PREPARE_RESIDENT) void lopt_prepare(const __grid_constant__ gpu_model m, int look) {
    const uint64_t levels = 1 + m.num_tensors;
    step_follows();
    step_leads();
    GRID_FOR(item, levels + (look ? m.num_chunks : 0)) {
        if (item == 0) model_begin(m, *m.weights);
        else if (item < levels) tensor_begin(m, *m.weights, item - 1);
        else look_chunk(m, m.chunks[item - levels]);
    }
}

/* ---- Between the phases -------------------------------------------------------------------------------------------------------- */

__global__ __launch_bounds__(GPU_BLOCK) void lopt_gather(const __grid_constant__ gpu_model m) {
    __shared__ double rows[GPU_ROWS][GPU_COLUMNS_MAX];
    step_follows();
    step_leads();
    GRID_FOR(i, m.num_spans) gather_span(m, i, rows);
}

/* Of each tensor that takes part, what its phase 2 waits for. */
__global__ __launch_bounds__(GPU_BLOCK) void lopt_finish(const __grid_constant__ gpu_model m) {
    __shared__ level_scratch scratch;
    step_follows();
    step_leads();
    if (step_skipped(m)) return;
    GRID_FOR(i, m.num_tensors) {
        const gpu_tensor t = m.tensors[i];
        if (m.buffers[i].grads == NULL) continue;
        tensor_totals(m, t, &scratch);
        if (threadIdx.x == 0) tensor_scales(m, i, t.count, &scratch);
        __syncthreads();
    }
}

/* ---- Phase 2 ------------------------------------------------------------------------------------------------------------------- */

/* The tensors' RNNs, by the first `levels` blocks, and the model's by whoever ends the last of them. */
__device__ static inline void levels_advance(const gpu_model &m, unsigned levels) {
    __shared__ level_scratch scratch;
    __shared__ uint32_t last;
    for (uint64_t i = blockIdx.x; i < m.num_tensors; i += levels) {
        if (m.buffers[i].grads == NULL) continue;
        tensor_totals(m, m.tensors[i], &scratch);
        tensor_advance(m, i, &scratch);
        if (block_is_last(&m.control->tensors_left, &last)) model_finish(m, &scratch);
    }
}

/* RNNs have a latency of their own, which phase 2 need not wait for. */
enum { APPLY_RESIDENT = 9 }; /* blocks on a multiprocessor */
__global__ __launch_bounds__(GPU_BLOCK, APPLY_RESIDENT) void lopt_apply(const __grid_constant__ gpu_model m, unsigned levels) {
    step_follows();
    const bool skipped = step_skipped(m);
    if (skipped && blockIdx.x == 0 && threadIdx.x == 0) count_skipped(m);
    if (skipped) return;
    if (blockIdx.x < levels) {
        levels_advance(m, levels);
        return;
    }
    const gpu_moves moves = gpu_moves_of(m.dims, m.mixed);
    for (uint64_t chunk = blockIdx.x - levels; chunk < m.num_chunks; chunk += gridDim.x - levels)
        apply_chunk(m, moves, m.chunks[chunk]);
}

/* ---- Controls ------------------------------------------------------------------------------------------------------------------ */

__global__ void lopt_set_rates(const __grid_constant__ gpu_model m, float lr_scale, float weight_decay) {
    m.control->lr_scale = lr_scale;
    m.control->weight_decay = weight_decay;
}

/* ---- The host's side ----------------------------------------------------------------------------------------------------------- */

void GPU_SYMBOL(gpu_load_step)(gpu_launch *l) {
    CUDA_LOAD(l, lopt_enter);
    CUDA_LOAD(l, lopt_prepare);
    CUDA_LOAD(l, lopt_gather);
    CUDA_LOAD(l, lopt_finish);
    CUDA_LOAD(l, lopt_apply);
    CUDA_LOAD(l, lopt_set_rates);
}

void GPU_SYMBOL(gpu_enter)(gpu_launch *l, const gpu_model *m, void *const *params, const void *const *grads) {
    for (uint64_t first = 0; first < m->num_tensors; first += GPU_POINTERS) {
        const uint64_t left = m->num_tensors - first;
        pointer_batch p;
        p.first = first;
        p.n = (uint32_t)(left < GPU_POINTERS ? left : (uint64_t)GPU_POINTERS);
        for (uint32_t i = 0; i < p.n; i++) p.buffers[i] = {params ? params[first + i] : NULL, grads ? grads[first + i] : NULL};
        CUDA_LAUNCH(l, lopt_enter, 1, *m, p);
    }
}

void GPU_SYMBOL(gpu_prepare)(gpu_launch *l, const gpu_model *m) {
    const int look = m->found_inf == NULL && !m->zero_nonfinite;
    CUDA_FOLLOW(l, lopt_prepare, gpu_grid(l, 1 + m->num_tensors + (look ? m->num_chunks : 0), PREPARE_RESIDENT), *m, look);
}

void GPU_SYMBOL(gpu_gather)(gpu_launch *l, const gpu_model *m) {
    if (m->num_spans) CUDA_FOLLOW(l, lopt_gather, gpu_grid(l, m->num_spans, GPU_RESIDENT / 2), *m);
}

void GPU_SYMBOL(gpu_finish)(gpu_launch *l, const gpu_model *m) {
    CUDA_FOLLOW(l, lopt_finish, gpu_grid(l, m->num_tensors, GPU_RESIDENT / 2), *m);
}

void GPU_SYMBOL(gpu_apply)(gpu_launch *l, const gpu_model *m) {
    const unsigned levels = gpu_grid(l, m->num_tensors, GPU_RESIDENT / 2);
    CUDA_FOLLOW(l, lopt_apply, gpu_grid(l, m->num_chunks, APPLY_RESIDENT) + levels, *m, levels);
}

void GPU_SYMBOL(gpu_set_rates)(gpu_launch *l, const gpu_model *m, float lr_scale, float weight_decay) {
    CUDA_LAUNCH(l, lopt_set_rates, 1, *m, lr_scale, weight_decay);
}
