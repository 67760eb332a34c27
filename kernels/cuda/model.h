/* An optimizer in a device's memory, as host code fills it in and kernels read it: plain C, no CUDA header.
 *
 * Parameters are cut into tiles of 32 (one for each lane of a warp) and chunks of up to 8192 (a block's turn), neither of which spans
 * two tensors. A tensor's tiles follow each other, the last one padded; true parameters and waiting updates are [tile][32]. All sums are
 * formed per chunk by one block in a fixed order, then over a tensor's chunks and over tensors in a fixed order: no result depends on the
 * number of blocks.
 *
 * Private state of a tile, C = P + 2S + 1 components: fp32 [C][32] floats. mixed [C - 1][32] 16-bit numbers, fp16 for the hidden state and bf16
 * for the averages, then [32] floats, the log learning rates. The default cell has orders of its own (mma_cell.h). */
#ifndef LOPT_KERNELS_CUDA_MODEL_H
#define LOPT_KERNELS_CUDA_MODEL_H

#include "kernels/cell/dense.h"
#include "kernels/cell/half.h"
#include "kernels/cell/start.h"
#include "kernels/cell/weights_view.h"
#include "kernels/cpu/prepared_view.h"
#include "kernels/state_part.h"

enum {
    GPU_WARP = 32,
    GPU_TILE = GPU_WARP,
    GPU_CHUNK_MAX = 8192, /* a chunk has fewer parameters where there are few: cuda_chunk_size (csrc/optimizer/cuda.h) */
    GPU_CHUNK_MIN = 256,
    GPU_BAND = 16,   /* chunks of a tensor that phase 1 takes side by side, where a tensor has so many */
    GPU_SPAN = 64,   /* chunks of a tensor that are summed by one block, where a tensor has more */
    GPU_BLOCK = 128, /* threads; several are on a multiprocessor, so that one goes on where the other waits for its last warp */
    GPU_WARPS = GPU_BLOCK / GPU_WARP,
    GPU_SUMS_MAX = PARAM_SIZE_MAX + FEATURES_MAX + 3,
    GPU_POINTERS = 224 /* tensors whose pointers one launch carries: arguments of a kernel are at most 4 KB */
};

#define GPU_CHUNKS_MAX (UINT32_C(1) << 31)

/* Sums of a chunk: h' [P], x [X], d^2, e^2, alpha'. */
CELL_FN int gpu_sums(lopt_dims d) { return d.param + dims_features(d) + 3; }

typedef struct gpu_tensor {
    uint64_t count;   /* parameters */
    uint64_t tile_at; /* its first tile */
    uint64_t chunk_at, chunk_end;
    uint64_t span_at, span_end; /* where the model has spans */
} gpu_tensor;

/* Most take it for the n parameters from `first` on. Phase 1 takes those of a band side by side: of the band's runs of GPU_WARPS tiles, that of number
 * `place` and every `chunks`-th after it. So blocks that begin one after the other, as those of a band do, are always close to each other in memory,
 * which it likes better than to be read in as many places as there are blocks. */
typedef struct gpu_chunk {
    uint64_t first; /* of its parameters in the tensor */
    uint32_t tensor, n;
    uint64_t band;          /* the first of its band */
    uint32_t band_n;        /* parameters there */
    uint16_t place, chunks; /* the chunk's among those of the band; how many they are */
} gpu_chunk;
/* Parameters of a band before a chunk's first run of tiles, and from one of its runs to the next. */
CELL_FN uint32_t gpu_chunk_begin(const gpu_chunk *c) { return c->place * (uint32_t)GPU_BLOCK; }
CELL_FN uint32_t gpu_chunk_apart(const gpu_chunk *c) { return c->chunks * (uint32_t)GPU_BLOCK; }

typedef struct gpu_span {
    uint64_t chunk_at, chunk_end; /* of one tensor */
} gpu_span;

/* The caller's memory in the call at hand. grads NULL: the tensor rests. */
typedef struct gpu_buffers {
    void *params;
    const void *grads;
} gpu_buffers;

/* Pieces of work of a step from phase 1 on in one launch: a chunk; or phase 2 of it, and of what follows it in its tensor up to gpu_piece_chunks in
 * all. */
#define GPU_WORK_APPLY GPU_CHUNKS_MAX
#define GPU_WORK_NONE 0xffffffffu
/* Parameters for each multiprocessor, from a tensor's last in phase 1 to its first in phase 2: so many that blocks seldom wait for it. */
enum { GPU_WORK_LAG = 12 * 4096 };

/* What its blocks count while it runs; the start is made by lopt_prepare. */
typedef struct gpu_progress {
    uint32_t *ready;       /* [num_tensors] 1: phase 2 may begin */
    uint32_t *tensor_left; /* [num_tensors] chunks, or spans where the model has them, that are not through phase 1 */
    uint32_t *span_left;   /* [num_spans] chunks */
} gpu_progress;

#define GPU_UNBOUND 1e30f

