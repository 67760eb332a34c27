/* What the kernels share: who a thread is, sums in a fixed order, the look at a step's flags. */
#ifndef LOPT_KERNELS_CUDA_BLOCK_CUH
#define LOPT_KERNELS_CUDA_BLOCK_CUH

#include "kernels/cell/features.h"
#include "kernels/cell/team.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/mma_cell.h"
#include "kernels/cuda/model.h"

enum {
    GPU_ROWS = 4,                   /* threads that sum a column */
    GPU_ROW = GPU_BLOCK / GPU_ROWS, /* columns at a time */
    GPU_COLUMNS_MAX = TENSOR_SIZE_MAX,
    GPU_BATCH = 8 /* numbers of one kind that a thread reads before it goes on */
};

struct alignas(8) floats2 {
    float at[2];
};
struct alignas(16) floats4 {
    float at[4];
};
struct alignas(8) words2 {
    uint32_t word[2];
};
struct alignas(16) words4 {
    uint32_t word[4];
};

/* Blocks for n work items, where `resident` blocks run on a multiprocessor at once. */
static inline unsigned gpu_grid(const gpu_launch *l, uint64_t n, unsigned resident) {
    const uint64_t blocks = (uint64_t)l->multiprocessors * resident;
    return n < blocks ? (unsigned)n : (unsigned)blocks;
}
enum { GPU_RESIDENT = 2048 / GPU_BLOCK }; /* of kernels with few registers */

/* Keeps the compiler from deriving a number from others, or from making it again wherever it is wanted. */
#ifdef LOPT_CUDA_EMULATION
static inline void opaque(unsigned &) {}
template <class target> static inline void opaque(target *&) {}
#else
__device__ static inline void opaque(unsigned &a) { asm volatile("" : "+r"(a)); }
template <class target> __device__ static inline void opaque(target *&a) { asm volatile("" : "+l"(a)); }
#endif
/* What is rarely wanted, by an address that is made of the kernel's parameters: else it would take registers all the time. */
__device__ static inline gpu_control *control_of(const gpu_model &m) {
    gpu_control *control = m.control;
    opaque(control);
    return control;
}

/* Work items i < n of this block. */
#define GRID_FOR(i, n) for (uint64_t i = blockIdx.x; i < (uint64_t)(n); i += gridDim.x)

__device__ static inline unsigned gpu_lane(void) { return threadIdx.x % GPU_WARP; }
__device__ static inline unsigned gpu_warp(void) { return threadIdx.x / GPU_WARP; }

__device__ static inline float warp_sum(float a) {
    for (int away = GPU_WARP / 2; away > 0; away /= 2) a += __shfl_xor_sync(0xffffffffu, a, away);
    return a;
}

/* Memory that a step reads and writes once, and that would only drive out of the caches what is wanted again. number: of 4, 8 or 16 bytes, aligned
 * so. */
#ifdef LOPT_CUDA_EMULATION
template <class number> static inline number read_once(const number *p) { return *p; }
template <class number> static inline void write_once(number *p, const number &value) { *p = value; }
#else
template <class number, class word> __device__ static inline number read_once_as(const word *p) {
    const word w = __ldcs(p);
    number value;
    memcpy(&value, &w, sizeof value);
    return value;
}
template <class number> __device__ static inline number read_once(const number *p) {
    if (sizeof(number) == 16) return read_once_as<number>((const float4 *)p);
    return sizeof(number) == 8 ? read_once_as<number>((const float2 *)p) : read_once_as<number>((const float *)p);
}
template <class word, class number> __device__ static inline void write_once_as(word *p, const number &value) {
    word w;
    memcpy(&w, &value, sizeof w);
    __stcs(p, w);
}
template <class number> __device__ static inline void write_once(number *p, const number &value) {
    if (sizeof(number) == 16) write_once_as((float4 *)p, value);
    else if (sizeof(number) == 8) write_once_as((float2 *)p, value);
    else write_once_as((float *)p, value);
}
#endif

