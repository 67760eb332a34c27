/* gpu_runtime on CUDA's runtime library. No call leaves another device current than it found. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/table.cuh"

extern "C" {
#include "base/status.h"
#include "kernels/cuda/architecture.h"
#include "kernels/cuda/gpu.h"
}

/* A device that another process has to itself cannot be turned back to, and need not be: nothing was current there. */
static void turn_back(bool changed, int before) {
    if (changed && cudaSetDevice(before) != cudaSuccess) (void)cudaGetLastError();
}

/* The device is current from here to the end of the scope. */
struct current_device {
    int before = 0;
    bool changed = false;
    cudaError_t error;
    explicit current_device(int device) {
        error = cudaGetDevice(&before);
        changed = error == cudaSuccess && before != device;
        if (changed) error = cudaSetDevice(device);
        if (error != cudaSuccess) (void)cudaGetLastError();
    }
    ~current_device() { turn_back(changed, before); }
};

/* To the end of the scope: what this thread does to other streams does not spoil a capture that is under way. */
struct beside_captures {
    cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    bool changed;
    beside_captures() { changed = cudaThreadExchangeStreamCaptureMode(&mode) == cudaSuccess; }
    ~beside_captures() {
        if (!changed || cudaThreadExchangeStreamCaptureMode(&mode) != cudaSuccess) (void)cudaGetLastError();
    }
};

/* Records the failure of a call, and leaves no error behind that a later call of the caller's would find. */
static lopt_status failed(cudaError_t error, const char *doing) {
    (void)cudaGetLastError();
    if (error == cudaErrorStreamCaptureInvalidated)
        return lopt_fail(LOPT_ERR_DEVICE, "%s: an earlier call has ended the capture into a graph (CUDA says \"%s\", error %d)",
                         doing, cudaGetErrorString(error), (int)error);
    if (error >= cudaErrorStreamCaptureUnsupported && error <= cudaErrorStreamCaptureWrongThread)
        return lopt_fail(LOPT_ERR_ARGUMENT, "%s: not while a stream is being captured into a graph (CUDA says \"%s\", error %d)",
                         doing, cudaGetErrorString(error), (int)error);
    const int no_code = error == cudaErrorNoKernelImageForDevice || error == cudaErrorInvalidDeviceFunction;
    const lopt_status status = error == cudaErrorMemoryAllocation ? LOPT_ERR_MEMORY
                               : no_code                          ? LOPT_ERR_UNSUPPORTED
                                                                  : LOPT_ERR_DEVICE;
    return lopt_fail(status, "%s: CUDA says \"%s\" (error %d)", doing, cudaGetErrorString(error), (int)error);
}

/* Of which architecture the code is that a device of this capability runs; 0: there is none. */
static int code_for(int major, int minor) {
    static const int code[] = {__CUDA_ARCH_LIST__}, ptx[] = {LOPT_CUDA_PTX};
    return architecture_for(code, sizeof code / sizeof code[0], ptx, sizeof ptx / sizeof ptx[0], 100 * major + 10 * minor);
}

static lopt_status cuda_open(int device, unsigned *multiprocessors) {
    int count = 0, major = 0, minor = 0, sms = 0;
    cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess) {
        int driver = 0;
        (void)cudaGetLastError();
        if (error == cudaErrorInsufficientDriver && cudaDriverGetVersion(&driver) == cudaSuccess && driver > 0)
            return lopt_fail(
                LOPT_ERR_DEVICE,
                "device \"cuda\": this build is of CUDA %d.%d, and the driver here goes up to %d.%d; update the driver, or "
                "build with a toolkit of its version",
                CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10, driver / 1000, driver % 1000 / 10);
        (void)cudaGetLastError();
        return lopt_fail(LOPT_ERR_DEVICE,
                         "device \"cuda\": there is no GPU with a working driver (CUDA says \"%s\"); use device \"cpu\"",
                         cudaGetErrorString(error));
    }
    if (device >= count)
        return lopt_fail(LOPT_ERR_ARGUMENT, "device \"cuda:%d\": this machine has %d, numbered from 0", device, count);
    if ((error = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device)) != cudaSuccess ||
        (error = cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device)) != cudaSuccess ||
        (error = cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device)) != cudaSuccess)
        return failed(error, "asking a GPU what it is");
    if (major < 8)
        return lopt_fail(LOPT_ERR_UNSUPPORTED,
                         "device \"cuda:%d\" has compute capability %d.%d; lopt's kernels need 8.0 (A100) or later", device, major,
                         minor);
    if (code_for(major, minor) == 0)
        return lopt_fail(LOPT_ERR_UNSUPPORTED,
                         "device \"cuda:%d\" has compute capability %d.%d, for which this build has no code; build it with "
                         "-DLOPT_CUDA_ARCHITECTURES=%d%d-real",
                         device, major, minor, major, minor);
    *multiprocessors = (unsigned)sms;
    return LOPT_OK;
}

