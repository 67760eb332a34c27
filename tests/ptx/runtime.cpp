// CUDA's runtime library, as far as lopt uses it, over tests/ptx/gpus.h. Its functions return what CUDA's would; those that nvcc's host code calls before
// main are here too.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstring>

#include "tests/ptx/gpus.h"
#include "tests/support/emulated_machine.h"

using ptx::gpus;

namespace {

thread_local int current = 0;
thread_local cudaError_t last = cudaSuccess;

// What a call returns: a fault that has been comes first.
cudaError_t returns(cudaError_t error) {
    if (error == cudaSuccess && !gpus().faults.empty()) error = cudaErrorIllegalAddress;
    if (error != cudaSuccess) last = error;
    return error;
}

thread_local cudaStreamCaptureMode capture_mode = cudaStreamCaptureModeGlobal;

// While a stream is captured, what waits or allocates is not allowed and spoils the capture.
bool refused_by_capture() {
    if (capture_mode == cudaStreamCaptureModeRelaxed || !gpus().capturing()) return false;
    gpus().break_captures();
    return true;
}

// The two handles of default streams are one stream here.
ptx::Stream *stream_of(cudaStream_t s) {
    return gpus().stream(s == cudaStreamLegacy || s == cudaStreamPerThread ? nullptr : s, current);
}

uint64_t address(const void *p) { return reinterpret_cast<uintptr_t>(p); }

ptx::Allocation *allocation(const void *p, size_t bytes, size_t *at) { return gpus().machine.memory.find(address(p), bytes, at); }

void write_device(const void *to, const std::vector<uint8_t> &from) {
    size_t at = 0;
    ptx::Allocation *a = allocation(to, from.size(), &at);
    if (a == nullptr) throw ptx::Fault{"a copy to outside of any allocation"};
    std::copy(from.begin(), from.end(), a->memory.data.begin() + std::ptrdiff_t(at));
    a->memory.written_by_host(at, from.size());
}

std::vector<uint8_t> read_device(const void *from, size_t bytes) {
    size_t at = 0;
    ptx::Allocation *a = allocation(from, bytes, &at);
    if (a == nullptr) throw ptx::Fault{"a copy from outside of any allocation"};
    const auto first = a->memory.data.begin() + std::ptrdiff_t(at);
    return std::vector<uint8_t>(first, first + std::ptrdiff_t(bytes));
}

} // namespace

