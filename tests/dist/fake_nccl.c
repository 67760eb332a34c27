/* A stand-in for NCCL and the CUDA runtime, so that the communicator's own code runs where there is no GPU: the same functions, over shared
 * memory of one host. "Device memory" is malloc'ed and remembered, and a collective on anything else is refused as NCCL would; what is enqueued
 * moves on only while the stream is queried, and blocks in copies to the host alone. FAKE_NCCL_DEVICES: how many GPUs there are (8). */
#include <cuda_runtime_api.h>
#include <fcntl.h>
#include <nccl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { RANKS_MAX = 16, PIECE = 1 << 14, ALLOCATIONS_MAX = 256, OPS_MAX = 4096 };

/* ---- Memory ------------------------------------------------------------------------------------------------------------------ */

static struct {
    char *data;
    size_t bytes;
} allocations[ALLOCATIONS_MAX];

static int is_device(const void *p, size_t bytes) {
    for (int i = 0; i < ALLOCATIONS_MAX; i++)
        if (allocations[i].data && (const char *)p >= allocations[i].data &&
            (const char *)p + bytes <= allocations[i].data + allocations[i].bytes)
            return 1;
    return 0;
}

cudaError_t cudaGetDeviceCount(int *count) {
    const char *text = getenv("FAKE_NCCL_DEVICES");
    if (text && atoi(text) == 0) return cudaErrorInsufficientDriver; /* and *count stays as it was */
    *count = text ? atoi(text) : 8;
    return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
    int count = 0;
    return cudaGetDeviceCount(&count) == cudaSuccess && device < count ? cudaSuccess : cudaErrorInvalidDevice;
}
cudaError_t cudaMalloc(void **out, size_t bytes) {
    for (int i = 0; i < ALLOCATIONS_MAX; i++) {
        if (allocations[i].data) continue;
        if ((allocations[i].data = malloc(bytes)) == NULL) return cudaErrorMemoryAllocation;
        memset(allocations[i].data, 0xcd, bytes);
        allocations[i].bytes = bytes;
        *out = allocations[i].data;
        return cudaSuccess;
    }
    return cudaErrorMemoryAllocation;
}
cudaError_t cudaFree(void *p) {
    for (int i = 0; p && i < ALLOCATIONS_MAX; i++)
        if (allocations[i].data == p) {
            free(p);
            allocations[i].data = NULL;
            return cudaSuccess;
        }
    return p ? cudaErrorInvalidValue : cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *out, const void *p) {
    memset(out, 0, sizeof *out);
    out->type = is_device(p, 1) ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
    return cudaSuccess;
}
cudaError_t cudaGetLastError(void) { return cudaSuccess; }
const char *cudaGetErrorString(cudaError_t e) {
    return e == cudaErrorInsufficientDriver ? "CUDA driver version is insufficient for CUDA runtime version" : "a fake error";
}

/* ---- The communicator and its queue ------------------------------------------------------------------------------------------- */

typedef struct mailbox {
    atomic_int full;
    int bytes;
    char data[PIECE];
} mailbox;

typedef struct shared {
    atomic_int attached;
    mailbox box[RANKS_MAX][RANKS_MAX]; /* from, to */
} shared;

struct ncclComm {
    shared *memory;
    int rank, size;
};

typedef enum op_kind { OP_SEND, OP_RECV, OP_COPY } op_kind;
typedef struct op {
    op_kind kind;
    char *to;
    const char *from;
    size_t bytes;
    int peer, done, group; /* ops of one group go on side by side, groups and copies one after the other */
} op;

static op queue[OPS_MAX];
static int queued, group, depth, broken;
static struct ncclComm the_comm; /* one of a process */

static void push(op o) {
    if (queued == OPS_MAX) broken = 1;
    else queue[queued++] = o;
}

static void advance(op *o) {
    if (o->kind == OP_COPY) {
        memcpy(o->to, o->from, o->bytes);
        o->done = 1;
        return;
    }
    mailbox *b = o->kind == OP_SEND ? &the_comm.memory->box[the_comm.rank][o->peer] : &the_comm.memory->box[o->peer][the_comm.rank];
    if (atomic_load(&b->full) != (o->kind == OP_RECV)) return;
    const size_t n = o->bytes < PIECE ? o->bytes : PIECE;
    if (o->kind == OP_SEND) {
        memcpy(b->data, o->from, n);
        b->bytes = (int)n;
        o->from += n;
    } else {
        if ((size_t)b->bytes != n) broken = 1; /* the two ends do not agree on the size */
        memcpy(o->to, b->data, n);
        o->to += n;
    }
    atomic_store(&b->full, o->kind == OP_SEND);
    o->bytes -= n;
    o->done = o->bytes == 0;
}

