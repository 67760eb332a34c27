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
    uint32_t work[2]; /* this turn's and the next one's */
    uint32_t last[3];
};

/* Rules 10 and 13, by the block that ended the tensor's last chunk, and 14 by that of the last tensor. Phase 2 needs no more than the roots. */
__device__ static inline void fused_finish(const gpu_model &m, uint32_t tensor, fused_words *s, level_scratch *level) {
    const gpu_tensor t = m.tensors[tensor];
    tensor_totals(m, t, level);
    if (threadIdx.x == 0) tensor_scales(m, tensor, t.count, level);
    __syncthreads();
    if (threadIdx.x == 0) order_publish(&m.progress.ready[tensor]);
    tensor_advance(m, tensor, level);
    if (block_is_last(&m.control->tensors_left, &s->last[2])) model_finish(m, level);
}

/* A chunk has been through phase 1. next: the block's next piece of work, which may still be on its way from memory. */
__device__ static inline void fused_count(const gpu_model &m, uint32_t chunk, uint32_t tensor, uint32_t next, unsigned turn,
                                          fused_words *s, level_scratch *level) {
    const gpu_tensor t = m.tensors[tensor];
    const uint64_t span = t.span_at + (chunk - t.chunk_at) / GPU_SPAN;
    if (threadIdx.x == 0) {
        s->last[0] = order_count_down(m.num_spans ? &m.progress.span_left[span] : &m.progress.tensor_left[tensor]) == 1;
        s->work[turn] = next;
    }
    __syncthreads();
    if (!s->last[0]) return;
    if (m.num_spans) {
        gather_span(m, span, level->rows);
        if (!block_is_last(&m.progress.tensor_left[tensor], &s->last[1])) return;
    }
    fused_finish(m, tensor, s, level);
}

/* The next piece of work, by thread 0; its number has been drawn before. */
__device__ static inline uint32_t fused_work(const gpu_model &m, uint32_t ticket) {
    return threadIdx.x == 0 && ticket < m.num_work ? m.work[ticket] : GPU_WORK_NONE;
}

__device__ static inline void fused_take(const gpu_model &m, uint32_t ticket, unsigned turn, fused_words *s) {
    if (threadIdx.x == 0) s->work[turn] = fused_work(m, ticket);
    __syncthreads();
}

/* Phase 2 of a piece that begins with a chunk. */
__device__ static inline void fused_apply(const gpu_model &m, gpu_moves moves, const gpu_chunk &c) {
    const uint64_t left = m.tensors[c.tensor].count - c.first;
    apply_chunk(m, moves, {c.first, c.tensor, left < m.piece ? (uint32_t)left : m.piece});
}

/* moves: gpu_moves_of. advance(number, chunk, before_sums): phase 1 of it, with a barrier at its end, and one before it uses what `level` may share
 * memory with. Numbers are drawn a little before they are needed, which hides the way to memory, but not a whole chunk before: phase 2 would find its
 * tensor not ready. */
template <class phase_1>
__device__ static inline void fused_step(const gpu_model &m, gpu_moves moves, fused_words *s, level_scratch *level,
                                         const phase_1 &advance) {
    uint32_t ticket = 0;
    const auto draw = [&] {
        if (threadIdx.x == 0) ticket = order_take(&m.control->ticket);
    };
    draw();
    fused_take(m, ticket, 0, s);
    for (unsigned turn = 0;; turn ^= 1) {
        const uint32_t work = s->work[turn], chunk = work & ~GPU_WORK_APPLY;
        if (work == GPU_WORK_NONE) return;
        const gpu_chunk c = m.chunks[chunk];
        if (m.buffers[c.tensor].grads == NULL) {
            draw();
            fused_take(m, ticket, turn ^ 1, s);
        } else if (work & GPU_WORK_APPLY) {
            block_waits_for(&m.progress.ready[c.tensor]);
            draw();
            fused_apply(m, moves, c);
            fused_take(m, ticket, turn ^ 1, s);
        } else {
            advance(chunk, c, draw);
            fused_count(m, chunk, c.tensor, fused_work(m, ticket), turn ^ 1, s, level);
        }
    }
}

#endif
