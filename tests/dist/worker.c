/* A rank of a test job, on <lopt/comm.h> alone (and, for buffers on a GPU, on the functions that the NCCL communicator has loaded).
 *   worker collectives KIND    tries every call with uneven and empty parts, and compares what comes with what must
 *   worker device KIND    every rank's part to all, from and to the memory of its GPU (nccl)
 *   worker loop KIND DEADLINE DIR    barriers without end; writes its process number into DIR/RANK first
 *   worker late KIND DEADLINE RANK SECONDS    that rank comes so much later than the others, and the next one 0.7 deadlines later, if not more */
#include <lopt/comm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef LOPT_HAVE_NCCL
#include "csrc/comm/nccl_api.h"
#endif

enum { ROUNDS = 5, LARGE = 300000 };

static int fail(const lopt_comm *c, const char *what) {
    fprintf(stderr, "rank %d: %s: %s\n", c ? lopt_comm_rank(c) : -1, what, lopt_last_error());
    return 1;
}

/* Byte i of what rank `from` sends to rank `to` in a round. */
static unsigned char value(int round, int from, int to, size_t i) {
    return (unsigned char)(31 * round + 7 * from + 13 * to + (int)(i % 251));
}

static size_t part(int round, int from, int to) {
    const int n = round + from * 5 + to * 3;
    return n % 4 == 0 ? 0 : (n % 4 == 1 ? LARGE + (size_t)n : (size_t)n);
}

static int same(int round, int from, int to, const unsigned char *data, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (data[i] != value(round, from, to, i)) return 0;
    return 1;
}

static void fill(int round, int from, int to, unsigned char *data, size_t n) {
    for (size_t i = 0; i < n; i++) data[i] = value(round, from, to, i);
}

static int try_broadcast(lopt_comm *c, int round, unsigned char *buffer) {
    const int root = round % lopt_comm_size(c);
    const size_t n = part(round, root, 0);
    memset(buffer, 0xee, n);
    if (lopt_comm_rank(c) == root) fill(round, root, 0, buffer, n);
    if (lopt_comm_broadcast(c, buffer, n, root) != LOPT_OK) return fail(c, "broadcast");
    return same(round, root, 0, buffer, n) ? 0 : fail(c, "broadcast gave something else");
}

static int try_allgather(lopt_comm *c, int round, unsigned char *send, unsigned char *recv, size_t *bytes) {
    const int rank = lopt_comm_rank(c), size = lopt_comm_size(c);
    for (int r = 0; r < size; r++) bytes[r] = part(round, r, 0);
    fill(round, rank, 0, send, bytes[rank]);
    if (lopt_comm_allgather(c, send, bytes, recv) != LOPT_OK) return fail(c, "allgather");
    for (int r = 0; r < size; recv += bytes[r++])
        if (!same(round, r, 0, recv, bytes[r])) return fail(c, "allgather gave something else");
    return 0;
}

static int try_alltoall(lopt_comm *c, int round, unsigned char *send, unsigned char *recv, size_t *bytes) {
    const int rank = lopt_comm_rank(c), size = lopt_comm_size(c);
    size_t *to = bytes, *from = bytes + size, at = 0;
    for (int r = 0; r < size; at += to[r++]) {
        to[r] = part(round, rank, r);
        from[r] = part(round, r, rank);
        fill(round, rank, r, send + at, to[r]);
    }
    if (lopt_comm_alltoall(c, send, to, recv, from) != LOPT_OK) return fail(c, "alltoall");
    for (int r = 0; r < size; recv += from[r++])
        if (!same(round, r, rank, recv, from[r])) return fail(c, "alltoall gave something else");
    return 0;
}

static int collectives(lopt_comm *c) {
    const size_t room = (size_t)lopt_comm_size(c) * (LARGE + 1000);
    unsigned char *send = malloc(room), *recv = malloc(room);
    size_t *bytes = calloc(2 * (size_t)lopt_comm_size(c), sizeof *bytes);
    int failed = send == NULL || recv == NULL || bytes == NULL;
    for (int round = 0; round < ROUNDS && !failed; round++) {
        failed = try_broadcast(c, round, recv) || try_allgather(c, round, send, recv, bytes) ||
                 try_alltoall(c, round, send, recv, bytes);
        if (!failed && lopt_comm_barrier(c) != LOPT_OK) failed = fail(c, "barrier");
    }
    if (!failed) printf("rank %d of %d, %d here: fine\n", lopt_comm_rank(c), lopt_comm_size(c), lopt_comm_local_size(c));
    free(send);
    free(recv);
    free(bytes);
    return failed;
}

