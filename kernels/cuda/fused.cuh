/* From phase 1 to the model's RNN in one launch: blocks take work from a list, phase 1 of chunks and phase 2 of chunks. Whoever ends the last chunk of a
 * tensor forms its sums and lets its phase 2 begin, while other tensors are still in phase 1: so the latency of the one and the bytes of the other lie
 * beside phase 1's arithmetic, and what waits between the phases of a tensor that is not too large may wait in the second cache.
 *
 * Work is taken in the order of the list by numbers drawn from a counter, and waits only for what stands before it there: whatever blocks a GPU has
 * room for, the first piece of work that is not done can go on. Sums are those of the separate kernels, in their order, and so are all bits. */
#ifndef LOPT_KERNELS_CUDA_FUSED_CUH
#define LOPT_KERNELS_CUDA_FUSED_CUH

#include "kernels/cuda/apply.cuh"
#include "kernels/cuda/levels.cuh"
#include "kernels/cuda/order.cuh"

/* What thread 0 tells its block; shared. */
struct fused_words {
    uint32_t work, ticket;  /* the piece of work at hand; the number of the next */
    uint32_t chunk, tensor; /* in phase 1: kept here, since tiles leave no registers */
    uint64_t span;
    uint32_t last[3];
};

/* Rules 10 and 13, by the block that ended the tensor's last chunk, and 14 by that of the last tensor. Phase 2 needs no more than the roots. */
__device__ static inline void fused_finish(const gpu_model &m, uint32_t tensor, fused_words *s, level_scratch *level) {
    const gpu_tensor t = m.tensors[tensor];
    tensor_totals(m, t, level);
    if (team_rank() == 0) tensor_scales(m, tensor, t.count, level);
    __syncthreads();
    if (team_rank() == 0) order_publish(&m.progress.ready[tensor]);
    tensor_advance(m, tensor, level);
    if (block_is_last(&control_of(m)->tensors_left, &s->last[2])) model_finish(m, level);
}

/* The piece of work with a number, by thread 0. */
__device__ static inline uint32_t fused_work(const gpu_model &m, uint32_t ticket) {
    return ticket < m.num_work ? m.work[ticket] : GPU_WORK_NONE;
}

/* A chunk has been through phase 1. */
__device__ static inline void fused_count(const gpu_model &m, fused_words *s, level_scratch *level) {
    if (team_rank() == 0) {
        const gpu_tensor t = m.tensors[s->tensor];
        const uint64_t span = t.span_at + (s->chunk - t.chunk_at) / GPU_SPAN;
        const uint32_t next = fused_work(m, s->ticket); /* on its way while the chunk is counted */
        s->last[0] = order_count_down(m.num_spans ? &m.progress.span_left[span] : &m.progress.tensor_left[s->tensor]) == 1;
        s->span = span;
        s->work = next;
    }
    __syncthreads();
    if (!s->last[0]) return;
    const uint32_t tensor = s->tensor;
    if (m.num_spans) {
        gather_span(m, s->span, level->rows);
        if (!block_is_last(&m.progress.tensor_left[tensor], &s->last[1])) return;
    }
    fused_finish(m, tensor, s, level);
}

/* Phase 2 of a piece that begins with a chunk. */
__device__ static inline void fused_apply(const gpu_model &m, gpu_moves moves, const gpu_chunk &c) {
    const uint64_t left = m.tensors[c.tensor].count - c.first;
    gpu_chunk piece = c;
    piece.n = left < m.piece ? (uint32_t)left : m.piece;
    apply_chunk(m, moves, piece);
}

/* moves: gpu_moves_of. advance(number, chunk, before_sums): phase 1 of it, with a barrier at its end. What uses `level` ends with one too, so that both may
 * work in the same memory. Numbers are drawn before the sums are formed, while other warps are at their last tiles, but not a whole chunk before: phase 2
 * would find its tensor not ready. */
template <class phase_1>
__device__ static inline void fused_step(const gpu_model &m, gpu_moves moves, fused_words *s, level_scratch *level,
                                         const phase_1 &advance) {
    const auto draw = [&] { return order_take(&control_of(m)->ticket); };
    if (team_rank() == 0) s->work = fused_work(m, draw());
    __syncthreads();
    for (;;) {
        const uint32_t work = s->work, chunk = work & ~GPU_WORK_APPLY;
        if (work == GPU_WORK_NONE) return;
        const gpu_chunk c = m.chunks[chunk];
        const bool rests = m.buffers[c.tensor].grads == NULL;
        if (!rests && !(work & GPU_WORK_APPLY)) {
            if (team_rank() == 0) s->chunk = chunk, s->tensor = c.tensor;
            advance(chunk, c, [&] {
                if (team_rank() == 0) s->ticket = draw();
            });
            fused_count(m, s, level);
            continue;
        }
        if (rests) __syncthreads(); /* all have read what is taken next */
        else block_waits_for(&m.progress.ready[c.tensor]);
        const uint32_t next = team_rank() == 0 ? draw() : 0;
        if (!rests) fused_apply(m, moves, c);
        if (team_rank() == 0) s->work = fused_work(m, next);
        __syncthreads();
    }
}

#endif