extern "C" {

// ---- what nvcc's host code calls before main

void **__cudaRegisterFatBinary(void *) {
    static void *handle;
    return &handle;
}
void __cudaRegisterFatBinaryEnd(void **) {}
void __cudaUnregisterFatBinary(void **) {}
void __cudaRegisterFunction(void **, const char *host, char *, const char *name, int, uint3 *, uint3 *, dim3 *, dim3 *, int *) {
    gpus().name_kernel(host, name);
}
// <<< >>> is not used
cudaError_t __cudaGetKernel(cudaKernel_t *, const void *) { return cudaErrorNotSupported; }
cudaError_t __cudaLaunchKernel(cudaKernel_t, dim3, dim3, void **, size_t, cudaStream_t) { return cudaErrorNotSupported; }
cudaError_t __cudaPopCallConfiguration(dim3 *, dim3 *, size_t *, void *) { return cudaErrorNotSupported; }

// ---- devices and errors

cudaError_t cudaGetDeviceCount(int *count) {
    if (gpus().count() == 0) return returns(cudaErrorNoDevice);
    *count = gpus().count();
    return returns(cudaSuccess);
}
cudaError_t cudaGetDevice(int *device) {
    *device = current;
    return returns(cudaSuccess);
}
cudaError_t cudaSetDevice(int device) {
    if (device < 0 || device >= gpus().count()) return returns(cudaErrorInvalidDevice);
    current = device;
    return returns(cudaSuccess);
}
cudaError_t cudaDriverGetVersion(int *version) {
    *version = CUDART_VERSION;
    return returns(cudaSuccess);
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device) {
    if (device < 0 || device >= gpus().count()) return returns(cudaErrorInvalidDevice);
    if (attribute == cudaDevAttrComputeCapabilityMajor) *value = gpus().capability;
    else if (attribute == cudaDevAttrComputeCapabilityMinor) *value = 0;
    else if (attribute == cudaDevAttrMultiProcessorCount) *value = int(emulation::machine.multiprocessors);
    else return returns(cudaErrorInvalidValue);
    return returns(cudaSuccess);
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int device) {
    if (device < 0 || device >= gpus().count()) return returns(cudaErrorInvalidDevice);
    std::memset(static_cast<void *>(p), 0, sizeof *p);
    std::snprintf(p->name, sizeof p->name, "PTX");
    return returns(cudaSuccess);
}
cudaError_t cudaGetLastError() {
    const cudaError_t error = last;
    last = cudaSuccess;
    return error;
}
const char *cudaGetErrorString(cudaError_t error) {
    return error == cudaErrorMemoryAllocation ? "out of memory" : error == cudaErrorIllegalAddress ? "a fault" : "an error";
}
cudaError_t cudaDeviceSynchronize() {
    if (refused_by_capture()) return returns(cudaErrorStreamCaptureUnsupported);
    emulation::machine.waits++;
    gpus().wait_for_all();
    return returns(cudaSuccess);
}

// ---- memory

cudaError_t cudaMalloc(void **p, size_t bytes) {
    if (refused_by_capture()) return returns(cudaErrorStreamCaptureUnsupported);
    const size_t held = gpus().machine.memory.held(current);
    emulation::machine.allocations++;
    if (bytes > emulation::machine.memory_left) return returns(cudaErrorMemoryAllocation);
    if (held > gpus().bytes || bytes > gpus().bytes - held) return returns(cudaErrorMemoryAllocation);
    *p = reinterpret_cast<void *>(gpus().machine.memory.allocate(current, bytes));
    return returns(cudaSuccess);
}
cudaError_t cudaFree(void *p) {
    if (refused_by_capture()) return returns(cudaErrorStreamCaptureUnsupported);
    gpus().wait_for_all();
    size_t at = 0;
    if (p == nullptr) return returns(cudaSuccess);
    if (allocation(p, 0, &at) == nullptr || at != 0) return returns(cudaErrorInvalidValue);
    gpus().machine.memory.release(address(p));
    return returns(cudaSuccess);
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *a, const void *p) {
    size_t at = 0;
    const ptx::Allocation *found = allocation(p, 1, &at);
    std::memset(a, 0, sizeof *a);
    a->type = found ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
    a->device = found ? found->device : -2;
    return returns(cudaSuccess);
}
cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes, cudaStream_t stream) {
    ptx::Stream *s = stream_of(stream);
    if (s == nullptr) return returns(cudaErrorInvalidResourceHandle);
    gpus().enqueue(s, [=] { write_device(p, std::vector<uint8_t>(bytes, uint8_t(value))); });
    return returns(cudaSuccess);
}
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
    ptx::Stream *s = stream_of(stream);
    if (s == nullptr) return returns(cudaErrorInvalidResourceHandle);
    if (kind == cudaMemcpyHostToDevice) { // of memory that is not pinned: taken before it returns
        const uint8_t *bytes_of = static_cast<const uint8_t *>(from);
        const std::vector<uint8_t> copy(bytes_of, bytes_of + bytes);
        gpus().enqueue(s, [=] { write_device(to, copy); });
    } else if (kind == cudaMemcpyDeviceToDevice) {
        gpus().enqueue(s, [=] { write_device(to, read_device(from, bytes)); });
    } else if (kind == cudaMemcpyDeviceToHost && s->captured_into == nullptr) { // likewise: there when it returns
        gpus().enqueue(s, [=] {
            const std::vector<uint8_t> copy = read_device(from, bytes);
            std::copy(copy.begin(), copy.end(), static_cast<uint8_t *>(to));
        });
        emulation::machine.waits++;
        gpus().wait(s);
    } else return returns(cudaErrorInvalidValue);
    return returns(cudaSuccess);
}

