/* All that moves an optimizer's numbers outside a step: its start, the caller's parameters in and out, parts of the state as the state
 * file has them. */
#include "kernels/cuda/block.cuh"
#include "kernels/cuda/kernels.h"

/* ---- Start --------------------------------------------------------------------------------------------------------------------- */

/* True parameters from the caller's; h, alpha; averages 0. Padding of tiles is zero already. */
__device__ static inline void start_chunk(const gpu_model &m, const start_rates &rates, const gpu_chunk &c) {
    const lopt_dims d = m.dims;
    const uint64_t tile_at = m.tensors[c.tensor].tile_at + c.first / GPU_TILE;
    const float tensor_draw = start_tensor_draw(&rates, c.tensor);
    for (unsigned i = threadIdx.x; i < c.n; i += GPU_BLOCK) {
        const uint64_t parameter = c.first + i;
        float *tile = m.state + (tile_at + i / GPU_TILE) * gpu_tile_floats(d, m.mixed);
        const random4 draws = start_parameter_draws(&rates, c.tensor, parameter / 4);
        for (int j = 0; j < d.param; j++) state_write(m, tile, i % GPU_TILE, j, m.weights->initial_h[j]);
        state_write(m, tile, i % GPU_TILE, dims_state(d) - 1, start_log_lr(&rates, tensor_draw, draws.u[parameter % 4]));
        m.theta[tile_at * GPU_TILE + i] = number_read(m.param_type, m.buffers[c.tensor].params, parameter);
    }
}

__global__ void lopt_start(const __grid_constant__ gpu_model m, start_rates rates) {
    const uint64_t levels = 1 + m.num_tensors;
    const int T = m.dims.tensor;
    GRID_FOR(item, levels + m.num_chunks) {
        if (item == 0)
            for (int j = (int)threadIdx.x; j < m.dims.global; j += GPU_BLOCK) m.v[j] = m.weights->initial_v[j];
        else if (item < levels)
            for (int j = (int)threadIdx.x; j < T; j += GPU_BLOCK)
                m.u[(item - 1) * padded(T) + (unsigned)j] = m.weights->initial_u[j];
        else start_chunk(m, rates, m.chunks[item - levels]);
    }
}

/* Sums of alpha per chunk, with the very additions of phase 1. */
__global__ void lopt_sum_rates(const __grid_constant__ gpu_model m) {
    __shared__ float part[GPU_WARPS][GPU_SUMS_MAX];
    const unsigned stride = (unsigned)gpu_sums(m.dims);
    const int last = dims_state(m.dims) - 1;
    GRID_FOR(chunk, m.num_chunks) {
        const gpu_chunk c = m.chunks[chunk];
        const uint64_t tile_at = m.tensors[c.tensor].tile_at + c.band / GPU_TILE;
        float sum = 0.0f;
        for (unsigned i = gpu_chunk_begin(&c) + threadIdx.x; i - gpu_lane() < c.band_n; i += gpu_chunk_apart(&c)) {
            const float *tile = m.state + (tile_at + i / GPU_TILE) * gpu_tile_floats(m.dims, m.mixed);
            sum += i < c.band_n ? state_read(m, tile, gpu_lane(), last) : 0.0f;
        }
        block_sums(&sum, 1, busy_warps(c.band_n), part, m.sums + chunk * stride + stride - 1);
    }
}

/* Then per tensor, with those of `finish`. */
__global__ void lopt_sum_tensor_rates(const __grid_constant__ gpu_model m) {
    __shared__ double rows[GPU_ROWS][GPU_COLUMNS_MAX], total[GPU_COLUMNS_MAX];
    GRID_FOR(i, m.num_tensors) {
        tensor_sums(m, m.tensors[i], gpu_sums(m.dims) - 1, 1, rows, total);
        if (threadIdx.x == 0) m.log_lr[i] = total[0];
        __syncthreads();
    }
}

/* ---- Parameters ---------------------------------------------------------------------------------------------------------------- */

__global__ void lopt_exchange(const __grid_constant__ gpu_model m, gpu_exchange what) {
    if (blockIdx.x == 0 && threadIdx.x == 0 && (what == GPU_SWAP || what == GPU_SWAP_BACK)) m.control->swapped = what == GPU_SWAP;
    GRID_FOR(chunk, m.num_chunks) {
        const gpu_chunk c = m.chunks[chunk];
        const uint64_t at = m.tensors[c.tensor].tile_at * GPU_TILE + c.first;
        void *params = m.buffers[c.tensor].params;
        for (unsigned i = threadIdx.x; i < c.n; i += GPU_BLOCK) switch (what) {
            case GPU_READ_THETA: ((float *)params)[c.first + i] = m.theta[at + i]; break;
            case GPU_SET: m.theta[at + i] = m.move[at + i] = number_read(m.param_type, params, c.first + i); break;
            case GPU_SWAP:
                m.move[at + i] = number_read(m.param_type, params, c.first + i);
                number_write(m.param_type, params, c.first + i, m.theta[at + i]);
                break;
            case GPU_SWAP_BACK: number_write(m.param_type, params, c.first + i, m.move[at + i]); break;
            }
    }
}