static lopt_status cuda_allocate(int device, size_t bytes, void *stream, void **out) {
    current_device current(device);
    beside_captures beside;
    void *memory = NULL;
    cudaError_t error = current.error;
    if (error == cudaSuccess) error = cudaMalloc(&memory, bytes);
    if (error == cudaErrorMemoryAllocation) {
        (void)cudaGetLastError();
        return lopt_fail(LOPT_ERR_MEMORY, "device \"cuda:%d\" has no memory left for %zu bytes; free some or use fewer parameters",
                         device, bytes);
    }
    if (error == cudaSuccess) error = cudaMemsetAsync(memory, 0, bytes, (cudaStream_t)stream);
    if (error != cudaSuccess) {
        (void)cudaFree(memory);
        return failed(error, "making an optimizer's memory");
    }
    *out = memory;
    return LOPT_OK;
}

static void cuda_release(int device, void *memory) {
    current_device current(device);
    beside_captures beside;
    if (cudaFree(memory) != cudaSuccess) (void)cudaGetLastError(); /* a device that failed has nothing left to release */
}

static lopt_status cuda_check_pointer(int device, const void *p) {
    current_device current(device); /* or the question would make a context on another */
    cudaPointerAttributes a;
    const cudaError_t error = current.error == cudaSuccess ? cudaPointerGetAttributes(&a, p) : current.error;
    if (error != cudaSuccess) return failed(error, "asking where a pointer points");
    if (a.type == cudaMemoryTypeManaged) return LOPT_OK;
    if (a.type != cudaMemoryTypeDevice)
        return lopt_fail(LOPT_ERR_ARGUMENT, "memory of the host; device \"cuda\" takes pointers to its own");
    if (a.device != device)
        return lopt_fail(LOPT_ERR_ARGUMENT, "memory of device \"cuda:%d\"; this optimizer is on \"cuda:%d\"", a.device, device);
    return LOPT_OK;
}

static lopt_status cuda_check_stream(int device, void *stream) {
#if CUDART_VERSION >= 12080
    int its = device;
    cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
    if (stream == NULL || stream == cudaStreamLegacy || stream == cudaStreamPerThread) return LOPT_OK;
    beside_captures beside;
    cudaError_t error = cudaStreamIsCapturing((cudaStream_t)stream, &capture);
    /* The question would end a capture; a launch will fail if the stream is of another device. */
    if (error == cudaSuccess && capture != cudaStreamCaptureStatusNone) return LOPT_OK;
    if (error == cudaSuccess) error = cudaStreamGetDevice((cudaStream_t)stream, &its);
    if (error == cudaErrorCallRequiresNewerDriver || error == cudaErrorNotSupported) { /* before CUDA 12.8: a launch will tell */
        (void)cudaGetLastError();
        return LOPT_OK;
    }
    if (error != cudaSuccess) return failed(error, "asking for a stream's device");
    if (its != device)
        return lopt_fail(LOPT_ERR_ARGUMENT, "the stream is of device \"cuda:%d\"; this optimizer is on \"cuda:%d\"", its, device);
#else
    (void)device, (void)stream; /* a launch into it will fail */
#endif
    return LOPT_OK;
}

static int cuda_capturing(int device, void *stream) {
    current_device current(device); /* the default stream is that of the current device */
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    const cudaError_t error = cudaStreamIsCapturing((cudaStream_t)stream, &status);
    if (error == cudaSuccess) return status != cudaStreamCaptureStatusNone;
    (void)cudaGetLastError();
    return error == cudaErrorStreamCaptureImplicit; /* the legacy stream, beside a capture that work in it would end */
}

static lopt_status copy(int device, void *to, const void *from, size_t bytes, cudaMemcpyKind kind, void *stream) {
    current_device current(device);
    beside_captures beside;
    cudaError_t error = current.error;
    if (error == cudaSuccess) error = cudaMemcpyAsync(to, from, bytes, kind, (cudaStream_t)stream);
    if (error == cudaSuccess) error = cudaStreamSynchronize((cudaStream_t)stream);
    return error == cudaSuccess ? LOPT_OK : failed(error, "copying between host and device");
}

static lopt_status cuda_upload(int device, void *to, const void *from, size_t bytes, void *stream) {
    return copy(device, to, from, bytes, cudaMemcpyHostToDevice, stream);
}
static lopt_status cuda_download(int device, void *to, const void *from, size_t bytes, void *stream) {
    return copy(device, to, from, bytes, cudaMemcpyDeviceToHost, stream);
}

static lopt_status cuda_wait(int device) {
    current_device current(device);
    const cudaError_t error = current.error == cudaSuccess ? cudaDeviceSynchronize() : current.error;
    return error == cudaSuccess ? LOPT_OK : failed(error, "waiting for the device");
}

