/* The communicator over NCCL, one rank per GPU. Buffers in the device's memory are used as they are; those of the host go through two buffers
 * on the device. NCCL's communicator is a non-blocking one: every call is polled for its end with the deadline of comm_wait, and the ranks ask
 * each other, and see each other's end, by what brought them together: MPI, or the connections of the rendezvous. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/comm/agree.h"
#include "csrc/comm/launch.h"
#include "csrc/comm/nccl_api.h"
#include "csrc/comm/rendezvous.h"

/* Before the 120 s are over that the command gives a job to begin: the rendezvous knows better whom it is waiting for. */
#define MEETING_SECONDS 110.0

typedef struct device_buffer {
    void *data;
    size_t room;
} device_buffer;

typedef struct nccl_comm {
    lopt_comm base;
    nccl_api api;
    lopt_comm *mpi;      /* what brought the ranks together: this, */
    rendezvous *meeting; /* or this */
    comm_watch *watch;   /* of either */
    ncclComm_t comm;
    cudaStream_t stream;
    device_buffer send, recv;
} nccl_comm;

/* ---- Errors and waiting ------------------------------------------------------------------------------------------------------ */

/* A non-blocking communicator answers ncclInProgress where all is well. */
static lopt_status check_nccl(const nccl_comm *n, ncclResult_t result, const char *what) {
    if (result == ncclSuccess || result == ncclInProgress) return LOPT_OK;
    return lopt_fail(LOPT_ERR_COMM, "NCCL failed in %s: %s", what, n->api.ncclGetErrorString(result));
}

static lopt_status check_cuda(const nccl_comm *n, cudaError_t error, const char *what) {
    if (error == cudaSuccess) return LOPT_OK;
    n->api.cudaGetLastError(); /* so that it is not taken for a later call's */
    return lopt_fail(LOPT_ERR_DEVICE, "CUDA failed in %s: %s", what, n->api.cudaGetErrorString(error));
}

/* NCCL has taken on what it was asked. */
static lopt_status poll_taken(void *self, int *done) {
    const nccl_comm *n = self;
    ncclResult_t result = ncclSuccess;
    LOPT_TRY(check_nccl(n, n->api.ncclCommGetAsyncError(n->comm, &result), "a call"));
    LOPT_TRY(check_nccl(n, result, "a call"));
    *done = result == ncclSuccess;
    return LOPT_OK;
}

/* And the device has done it. */
static lopt_status poll_done(void *self, int *done) {
    const nccl_comm *n = self;
    LOPT_TRY(poll_taken(self, done));
    if (!*done) return LOPT_OK;
    const cudaError_t error = n->api.cudaStreamQuery(n->stream);
    *done = error == cudaSuccess;
    return error == cudaErrorNotReady ? LOPT_OK : check_cuda(n, error, "waiting");
}

static lopt_status wait_for(nccl_comm *n, comm_poll poll, const char *what) {
    n->watch->deadline = n->base.deadline;
    return comm_wait(n->watch, what, poll, n);
}

/* ---- Buffers ------------------------------------------------------------------------------------------------------------------ */

static int on_device(const nccl_comm *n, const void *data) {
    struct cudaPointerAttributes a;
    if (data == NULL) return 0;
    if (n->api.cudaPointerGetAttributes(&a, data) == cudaSuccess)
        return a.type == cudaMemoryTypeDevice || a.type == cudaMemoryTypeManaged;
    n->api.cudaGetLastError();
    return 0;
}

static lopt_status reserve(nccl_comm *n, device_buffer *b, size_t bytes) {
    void *memory = NULL;
    if (bytes <= b->room) return LOPT_OK;
    LOPT_TRY(check_cuda(n, n->api.cudaMalloc(&memory, bytes), "getting memory for an exchange"));
    n->api.cudaFree(b->data);
    *b = (device_buffer){memory, bytes};
    return LOPT_OK;
}

/* Where NCCL reads from: data itself, or a copy on the device. */
static lopt_status source(nccl_comm *n, const void *data, size_t bytes, const void **out) {
    *out = data;
    if (bytes == 0 || on_device(n, data)) return LOPT_OK;
    LOPT_TRY(reserve(n, &n->send, bytes));
    *out = n->send.data;
    return check_cuda(n, n->api.cudaMemcpyAsync(n->send.data, data, bytes, cudaMemcpyHostToDevice, n->stream),
                      "copying to the device");
}

/* Where NCCL writes to. */
static lopt_status target(nccl_comm *n, void *data, size_t bytes, void **out) {
    *out = data;
    if (bytes == 0 || on_device(n, data)) return LOPT_OK;
    LOPT_TRY(reserve(n, &n->recv, bytes));
    *out = n->recv.data;
    return LOPT_OK;
}