/* ---- Parts of the state -------------------------------------------------------------------------------------------------------- */

/* Where element `at` of a part stands, if that is a float of its own; NULL: it is a component of private state. */
__device__ static inline float *part_element(const gpu_model &m, const state_piece &p, uint64_t at) {
    switch (p.part) {
    case PART_GLOBAL: return m.v + at;
    case PART_GUARD: return m.guard + at;
    case PART_TENSOR: return m.u + p.tensor * padded(m.dims.tensor) + at;
    case PART_THETA: return m.theta + m.tensors[p.tensor].tile_at * GPU_TILE + at;
    case PART_ATTENDED: return m.move + m.tensors[p.tensor].tile_at * GPU_TILE + at;
    default: return NULL;
    }
}

/* The tile of a parameter's private state. */
__device__ static inline float *tile_of(const gpu_model &m, uint64_t tensor, uint64_t parameter) {
    return m.state + (m.tensors[tensor].tile_at + parameter / GPU_TILE) * gpu_tile_floats(m.dims, m.mixed);
}

/* for each element i of a piece that is this thread's */
#define PIECE_FOR(i, piece) \
    for (uint64_t i = (uint64_t)blockIdx.x * GPU_BLOCK + threadIdx.x; i < (piece).count; i += (uint64_t)gridDim.x * GPU_BLOCK)

__global__ void lopt_pack(const __grid_constant__ gpu_model m, state_piece piece, float *to) {
    PIECE_FOR(i, piece) {
        const float *element = part_element(m, piece, piece.first + i);
        const state_place p = state_part_place(m.dims, piece.part, m.tensors[piece.tensor].count, piece.first + i);
        to[i] = element ? *element
                        : state_read(m, tile_of(m, piece.tensor, p.parameter), (unsigned)(p.parameter % GPU_TILE), p.component);
    }
}

__global__ void lopt_unpack(const __grid_constant__ gpu_model m, state_piece piece, const float *from) {
    PIECE_FOR(i, piece) {
        float *element = part_element(m, piece, piece.first + i);
        const state_place p = state_part_place(m.dims, piece.part, m.tensors[piece.tensor].count, piece.first + i);
        if (element) *element = from[i];
        else state_write(m, tile_of(m, piece.tensor, p.parameter), (unsigned)(p.parameter % GPU_TILE), p.component, from[i]);
    }
}

void GPU_SYMBOL(gpu_gather)(gpu_launch *l, const gpu_model *m); /* step.cu */

/* ---- The host's side ----------------------------------------------------------------------------------------------------------- */

void GPU_SYMBOL(gpu_load_transfer)(gpu_launch *l) { CUDA_LOAD(l, lopt_exchange); }

void GPU_SYMBOL(gpu_start)(gpu_launch *l, const gpu_model *m, const start_rates *rates) {
    CUDA_LAUNCH(l, lopt_start, gpu_grid(l, 1 + m->num_tensors + m->num_chunks, GPU_RESIDENT), *m, *rates);
}

void GPU_SYMBOL(gpu_sum_rates)(gpu_launch *l, const gpu_model *m) {
    CUDA_LAUNCH(l, lopt_sum_rates, gpu_grid(l, m->num_chunks, GPU_RESIDENT), *m);
    GPU_SYMBOL(gpu_gather)(l, m);
    CUDA_LAUNCH(l, lopt_sum_tensor_rates, gpu_grid(l, m->num_tensors, GPU_RESIDENT), *m);
}

void GPU_SYMBOL(gpu_exchange_params)(gpu_launch *l, const gpu_model *m, gpu_exchange what) {
    CUDA_LAUNCH(l, lopt_exchange, gpu_grid(l, m->num_chunks, GPU_RESIDENT), *m, what);
}

void GPU_SYMBOL(gpu_pack)(gpu_launch *l, const gpu_model *m, const state_piece *piece, float *to) {
    CUDA_LAUNCH(l, lopt_pack, gpu_grid(l, (piece->count + GPU_BLOCK - 1) / GPU_BLOCK, GPU_RESIDENT), *m, *piece, to);
}

void GPU_SYMBOL(gpu_unpack)(gpu_launch *l, const gpu_model *m, const state_piece *piece, const float *from) {
    CUDA_LAUNCH(l, lopt_unpack, gpu_grid(l, (piece->count + GPU_BLOCK - 1) / GPU_BLOCK, GPU_RESIDENT), *m, *piece, from);
}