/* Four words of shared memory in one load or store, by all compilers: nvcc makes four of a struct's, which ptxas may or may not put together. */
template <class number> __device__ static inline number read_four(const number *p) {
#ifdef LOPT_CUDA_EMULATION
    return *p;
#else
    const uint4 w = *(const uint4 *)p;
    number value;
    memcpy(&value, &w, sizeof value);
    return value;
#endif
}
template <class number> __device__ static inline void write_four(number *p, const number &value) {
#ifdef LOPT_CUDA_EMULATION
    *p = value;
#else
    uint4 w;
    memcpy(&w, &value, sizeof w);
    *(uint4 *)p = w;
#endif
}

enum { GPU_LINE = 128 }; /* bytes of a cache's line */
/* Asks for the line of memory at p to be brought to the second cache. */
__device__ static inline void prefetch_line(const void *p) {
#ifdef LOPT_CUDA_EMULATION
    (void)p;
#else
    asm volatile("prefetch.global.L2 [%0];" ::"l"(__cvta_generic_to_global(p)));
#endif
}

/* How many warps have a tile in a chunk of n parameters. */
__device__ static inline unsigned busy_warps(unsigned n) {
    const unsigned tiles = (n + GPU_TILE - 1) / GPU_TILE;
    return tiles < GPU_WARPS ? tiles : (unsigned)GPU_WARPS;
}

/* out[j] = sum over the threads of the first `warps` warps of mine[j], j < count; always in the same order. part [GPU_WARPS][GPU_SUMS_MAX] is
 * shared, free when this returns. Every thread must come. */
__device__ static inline void block_sums(const float *mine, int count, unsigned warps, float (*part)[GPU_SUMS_MAX], float *out) {
    const unsigned thread = team_rank();
    if (thread / GPU_WARP < warps) {
        CELL_UNROLL
        for (int j = 0; j < count; j++) {
            const float sum = warp_sum(mine[j]);
            if (thread % GPU_WARP == 0) part[thread / GPU_WARP][j] = sum;
        }
    }
    __syncthreads();
    for (int j = (int)thread; j < count; j += GPU_BLOCK) {
        float sum = part[0][j];
        for (unsigned warp = 1; warp < warps; warp++) sum += part[warp][j];
        out[j] = sum;
    }
    __syncthreads();
}

/* sum + column[k stride] over GPU_BATCH rows from k on, GPU_ROWS apart, those below n, one after the other. They are read before any is added: a
 * thread goes on past a load, but not past the first use of what it loads, nor past a test that a load hangs on. taking NULL, or: only rows whose
 * tensor takes part. */
template <class number>
__device__ static inline double add_rows(double sum, const number *column, uint64_t stride, uint32_t k, uint32_t n,
                                         const gpu_buffers *taking) {
    number value[GPU_BATCH];
    bool counts[GPU_BATCH];
    CELL_UNROLL
    for (uint32_t b = 0; b < GPU_BATCH; b++) {
        const uint32_t wanted = k + b * GPU_ROWS, row = wanted < n ? wanted : n - 1;
        value[b] = column[row * stride];
        counts[b] = wanted < n && (taking == NULL || taking[row].grads != NULL);
    }
    CELL_UNROLL
    for (uint32_t b = 0; b < GPU_BATCH; b++) sum += (double)(counts[b] ? value[b] : 0);
    return sum;
}

/* total[j] = sum of matrix[k][j] over rows k < n (chunks or tensors: fewer than GPU_CHUNKS_MAX), for j < count, in double: GPU_ROWS threads take every
 * GPU_ROWS-th row. taking as in add_rows. Shared: rows, total [GPU_COLUMNS_MAX]. Every thread must come. */
template <class number>
__device__ static inline void sum_columns(const number *matrix, uint64_t stride, uint64_t n, int count, const gpu_buffers *taking,
                                          double (*rows)[GPU_COLUMNS_MAX], double *total) {
    const unsigned thread = team_rank();
    const int row = (int)thread / GPU_ROW;
    for (int j = (int)thread % GPU_ROW; j < count; j += GPU_ROW) {
        double sum = 0.0;
        for (uint32_t k = (uint32_t)row; k < (uint32_t)n; k += GPU_BATCH * GPU_ROWS)
            sum = add_rows(sum, matrix + j, stride, k, (uint32_t)n, taking);
        rows[row][j] = sum;
    }
    __syncthreads();
    for (int j = (int)thread; j < count; j += GPU_BLOCK) {
        double sum = rows[0][j];
        for (int i = 1; i < GPU_ROWS; i++) sum += rows[i][j];
        total[j] = sum;
    }
    __syncthreads();
}