/* Ends a group of calls that wrote to `from`, and brings that to where it is wanted. */
static lopt_status finish(nccl_comm *n, ncclResult_t result, void *data, const void *from, size_t bytes, const char *what) {
    LOPT_TRY(check_nccl(n, result, what));
    LOPT_TRY(check_nccl(n, n->api.ncclGroupEnd(), what));
    LOPT_TRY(wait_for(n, poll_taken, what));
    if (data == from || bytes == 0) return wait_for(n, poll_done, what);
    /* Only then: a copy to memory that is not pinned returns when all before it in the stream is done, and knows no deadline. */
    LOPT_TRY(wait_for(n, poll_done, what));
    LOPT_TRY(
        check_cuda(n, n->api.cudaMemcpyAsync(data, from, bytes, cudaMemcpyDeviceToHost, n->stream), "copying from the device"));
    return wait_for(n, poll_done, what);
}

/* ---- The calls ----------------------------------------------------------------------------------------------------------------- */

static lopt_status broadcast(lopt_comm *c, void *data, size_t bytes, int root) {
    nccl_comm *n = (nccl_comm *)c;
    const void *from = NULL;
    void *to = NULL;
    LOPT_TRY(target(n, data, bytes, &to));
    if (c->rank == root) LOPT_TRY(source(n, data, bytes, &from));
    LOPT_TRY(check_nccl(n, n->api.ncclGroupStart(), "a broadcast"));
    const ncclResult_t result = n->api.ncclBroadcast(c->rank == root ? from : to, to, bytes, ncclChar, root, n->comm, n->stream);
    return finish(n, result, data, to, bytes, "a broadcast");
}

static size_t sum_of(const size_t *bytes, int n) {
    size_t sum = 0;
    for (int r = 0; r < n; r++) sum += bytes[r];
    return sum;
}

/* Parts of different sizes: each rank's is a broadcast of its own, all of them at once. */
static lopt_status allgather(lopt_comm *c, const void *send, const size_t *bytes, void *recv) {
    nccl_comm *n = (nccl_comm *)c;
    const size_t total = sum_of(bytes, c->size);
    const void *from = NULL;
    void *to = NULL;
    ncclResult_t result = ncclSuccess;
    if (total == 0) return LOPT_OK;
    LOPT_TRY(source(n, send, bytes[c->rank], &from));
    LOPT_TRY(target(n, recv, total, &to));
    LOPT_TRY(check_nccl(n, n->api.ncclGroupStart(), "an allgather"));
    char *at = to;
    for (int r = 0; r < c->size && (result == ncclSuccess || result == ncclInProgress); at += bytes[r++])
        if (bytes[r] > 0) result = n->api.ncclBroadcast(r == c->rank ? from : at, at, bytes[r], ncclChar, r, n->comm, n->stream);
    return finish(n, result, recv, to, total, "an allgather");
}

static lopt_status alltoall(lopt_comm *c, const void *send, const size_t *send_bytes, void *recv, const size_t *recv_bytes) {
    nccl_comm *n = (nccl_comm *)c;
    const size_t sent = sum_of(send_bytes, c->size), received = sum_of(recv_bytes, c->size);
    const void *from = NULL;
    void *to = NULL;
    ncclResult_t result = ncclSuccess;
    LOPT_TRY(source(n, send, sent, &from));
    LOPT_TRY(target(n, recv, received, &to));
    LOPT_TRY(check_nccl(n, n->api.ncclGroupStart(), "an exchange"));
    const char *out = from;
    char *in = to;
    for (int r = 0; r < c->size && (result == ncclSuccess || result == ncclInProgress);
         out += send_bytes[r], in += recv_bytes[r], r++) {
        if (send_bytes[r] > 0) result = n->api.ncclSend(out, send_bytes[r], ncclChar, r, n->comm, n->stream);
        if (recv_bytes[r] > 0 && (result == ncclSuccess || result == ncclInProgress))
            result = n->api.ncclRecv(in, recv_bytes[r], ncclChar, r, n->comm, n->stream);
    }
    return finish(n, result, recv, to, received, "an exchange");
}

/* Nobody has a word of every other rank before that one has come. */
static lopt_status barrier(lopt_comm *c) {
    void *memory = NULL;
    LOPT_TRY(memory_alloc((size_t)c->size, sizeof(size_t) + 1, "a barrier", &memory));
    size_t *bytes = memory;
    for (int r = 0; r < c->size; r++) bytes[r] = 1;
    const char word = 0;
    lopt_status status = allgather(c, &word, bytes, bytes + c->size);
    free(memory);
    return status;
}

/* ---- End ---------------------------------------------------------------------------------------------------------------------- */

/* agreed: all ranks know that it ends. */
static void release(nccl_comm *n, int orderly, int agreed) {
    if (!orderly && n->comm) n->api.ncclCommAbort(n->comm);
    if (n->stream) n->api.cudaStreamDestroy(n->stream);
    if (n->send.data) n->api.cudaFree(n->send.data);
    if (n->recv.data) n->api.cudaFree(n->recv.data);
    rendezvous_close(n->meeting, orderly);
    /* Where this rank alone gives up, MPI's end would wait for the others, who are at NCCL's start: it ends them when this process is gone. */
    if (agreed) lopt_comm_close(n->mpi);
    free(n);
}

