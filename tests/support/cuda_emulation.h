// CUDA's words on the CPU, so that the source of every kernel runs where there is no GPU. Include this first, then the .cu file.
//
// The threads of a block are fibers that change at __syncthreads and at shuffles; blocks run one after the other. Launches go into the queue
// of their stream with copies of their arguments, and run when somebody waits, or are recorded where the stream is being captured: what a
// launch should have taken by value and did not is noticed. The order of fibers and blocks is drawn from `schedule`: code whose result
// depends on it lacks a barrier. What this cannot see: races between warps within an instruction, memory fences, the cost of anything.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <tuple>
#include <vector>

#include "tests/support/emulated_machine.h"

#ifdef LOPT_SANITIZE_ADDRESS
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__x86_64__) && !defined(LOPT_EMULATION_UCONTEXT) // defined: to test what other processors use
#define EMULATION_OWN_SWITCH 1
#else
#include <ucontext.h>
#endif

#define LOPT_CUDA_EMULATION 1
#define GPU_SYMBOL(name) name##_emulated
#define __global__ static
#define __device__
#define __host__
#define __forceinline__ inline
#define __grid_constant__
#define __launch_bounds__(...)
#define __shared__ static // one block at a time; sanitizers see its bounds

namespace emulation {

struct Index {
    unsigned x;
};
enum State { READY, AT_BARRIER, AT_SHUFFLE, DONE };

struct Fiber {
    unsigned id = 0;
    State state = READY;
    const void *site = nullptr;    // of the barrier
    const void *offered = nullptr; // to the other lanes of its warp
    char *stack = nullptr;
    void *fake_stack = nullptr; // AddressSanitizer's
#ifdef EMULATION_OWN_SWITCH
    void *stack_pointer = nullptr;
#else
    ucontext_t context;
#endif
};

constexpr size_t STACK_BYTES = 128 << 10;

struct Block {
    std::vector<Fiber> fibers;
    const std::function<void()> *body = nullptr;
    Fiber *current = nullptr;
    Fiber scheduler;
    const void *scheduler_stack = nullptr;
    size_t scheduler_stack_bytes = 0;
    ~Block() {
        for (Fiber &f : fibers) std::free(f.stack);
    }
};
// Of all files that include this: inline variables are one.
inline Block block;
inline Index block_index, grid_dim, block_dim;

[[noreturn]] inline void die(const char *what) {
    std::fprintf(stderr, "CUDA emulation: %s (block %u, thread %u)\n", what, block_index.x, block.current ? block.current->id : 0);
    std::abort();
}

// ---- Changing fibers

#ifdef EMULATION_OWN_SWITCH
extern "C" void lopt_emulation_switch(void **from, void *to);
asm(".text\n.weak lopt_emulation_switch\nlopt_emulation_switch:\n"
    "    push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n"
    "    mov %rsp,(%rdi); mov %rsi,%rsp\n"
    "    pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp; ret\n");
inline void change(Fiber &from, Fiber &to) { lopt_emulation_switch(&from.stack_pointer, to.stack_pointer); }
#else
inline void change(Fiber &from, Fiber &to) { swapcontext(&from.context, &to.context); }
#endif

inline void to_scheduler(bool last) {
    Fiber &f = *block.current;
#ifdef LOPT_SANITIZE_ADDRESS
    __sanitizer_start_switch_fiber(last ? nullptr : &f.fake_stack, block.scheduler_stack, block.scheduler_stack_bytes);
#endif
    (void)last;
    change(f, block.scheduler);
#ifdef LOPT_SANITIZE_ADDRESS
    __sanitizer_finish_switch_fiber(f.fake_stack, nullptr, nullptr);
#endif
}

inline void to_fiber(Fiber &f) {
    block.current = &f;
#ifdef LOPT_SANITIZE_ADDRESS
    __sanitizer_start_switch_fiber(&block.scheduler.fake_stack, f.stack, STACK_BYTES);
#endif
    change(block.scheduler, f);
#ifdef LOPT_SANITIZE_ADDRESS
    __sanitizer_finish_switch_fiber(block.scheduler.fake_stack, nullptr, nullptr);
#endif
}

inline void fiber_main() {
#ifdef LOPT_SANITIZE_ADDRESS
    __sanitizer_finish_switch_fiber(nullptr, &block.scheduler_stack, &block.scheduler_stack_bytes);
#endif
    (*block.body)();
    block.current->state = DONE;
    to_scheduler(true);
    std::abort();
}

inline void fiber_prepare(Fiber &f, unsigned id) {
    char *stack = f.stack ? f.stack : static_cast<char *>(std::malloc(STACK_BYTES));
    f = Fiber();
    f.id = id;
    f.stack = stack;
#ifdef EMULATION_OWN_SWITCH
    void **top = reinterpret_cast<void **>(stack + STACK_BYTES - 64);
    *--top = nullptr; // the stack is as after a call
    *--top = reinterpret_cast<void *>(fiber_main);
    for (int i = 0; i < 6; i++) *--top = nullptr;
    f.stack_pointer = top;
#else
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = stack;
    f.context.uc_stack.ss_size = STACK_BYTES;
    f.context.uc_link = nullptr;
    makecontext(&f.context, fiber_main, 0);
#endif
}

// ---- Blocks and grids

inline std::vector<unsigned> order(unsigned n, uint64_t salt) {
    std::vector<unsigned> o(n);
    uint64_t r = (schedule + salt) * 0x9E3779B97F4A7C15ull + 1;
    for (unsigned i = 0; i < n; i++) o[i] = i;
    for (unsigned i = n; schedule != 0 && i-- > 1;) {
        r ^= r << 13, r ^= r >> 7, r ^= r << 17;
        std::swap(o[i], o[r % (i + 1)]);
    }
    return o;
}

// Everybody waits at one barrier, or somebody waits at another, or has left.
inline bool open_barrier() {
    const void *site = nullptr;
    unsigned waiting = 0;
    for (Fiber &f : block.fibers)
        if (f.state == AT_BARRIER) {
            if (waiting++ && f.site != site) die("threads wait at different __syncthreads");
            site = f.site;
        } else if (f.state == AT_SHUFFLE) {
            return false;
        }
    if (waiting == 0) return false;
    if (waiting != block.fibers.size()) die("__syncthreads that not every thread of the block reaches");
    for (Fiber &f : block.fibers) f.state = READY;
    return true;
}

inline void run_block(const std::vector<unsigned> &turns) {
    for (unsigned i = 0; i < block_dim.x; i++) fiber_prepare(block.fibers[i], i);
    for (;;) {
        bool ran = false, left = false;
        for (unsigned i : turns) {
            Fiber &f = block.fibers[i];
            if (f.state == READY) to_fiber(f), ran = true;
            left = left || f.state != DONE;
        }
        if (!left) return;
        if (!ran && !open_barrier()) die("a shuffle that not every lane of the warp reaches");
    }
}

inline void run_grid(unsigned grid, unsigned threads, const std::function<void()> &body) {
    if (block.fibers.size() != threads) {
        for (Fiber &f : block.fibers) std::free(f.stack);
        block.fibers.assign(threads, Fiber());
    }
    block.body = &body;
    grid_dim.x = grid, block_dim.x = threads;
    for (unsigned b : order(grid, 7)) {
        block_index.x = b;
        run_block(order(threads, b));
    }
    block.current = nullptr;
}

inline void sync_threads(const void *site) {
    block.current->state = AT_BARRIER;
    block.current->site = site;
    to_scheduler(false);
}

// The 32 lanes of a warp, each with an offer, come together, and `work` is done once, on all offers in the order of the lanes. Returns what it has
// left in `out`, good until the next time. All must come: the kernels use no other mask.
template <class T, class R, class Work> const R *warp_work(const T &mine, Work work) {
    static R results[1024 / 32]; // of each warp; overwritten only when all of its lanes have come again
    Fiber &f = *block.current;
    const unsigned first = f.id / 32 * 32;
    Fiber *warp = &block.fibers[first];
    f.offered = &mine;
    f.state = AT_SHUFFLE;
    bool all = true;
    for (unsigned lane = 0; lane < 32; lane++) {
        if (warp[lane].state == DONE) die("a shuffle that not every lane of the warp reaches");
        all = all && warp[lane].state == AT_SHUFFLE;
    }
    if (!all) {
        to_scheduler(false);
        return &results[first / 32];
    }
    const T *offers[32];
    for (unsigned lane = 0; lane < 32; lane++) {
        offers[lane] = static_cast<const T *>(warp[lane].offered);
        warp[lane].state = READY;
    }
    work(offers, &results[first / 32]);
    return &results[first / 32];
}

// What each of the lanes offers.
template <class T> const T *warp_gather(const T &mine) {
    struct all {
        T of_lane[32];
    };
    return warp_work<T, all>(mine,
                             [](const T *const *offers, all *out) {
                                 for (unsigned lane = 0; lane < 32; lane++)
                                     std::memcpy(&out->of_lane[lane], offers[lane], sizeof(T));
                             })
        ->of_lane;
}

// ---- Streams

struct Graph {
    std::vector<std::function<void()>> launches;
    void replay() const {
        for (const auto &l : launches) l();
    }
};
struct Stream {
    int device = 0;
    std::vector<std::function<void()>> queue;
    Graph *captured_into = nullptr; // null: not captured
};
void enqueue(void *stream, std::function<void()> work); // emulated_gpu.cpp; NULL: the default stream
int launch_error();                                     // 0, or what the next launch must report

template <class... Parameters, class... Arguments>
int launch(void *stream, unsigned grid, unsigned threads, void (*kernel)(Parameters...), Arguments... arguments) {
    if (int error = launch_error()) return error;
    enqueue(stream, [=, args = std::tuple<std::decay_t<Parameters>...>(arguments...)] {
        run_grid(grid, threads, [&] { std::apply(kernel, args); });
    });
    return 0;
}

} // namespace emulation