/* What changes from step to step. */
typedef struct gpu_control {
    uint32_t ticket, tensors_left; /* as in gpu_progress: the next piece of work; tensors that are not through phase 1 */
    uint64_t step, skipped;
    uint64_t taking_part; /* tensors, in the step at hand */
    float lr_scale, weight_decay;
    float mean_log_lr; /* over the tensors that take part */
    uint32_t unusable; /* 1: a gradient was found that is not finite or too large */
    uint32_t swapped;  /* 1: the attended parameters are in `move`; a captured step that is replayed then does nothing */
} gpu_control;

/* The weights in the device's memory. */
typedef struct gpu_weights {
    cell_weights cell;
    dense_matrix dense[DENSE_COUNT];
    const float *param_bias, *tensor_bias, *global_bias; /* as in prepared_weights */
    const float *initial_h, *initial_u, *initial_v;
} gpu_weights;

/* The cell's numbers that are no part of a product. */
typedef struct gpu_cell {
    float scale_decay_bias, input_decay_bias; /* times MMA_DECAY_SCALE */
    float momentum, step_offset;
} gpu_cell;

/* Everything; passed to kernels by value. */
typedef struct gpu_model {
    lopt_dims dims;
    gpu_cell cell;
    int mixed; /* state_dtype */
    number_type param_type, grad_type;
    uint64_t num_tensors, num_chunks;
    uint64_t num_spans;        /* 0: no tensor has more than GPU_SPAN chunks, and they are summed at once */
    const gpu_tensor *tensors; /* [num_tensors] */
    const gpu_chunk *chunks;   /* [num_chunks] */
    const gpu_span *spans;     /* [num_spans] */
    uint64_t num_work;
    const uint32_t *work; /* [num_work] in the order in which they are begun; NULL, as without fragments: phases are launches */
    uint32_t piece;       /* parameters of the largest pieces of phase 2 among them */
    const gpu_weights *weights; /* [1] */
    /* [mixed: 1, fp32: 2][MMA_FRAGMENT_WORDS] the default cell's weights, for tensor cores; NULL: another cell */
    const uint32_t *fragments;
    gpu_buffers *buffers;   /* [num_tensors] */
    gpu_control *control;   /* [1] */
    gpu_progress progress;  /* where there is work */
    unsigned char *started; /* [num_tensors] 1: has taken part in a step */
    float *state;           /* [tiles][gpu_tile_floats] */
    float *theta;           /* [tiles][32] true parameters */
    float *move; /* [tiles][32] updates that wait for phase 2 (gpu_moves); between steps, while swapped, the attended parameters */
    float *attend;      /* likewise; NULL: no attention, mixed state, or the caller's fp32 parameters are the waiting room */
    float *sums;        /* [num_chunks][gpu_sums] */
    double *span_sums;  /* [num_spans][gpu_sums] */
    double *log_lr;     /* [num_tensors] sum of alpha as it is now */
    float *u, *v;       /* [num_tensors][padded T], [padded G] */
    float *bias_param;  /* [num_tensors][padded 3P] */
    float *bias_tensor; /* [padded 3T]; v alone makes it, so it is the same for all tensors */
    float *inverse_rms; /* [num_tensors][2] of move, of attend */
    float *guard;       /* [num_tensors][GUARD_STATE]; NULL: it is off */
    float *log_lr_max;  /* [num_tensors] guard_log_lr_max; GPU_UNBOUND: no alpha is lowered; INFINITY: it is the first step */
    const float *grad_scale, *found_inf; /* the caller's, or NULL */
    int zero_nonfinite;
} gpu_model;

/* How updates wait for phase 2: with mixed state in bf16, as do the averages that they are made of. */
typedef enum gpu_moves {
    MOVES_FLOATS, /* `move`, and where there is attention `attend` */
    MOVES_HALVES, /* 16 bits of `move` */
    MOVES_PAIRS   /* a word of `move` for both, the attended one above */
} gpu_moves;
CELL_FN gpu_moves gpu_moves_of(lopt_dims d, int mixed) { return !mixed ? MOVES_FLOATS : d.attention ? MOVES_PAIRS : MOVES_HALVES; }
/* Where those of a parameter are, counted from the model's first. */
CELL_FN void *gpu_move_at(gpu_moves moves, float *move, uint64_t at) {
    return moves == MOVES_HALVES ? (void *)((uint16_t *)move + at) : (void *)(move + at);
}
/* 4-byte words of a tile's private state. */
CELL_FN uint64_t gpu_tile_floats(lopt_dims d, int mixed) {
    const uint64_t components = (uint64_t)dims_state(d);
    return mixed ? (components - 1) * GPU_TILE / 2 + GPU_TILE : components * GPU_TILE;
}
/* Chunks of a piece of phase 2 where a step is one launch. */
CELL_FN uint32_t gpu_piece_chunks(uint32_t chunk_size) { return GPU_CHUNK_MAX / chunk_size; }
CELL_FN uint64_t gpu_tiles(uint64_t parameters) { return (parameters + GPU_TILE - 1) / GPU_TILE; }

#endif