#ifdef LOPT_HAVE_NCCL
/* Both directions, done when it returns. */
static int copied(const nccl_api *cuda, void *to, const void *from, size_t n, enum cudaMemcpyKind kind) {
    cudaError_t error = cuda->cudaMemcpyAsync(to, from, n, kind, NULL);
    while (error == cudaSuccess && (error = cuda->cudaStreamQuery(NULL)) == cudaErrorNotReady) error = cudaSuccess, usleep(100);
    return error == cudaSuccess;
}

/* Every rank's part to all, from one rank's GPU to another's. */
static int allgather_on_device(lopt_comm *c, const nccl_api *cuda, unsigned char *host, void *send, void *recv, size_t *bytes) {
    const int rank = lopt_comm_rank(c), size = lopt_comm_size(c);
    size_t total = 0;
    for (int r = 0; r < size; r++) total += bytes[r] = LARGE + (size_t)r;
    fill(1, rank, 0, host, bytes[rank]);
    if (!copied(cuda, send, host, bytes[rank], cudaMemcpyHostToDevice)) return fail(c, "copying to the device");
    if (lopt_comm_allgather(c, send, bytes, recv) != LOPT_OK) return fail(c, "allgather on the device");
    memset(host, 0, total);
    if (!copied(cuda, host, recv, total, cudaMemcpyDeviceToHost)) return fail(c, "copying from the device");
    for (int r = 0; r < size; host += bytes[r++])
        if (!same(1, r, 0, host, bytes[r])) return fail(c, "allgather on the device gave something else");
    printf("rank %d of %d, on its device: fine\n", rank, size);
    return 0;
}

static int device(lopt_comm *c) {
    const size_t room = (size_t)lopt_comm_size(c) * (LARGE + 1000);
    unsigned char *host = malloc(room);
    size_t *bytes = calloc((size_t)lopt_comm_size(c), sizeof *bytes);
    void *send = NULL, *recv = NULL;
    nccl_api cuda;
    int failed = host == NULL || bytes == NULL || nccl_api_load(&cuda) != LOPT_OK;
    if (!failed) failed = cuda.cudaMalloc(&send, room) != cudaSuccess || cuda.cudaMalloc(&recv, room) != cudaSuccess;
    if (failed) fail(c, "memory on the device");
    if (!failed) failed = allgather_on_device(c, &cuda, host, send, recv, bytes);
    if (send) cuda.cudaFree(send);
    if (recv) cuda.cudaFree(recv);
    free(host);
    free(bytes);
    return failed;
}
#else
static int device(lopt_comm *c) { return fail(c, "built without NCCL"); }
#endif

static int loop(lopt_comm *c, const char *dir) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%d", dir, lopt_comm_rank(c));
    FILE *f = fopen(path, "w");
    if (f == NULL || fprintf(f, "%ld\n", (long)getpid()) < 0 || fclose(f) != 0) return fail(c, "its file");
    for (;;) {
        usleep(2000);
        if (lopt_comm_barrier(c) != LOPT_OK) return fail(c, "barrier");
    }
}

static int late(lopt_comm *c, double deadline, int rank, double seconds) {
    const double next = seconds < 0.7 * deadline ? seconds : 0.7 * deadline;
    if (lopt_comm_rank(c) == rank) usleep((useconds_t)(1e6 * seconds));
    if (lopt_comm_rank(c) == (rank + 1) % lopt_comm_size(c)) usleep((useconds_t)(1e6 * next));
    return lopt_comm_barrier(c) == LOPT_OK ? 0 : fail(c, "barrier");
}

int main(int argc, char **argv) {
    lopt_comm *c = NULL;
    int failed = 2;
    if (argc < 3) return 2;
    if (lopt_comm_open(argv[2], &c) != LOPT_OK) return fail(NULL, "open");
    if (argc > 3 && lopt_comm_set_deadline(c, atof(argv[3])) != LOPT_OK) failed = fail(c, "deadline");
    if (strcmp(argv[1], "collectives") == 0) failed = collectives(c);
    if (strcmp(argv[1], "device") == 0) failed = device(c);
    if (strcmp(argv[1], "loop") == 0 && argc == 5) failed = loop(c, argv[4]);
    if (strcmp(argv[1], "late") == 0 && argc == 6) failed = late(c, atof(argv[3]), atoi(argv[4]), atof(argv[5]));
    fflush(stdout);
    fflush(stderr);
    if (failed) lopt_comm_abort(c, 3);
    lopt_comm_close(c);
    return 0;
}