#define threadIdx (emulation::Index{emulation::block.current->id})
#define blockIdx (emulation::block_index)
#define blockDim (emulation::block_dim)
#define gridDim (emulation::grid_dim)
#define __syncthreads()                  \
    do {                                 \
        static const char site_ = 0;     \
        emulation::sync_threads(&site_); \
    } while (0)
using emulation::warp_gather;
using emulation::warp_work;
template <class number> number __shfl_xor_sync(unsigned mask, number value, int away) {
    if (mask != 0xffffffffu) emulation::die("a shuffle without all lanes");
    return warp_gather(value)[(threadIdx.x % 32) ^ unsigned(away)];
}
inline void __syncwarp() { (void)warp_gather('w'); }
inline float __fdiv_rn(float a, float b) { return a / b; }
#define CUDA_LAUNCH(launch_, kernel, grid, ...)                                                                                \
    do {                                                                                                                       \
        if ((launch_)->error == 0)                                                                                             \
            (launch_)->error = emulation::launch((launch_)->stream, unsigned(grid), unsigned(GPU_BLOCK), kernel, __VA_ARGS__); \
    } while (0)
#define CUDA_FOLLOW CUDA_LAUNCH
#define CUDA_LOAD(launch_, kernel) ((launch_)->error = (launch_)->error ? (launch_)->error : emulation::launch_error())