/* Whether kernels can begin early: from capability 9.0 on, in code compiled for that (block.cuh, step_follows), and with drivers that capture it. */
static int overlaps(int major, int minor, int driver) {
    const char *wish = getenv("LOPT_CUDA_OVERLAP"); /* 0: to find out whether a fault, or a tool's trouble, is of this */
    return code_for(major, minor) >= 900 && driver >= 12030 && (wish == NULL || strcmp(wish, "0") != 0);
}

static lopt_status cuda_begin(int device, void *stream, gpu_launch *out) {
    int before = device, sms = 0, major = 0, minor = 0, driver = 0;
    cudaError_t error = cudaGetDevice(&before);
    const bool changed = error == cudaSuccess && before != device;
    if (changed) error = cudaSetDevice(device);
    if (error == cudaSuccess) error = cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device);
    if (error == cudaSuccess) error = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
    if (error == cudaSuccess) error = cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device);
    if (error == cudaSuccess) error = cudaDriverGetVersion(&driver);
    if (error != cudaSuccess) {
        turn_back(changed, before);
        return failed(error, "turning to the device");
    }
    *out = gpu_launch{stream, (unsigned)sms, changed ? before : GPU_STAYS, 0, overlaps(major, minor, driver)};
    return LOPT_OK;
}

static lopt_status cuda_end(gpu_launch *l) {
    turn_back(l->device_before != GPU_STAYS, l->device_before);
    return l->error != 0 ? failed((cudaError_t)l->error, "launching a kernel") : LOPT_OK;
}

/* ---- For benchmarks and tests -------------------------------------------------------------------------------------------------- */

static lopt_status cuda_stream_create(int device, void **out) {
    current_device current(device);
    cudaStream_t stream = nullptr;
    const cudaError_t error =
        current.error == cudaSuccess ? cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) : current.error;
    if (error != cudaSuccess) return failed(error, "making a stream");
    *out = stream;
    return LOPT_OK;
}

static void cuda_stream_destroy(int device, void *stream) {
    current_device current(device);
    if (cudaStreamDestroy((cudaStream_t)stream) != cudaSuccess) (void)cudaGetLastError();
}

static lopt_status cuda_capture_begin(int device, void *stream) {
    current_device current(device);
    const cudaError_t error = cudaStreamBeginCapture((cudaStream_t)stream, cudaStreamCaptureModeThreadLocal);
    return error == cudaSuccess ? LOPT_OK : failed(error, "beginning to capture a stream");
}

static lopt_status cuda_capture_end(int device, void *stream, void **out) {
    current_device current(device);
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t runnable = nullptr;
    cudaError_t error = cudaStreamEndCapture((cudaStream_t)stream, &graph);
    if (error == cudaSuccess) error = cudaGraphInstantiate(&runnable, graph, 0);
    if (graph && cudaGraphDestroy(graph) != cudaSuccess) (void)cudaGetLastError();
    if (error != cudaSuccess) return failed(error, "making a graph of what a stream was given");
    *out = runnable;
    return LOPT_OK;
}

static lopt_status cuda_graph_launch(int device, void *graph, void *stream) {
    current_device current(device);
    const cudaError_t error = cudaGraphLaunch((cudaGraphExec_t)graph, (cudaStream_t)stream);
    return error == cudaSuccess ? LOPT_OK : failed(error, "launching a graph");
}

static void cuda_graph_destroy(int device, void *graph) {
    current_device current(device);
    if (cudaGraphExecDestroy((cudaGraphExec_t)graph) != cudaSuccess) (void)cudaGetLastError();
}

static lopt_status cuda_copy(int device, void *to, const void *from, size_t bytes, void *stream) {
    current_device current(device);
    const cudaError_t error = cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, (cudaStream_t)stream);
    return error == cudaSuccess ? LOPT_OK : failed(error, "copying within the device");
}

static lopt_status cuda_name(int device, char *out, size_t size) {
    cudaDeviceProp properties;
    const cudaError_t error = cudaGetDeviceProperties(&properties, device);
    if (error != cudaSuccess) return failed(error, "asking a GPU what it is");
    snprintf(out, size, "%s", properties.name);
    return LOPT_OK;
}

extern "C" const gpu_runtime *gpu_runtime_cuda(void) {
    static const gpu_runtime runtime = {&gpu_kernel_table,  cuda_open,           cuda_allocate,      cuda_release,
                                        cuda_check_pointer, cuda_check_stream,   cuda_capturing,     cuda_upload,
                                        cuda_download,      cuda_wait,           cuda_begin,         cuda_end,
                                        cuda_stream_create, cuda_stream_destroy, cuda_capture_begin, cuda_capture_end,
                                        cuda_graph_launch,  cuda_graph_destroy,  cuda_copy,          cuda_name};
    return &runtime;
}