/* A mailbox serves its messages in order: of the ops to one peer in one direction, only the first that is not done may move. */
static int is_first(int i) {
    for (int j = 0; j < i; j++)
        if (!queue[j].done && queue[j].kind == queue[i].kind && queue[j].peer == queue[i].peer) return 0;
    return 1;
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
    (void)stream;
    int left = 0, current = -1;
    for (int i = 0; i < queued; i++) {
        if (queue[i].done) continue;
        if (current < 0) current = queue[i].group;
        left++;
        if (queue[i].group == current && is_first(i)) advance(&queue[i]);
    }
    if (left == 0) queued = 0;
    return left ? cudaErrorNotReady : cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags) {
    if (flags != cudaStreamNonBlocking) return cudaErrorInvalidValue;
    *out = (cudaStream_t)&queue;
    return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    (void)stream;
    return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream) {
    (void)stream;
    const int good = kind == cudaMemcpyHostToDevice ? is_device(to, bytes) && !is_device(from, bytes)
                                                    : is_device(from, bytes) && !is_device(to, bytes);
    if (!good) return cudaErrorInvalidValue;
    push((op){OP_COPY, to, from, bytes, -1, 0, ++group});
    /* All memory of the host is pageable here, and a copy to that waits for what is before it in the stream. */
    while (kind == cudaMemcpyDeviceToHost && cudaStreamQuery(stream) == cudaErrorNotReady) sched_yield();
    return cudaSuccess;
}

/* ---- NCCL ---------------------------------------------------------------------------------------------------------------------- */

const char *ncclGetErrorString(ncclResult_t r) { return r == ncclInvalidArgument ? "invalid argument" : "fake error"; }

static char made[64]; /* the shared memory of this process's id, until all have it */

__attribute__((destructor)) static void clean_up(void) {
    if (made[0]) shm_unlink(made);
}

ncclResult_t ncclGetUniqueId(ncclUniqueId *id) {
    memset(id, 0, sizeof *id);
    snprintf(made, sizeof made, "/lopt-fake-nccl-%ld", (long)getpid());
    memcpy(id->internal, made, sizeof made);
    const int f = shm_open(id->internal, O_CREAT | O_EXCL | O_RDWR, 0600);
    if (f < 0 || ftruncate(f, sizeof(shared)) != 0) return ncclSystemError;
    close(f);
    return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t *out, int size, ncclUniqueId id, int rank, ncclConfig_t *config) {
    if (config->blocking != 0 || size > RANKS_MAX) return ncclInvalidArgument;
    const int f = shm_open(id.internal, O_RDWR, 0600);
    void *memory = f < 0 ? MAP_FAILED : mmap(NULL, sizeof(shared), PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
    if (memory == MAP_FAILED) return ncclSystemError;
    close(f);
    the_comm = (struct ncclComm){memory, rank, size};
    if (atomic_fetch_add(&the_comm.memory->attached, 1) + 1 == size) shm_unlink(id.internal);
    *out = &the_comm;
    return ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *out) {
    *out = broken ? ncclInternalError : (atomic_load(&comm->memory->attached) < comm->size ? ncclInProgress : ncclSuccess);
    return ncclSuccess;
}

ncclResult_t ncclGroupStart(void) {
    if (depth++ == 0) group++;
    return ncclSuccess;
}
ncclResult_t ncclGroupEnd(void) {
    depth--;
    return ncclInProgress;
}

static ncclResult_t point(op_kind kind, const void *from, void *to, size_t bytes, int peer) {
    if (depth == 0 || !is_device(kind == OP_SEND ? from : to, bytes)) return ncclInvalidArgument;
    push((op){kind, to, from, bytes, peer, 0, group});
    return ncclInProgress;
}

ncclResult_t ncclSend(const void *from, size_t count, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t stream) {
    (void)comm, (void)stream;
    return type == ncclChar ? point(OP_SEND, from, NULL, count, peer) : ncclInvalidArgument;
}
ncclResult_t ncclRecv(void *to, size_t count, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t stream) {
    (void)comm, (void)stream;
    return type == ncclChar ? point(OP_RECV, NULL, to, count, peer) : ncclInvalidArgument;
}

ncclResult_t ncclBroadcast(const void *from, void *to, size_t count, ncclDataType_t type, int root, ncclComm_t comm,
                           cudaStream_t stream) {
    (void)stream;
    ncclResult_t result = ncclInProgress;
    if (type != ncclChar || depth == 0) return ncclInvalidArgument;
    if (comm->rank != root) return point(OP_RECV, NULL, to, count, root);
    for (int r = 0; r < comm->size && result == ncclInProgress; r++)
        if (r != root) result = point(OP_SEND, from, NULL, count, r);
    if (!is_device(to, count)) return ncclInvalidArgument;
    if (from != to) push((op){OP_COPY, to, from, count, -1, 0, group});
    return result;
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
    (void)comm;
    return ncclInProgress;
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
    munmap(comm->memory, sizeof(shared));
    return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) { return ncclCommDestroy(comm); }