/* Columns [first, first + count) of the sums over a tensor's parameters. */
__device__ static inline void tensor_sums(const gpu_model &m, const gpu_tensor &t, int first, int count,
                                          double (*rows)[GPU_COLUMNS_MAX], double *total) {
    const uint64_t stride = (uint64_t)gpu_sums(m.dims);
    if (m.num_spans)
        sum_columns(m.span_sums + t.span_at * stride + first, stride, t.span_end - t.span_at, count, NULL, rows, total);
    else sum_columns(m.sums + t.chunk_at * stride + first, stride, t.chunk_end - t.chunk_at, count, NULL, rows, total);
}

/* A step's kernels follow each other closely (programmatic dependent launch). Each that is launched by CUDA_FOLLOW begins with step_follows, and before it
 * does only what is the same in all steps: from there on all that kernels before it have done is done. From where all of its blocks have come to
 * step_leads, or to their end, the next one may come as far as its own step_follows: not before step_follows, and not long before the end, or blocks
 * that only wait are in the way of others. */
__device__ static inline void step_follows(void) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
__device__ static inline void step_leads(void) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/* Whether it is not 0: by its bits, since subnormal numbers are taken for 0 in arithmetic (-ftz), and an integer 1 that is read as a float is one. */
__device__ static inline bool is_set(float flag) { return (float_to_bits(flag) & 0x7fffffffu) != 0; }

/* The same decision in every kernel of a step: nothing of the model changes in a step that is skipped. While parameters are swapped the host refuses
 * steps, but not a graph's. */
__device__ static inline bool step_skipped(const gpu_model &m) {
    return m.control->swapped | (m.found_inf ? is_set(*m.found_inf) : m.control->unusable);
}
/* By one thread of a step that is skipped. */
__device__ static inline void count_skipped(const gpu_model &m) { m.control->skipped += !m.control->swapped; }

__device__ static inline float gradient_divisor(const gpu_model &m) { return m.grad_scale ? *m.grad_scale : 1.0f; }

/* A gradient entry, divided. The division is exact wherever the divisor is a power of two, and rounded correctly otherwise. */
__device__ static inline float gradient_divided(float g, float divisor) { return divisor == 1.0f ? g : __fdiv_rn(g, divisor); }

__device__ static inline bool gradient_usable(float g) { return fabsf(g) <= GRADIENT_MAX; } /* false for NaN too */

/* Where component c of parameter i of a tile stands: in fp32 state; in mixed state, but for the last one, among 16-bit numbers; where that one does. */
__device__ static inline unsigned place(lopt_dims d, unsigned i, int c) {
    return dims_default_cell(d) ? mma_place(i, c) : (unsigned)c * GPU_TILE + i;
}
__device__ static inline unsigned mixed_place(lopt_dims d, unsigned i, int c) {
    return dims_default_cell(d) ? mma_mixed_place(i, c) : (unsigned)c * GPU_TILE + i;
}
__device__ static inline unsigned mixed_rate_place(lopt_dims d, unsigned i) {
    return dims_default_cell(d) ? mma_mixed_rate_place(i) : (unsigned)(dims_state(d) - 1) * (GPU_TILE / 2) + i;
}
/* A component, read and written one at a time. */
__device__ static inline float state_read(const gpu_model &m, const float *tile, unsigned i, int c) {
    if (!m.mixed) return tile[place(m.dims, i, c)];
    if (c == dims_state(m.dims) - 1) return tile[mixed_rate_place(m.dims, i)];
    const uint16_t h = ((const uint16_t *)tile)[mixed_place(m.dims, i, c)];
    return c < m.dims.param ? fp16_to_float(h) : bf16_to_float(h);
}
__device__ static inline void state_write(const gpu_model &m, float *tile, unsigned i, int c, float value) {
    if (!m.mixed) tile[place(m.dims, i, c)] = value;
    else if (c == dims_state(m.dims) - 1) tile[mixed_rate_place(m.dims, i)] = value;
    else ((uint16_t *)tile)[mixed_place(m.dims, i, c)] = c < m.dims.param ? float_to_fp16(value) : float_to_bf16(value);
}

#endif
