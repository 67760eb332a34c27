#include "tests/cuda/emulated_gpu.h"

#include <map>

#include "kernels/cuda/table.cuh"

extern "C" {
#include "base/status.h"
}

namespace emulation {

namespace {

struct Memory {
    size_t bytes;
    int device;
};
std::map<const char *, Memory> memories;
Stream default_stream;
std::vector<Stream *> streams;

// CUDA has the handles 1 and 2 for default streams (cudaStreamLegacy, cudaStreamPerThread).
bool is_default(void *stream) { return reinterpret_cast<uintptr_t>(stream) <= 2; }
Stream *stream_of(void *stream) { return is_default(stream) ? &default_stream : static_cast<Stream *>(stream); }

const std::pair<const char *const, Memory> *find(const void *p) {
    const char *at = static_cast<const char *>(p);
    auto next = memories.upper_bound(at);
    if (next == memories.begin()) return nullptr;
    --next;
    return at < next->first + next->second.bytes ? &*next : nullptr;
}

lopt_status open(int device, unsigned *multiprocessors) {
    if (!machine.has_driver)
        return lopt_fail(LOPT_ERR_DEVICE, "device \"cuda\": there is no GPU with a working driver; use device \"cpu\"");
    if (device >= DEVICES)
        return lopt_fail(LOPT_ERR_ARGUMENT, "device \"cuda:%d\": this machine has %d, numbered from 0", device, DEVICES);
    *multiprocessors = machine.multiprocessors;
    return LOPT_OK;
}

// Zeroed in the order of the stream: until then it holds NaNs.
lopt_status allocate(int device, size_t bytes, void *stream, void **out) {
    machine.allocations++;
    if (bytes > machine.memory_left)
        return lopt_fail(LOPT_ERR_MEMORY, "device \"cuda:%d\" has no memory left for %zu bytes", device, bytes);
    void *memory = device_memory(device, bytes);
    std::memset(memory, 0xff, bytes);
    enqueue(stream, [=] { std::memset(memory, 0, bytes); });
    *out = memory;
    return LOPT_OK;
}

lopt_status wait(int) {
    machine.waits++;
    for (Stream *s : streams) stream_wait(s);
    stream_wait(nullptr);
    return LOPT_OK;
}

void release(int device, void *memory) {
    wait(device);
    device_free(memory);
}

lopt_status check_pointer(int device, const void *p) {
    const auto *m = find(p);
    if (m == nullptr) return lopt_fail(LOPT_ERR_ARGUMENT, "memory of the host; device \"cuda\" takes pointers to its own");
    if (m->second.device != device)
        return lopt_fail(LOPT_ERR_ARGUMENT, "memory of device \"cuda:%d\"; this optimizer is on \"cuda:%d\"", m->second.device,
                         device);
    return LOPT_OK;
}

lopt_status check_stream(int device, void *stream) {
    const int its = is_default(stream) ? device : stream_of(stream)->device;
    if (its != device)
        return lopt_fail(LOPT_ERR_ARGUMENT, "the stream is of device \"cuda:%d\"; this optimizer is on \"cuda:%d\"", its, device);
    return LOPT_OK;
}

int capturing(int, void *stream) { return stream_of(stream)->captured_into != nullptr; }

lopt_status copy(int, void *to, const void *from, size_t bytes, void *stream) {
    enqueue(stream, [=] { std::memcpy(to, from, bytes); });
    machine.waits++;
    stream_wait(stream);
    return LOPT_OK;
}

lopt_status begin(int, void *stream, gpu_launch *out) {
    *out = gpu_launch{stream, machine.multiprocessors, 0, 0, 0};
    return LOPT_OK;
}

lopt_status end(gpu_launch *l) {
    return l->error == 0 ? LOPT_OK : lopt_fail(LOPT_ERR_DEVICE, "launching a kernel: error %d", l->error);
}

lopt_status make_stream(int device, void **out) {
    *out = stream_create(device);
    return LOPT_OK;
}
void destroy_stream(int, void *stream) { stream_destroy(stream_of(stream)); }
lopt_status capture_begin(int, void *stream) {
    stream_of(stream)->captured_into = new Graph;
    return LOPT_OK;
}
lopt_status capture_end(int, void *stream, void **graph) {
    *graph = stream_of(stream)->captured_into;
    stream_of(stream)->captured_into = nullptr;
    return LOPT_OK;
}
lopt_status graph_launch(int, void *graph, void *stream) {
    enqueue(stream, [graph] { static_cast<Graph *>(graph)->replay(); });
    return LOPT_OK;
}
void graph_destroy(int, void *graph) { delete static_cast<Graph *>(graph); }
lopt_status copy_within(int, void *to, const void *from, size_t bytes, void *stream) {
    enqueue(stream, [=] { std::memcpy(to, from, bytes); });
    return LOPT_OK;
}
lopt_status name(int, char *out, size_t size) {
    std::snprintf(out, size, "emulation");
    return LOPT_OK;
}

} // namespace

const gpu_runtime *runtime() {
    static const gpu_runtime r = {&gpu_kernel_table,
                                  open,
                                  allocate,
                                  release,
                                  check_pointer,
                                  check_stream,
                                  capturing,
                                  copy,
                                  copy,
                                  wait,
                                  begin,
                                  end,
                                  make_stream,
                                  destroy_stream,
                                  capture_begin,
                                  capture_end,
                                  graph_launch,
                                  graph_destroy,
                                  copy_within,
                                  name};
    return &r;
}

void enqueue(void *stream, std::function<void()> work) {
    Stream *s = stream_of(stream);
    (s->captured_into ? s->captured_into->launches : s->queue).push_back(std::move(work));
}

int launch_error() { return machine.launch_error(); }

void stream_wait(void *stream) {
    std::vector<std::function<void()>> queue;
    queue.swap(stream_of(stream)->queue);
    for (const auto &work : queue) work();
}

Stream *stream_create(int device) {
    streams.push_back(new Stream);
    streams.back()->device = device;
    return streams.back();
}

void stream_destroy(Stream *s) {
    stream_wait(s);
    for (size_t i = 0; i < streams.size(); i++)
        if (streams[i] == s) streams.erase(streams.begin() + std::ptrdiff_t(i--));
    delete s;
}

void *device_memory(int device, size_t bytes) {
    char *memory = static_cast<char *>(std::aligned_alloc(256, (bytes + 255) / 256 * 256));
    if (memory == nullptr) std::abort();
    memories[memory] = {bytes, device};
    return memory;
}

void device_free(void *memory) {
    memories.erase(static_cast<char *>(memory));
    std::free(memory);
}

} // namespace emulation