static void close_nccl(lopt_comm *c) {
    nccl_comm *n = (nccl_comm *)c;
    n->api.ncclCommFinalize(n->comm);
    if (wait_for(n, poll_taken, "the end") == LOPT_OK) n->api.ncclCommDestroy(n->comm);
    else n->api.ncclCommAbort(n->comm);
    release(n, 1, 1);
}

/* Without MPI nobody ends the other ranks but they themselves: they see this one's connection break. */
static void abort_nccl(lopt_comm *c, int status) {
    nccl_comm *n = (nccl_comm *)c;
    if (n->mpi) n->mpi->body->abort(n->mpi, status);
}

/* ---- Start -------------------------------------------------------------------------------------------------------------------- */

static lopt_status begin_cuda(nccl_comm *n) {
    int devices = 0;
    const cudaError_t error = n->api.cudaGetDeviceCount(&devices);
    LOPT_CHECK(error == cudaSuccess && devices > 0, LOPT_ERR_DEVICE,
               "NCCL needs a GPU on each rank, and rank %d has none (%s); take --comm mpi", n->base.rank,
               error == cudaSuccess ? "no device" : n->api.cudaGetErrorString(error));
    /* A launcher may show each rank a GPU of its own alone; one that is used twice NCCL refuses itself. */
    const int shown_one = devices == 1 && getenv("CUDA_VISIBLE_DEVICES") != NULL;
    LOPT_CHECK(shown_one || n->base.local_size <= devices, LOPT_ERR_DEVICE,
               "NCCL needs one GPU for each rank: there are %d ranks on this host, and %d GPUs", n->base.local_size, devices);
    LOPT_TRY(check_cuda(n, n->api.cudaSetDevice(launch_local_rank(n->base.rank) % devices), "choosing a GPU"));
    return check_cuda(n, n->api.cudaStreamCreateWithFlags(&n->stream, cudaStreamNonBlocking), "making a stream");
}

static lopt_status find_ranks_by_mpi(nccl_comm *n, ncclUniqueId *id) {
    LOPT_TRY(comm_mpi_open(&n->mpi));
    n->base.rank = n->mpi->rank;
    n->base.size = n->mpi->size;
    n->watch = comm_mpi_watch(n->mpi);
    LOPT_CHECK(n->watch != NULL, LOPT_ERR_UNSUPPORTED, "MPI has started this process, and is not in this build");
    lopt_status status = n->base.rank == 0 ? check_nccl(n, n->api.ncclGetUniqueId(id), "making an id") : LOPT_OK;
    LOPT_TRY(comm_agree(n->mpi, status));
    return lopt_comm_broadcast(n->mpi, id, sizeof *id, 0);
}

static lopt_status find_ranks_by_environment(nccl_comm *n, ncclUniqueId *id) {
    if (launch_rank() == 0) LOPT_TRY(check_nccl(n, n->api.ncclGetUniqueId(id), "making an id"));
    LOPT_TRY(rendezvous_open(MEETING_SECONDS, id, sizeof *id, &n->meeting));
    n->watch = &n->meeting->watch;
    n->base.rank = n->watch->rank;
    n->base.size = n->watch->size;
    return LOPT_OK;
}

static lopt_status begin(nccl_comm *n) {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    ncclUniqueId id;
    memset(&id, 0, sizeof id);
    LOPT_TRY(nccl_api_load(&n->api));
    LOPT_TRY(launch_by_mpi() ? find_ranks_by_mpi(n, &id) : find_ranks_by_environment(n, &id));
    n->base.local_size = peer_local_count(&n->watch->peers[n->base.rank], n->watch->peers, n->base.size);
    lopt_status status = begin_cuda(n);
    LOPT_TRY(n->mpi ? comm_agree(n->mpi, status) : status);
    config.blocking = 0;
    LOPT_TRY(
        check_nccl(n, n->api.ncclCommInitRankConfig(&n->comm, n->base.size, id, n->base.rank, &config), "making the communicator"));
    return wait_for(n, poll_taken, "the start of NCCL");
}

lopt_status comm_nccl_open(lopt_comm **out) {
    static const comm_body body = {"nccl", barrier, broadcast, allgather, alltoall, close_nccl, abort_nccl};
    void *memory = NULL;
    LOPT_TRY(memory_alloc(1, sizeof(nccl_comm), "a communicator", &memory));
    nccl_comm *n = memory;
    n->base = (lopt_comm){&body, 0, 1, 1, COMM_DEADLINE};
    lopt_status status = begin(n);
    if (status != LOPT_OK) {
        release(n, 0, status != LOPT_ERR_COMM);
        return status;
    }
    *out = &n->base;
    return LOPT_OK;
}