// ---- streams and graphs

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned) {
    *out = static_cast<cudaStream_t>(gpus().add_stream(current));
    return returns(cudaSuccess);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    ptx::Stream *s = stream_of(stream);
    if (s == nullptr || stream == nullptr) return returns(cudaErrorInvalidResourceHandle);
    gpus().remove_stream(s);
    return returns(cudaSuccess);
}
cudaError_t cudaStreamGetDevice(cudaStream_t stream, int *device) {
    const ptx::Stream *s = stream_of(stream);
    if (s == nullptr) return returns(cudaErrorInvalidResourceHandle);
    if (refused_by_capture()) return returns(cudaErrorStreamCaptureUnsupported);
    *device = s->device;
    return returns(cudaSuccess);
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    ptx::Stream *s = stream_of(stream);
    if (s == nullptr) return returns(cudaErrorInvalidResourceHandle);
    if (refused_by_capture()) return returns(cudaErrorStreamCaptureUnsupported);
    emulation::machine.waits++;
    gpus().wait(s);
    return returns(cudaSuccess);
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *status) {
    const ptx::Stream *s = stream_of(stream);
    if (s == nullptr) return returns(cudaErrorInvalidResourceHandle);
    *status = s->captured_into ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
    return returns(cudaSuccess);
}
cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode *mode) {
    std::swap(*mode, capture_mode);
    return returns(cudaSuccess);
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
    ptx::Stream *s = stream_of(stream);
    if (s == nullptr || stream == nullptr || s->captured_into) return returns(cudaErrorStreamCaptureUnsupported);
    s->captured_into = new ptx::Graph;
    return returns(cudaSuccess);
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    ptx::Stream *s = stream_of(stream);
    if (s == nullptr || s->captured_into == nullptr) return returns(cudaErrorIllegalState);
    std::unique_ptr<ptx::Graph> captured(s->captured_into);
    s->captured_into = nullptr;
    if (captured->broken) return returns(cudaErrorStreamCaptureInvalidated);
    *graph = reinterpret_cast<cudaGraph_t>(captured.release());
    return returns(cudaSuccess);
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t graph, unsigned long long) {
    *out = reinterpret_cast<cudaGraphExec_t>(new ptx::Graph(*reinterpret_cast<ptx::Graph *>(graph)));
    return returns(cudaSuccess);
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete reinterpret_cast<ptx::Graph *>(graph);
    return returns(cudaSuccess);
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
    gpus().wait_for_all();
    delete reinterpret_cast<ptx::Graph *>(graph);
    return returns(cudaSuccess);
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
    ptx::Stream *s = stream_of(stream);
    if (s == nullptr || s->device != current) return returns(cudaErrorInvalidResourceHandle);
    for (const ptx::Work &w : reinterpret_cast<ptx::Graph *>(graph)->work) gpus().enqueue(s, w);
    return returns(cudaSuccess);
}

// ---- kernels

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *a, const void *function) {
    const ptx::Kernel *k = gpus().kernel(function);
    if (k == nullptr) return returns(cudaErrorInvalidDeviceFunction);
    std::memset(a, 0, sizeof *a);
    a->sharedSizeBytes = k->shared_bytes;
    a->localSizeBytes = k->local_bytes;
    return returns(cudaSuccess);
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t *config, const void *function, void **args) {
    ptx::Stream *s = stream_of(config->stream);
    const ptx::Kernel *k = gpus().kernel(function);
    if (const int error = emulation::machine.launch_error()) return returns(cudaError_t(error));
    if (k == nullptr) return returns(cudaErrorInvalidDeviceFunction);
    if (s == nullptr || s->device != current) return returns(cudaErrorInvalidResourceHandle);
    if (config->gridDim.x == 0 || config->gridDim.y != 1 || config->blockDim.y != 1 || config->blockDim.x % ptx::LANES)
        return returns(cudaErrorInvalidConfiguration);
    ptx::Launch l = {k, config->gridDim.x, config->blockDim.x, std::vector<uint8_t>(k->param_bytes)};
    for (unsigned i = 0; i < config->numAttrs; i++)
        l.early = l.early || (config->attrs[i].id == cudaLaunchAttributeProgrammaticStreamSerialization &&
                              config->attrs[i].val.programmaticStreamSerializationAllowed);
    for (size_t i = 0; i < k->params.size(); i++) std::memcpy(l.params.data() + k->params[i].at, args[i], k->params[i].bytes);
    gpus().enqueue(s, [l] {
        gpus().machine.schedule = unsigned(emulation::schedule);
        gpus().machine.run(l);
    });
    return returns(cudaSuccess);
}

} // extern "C"
