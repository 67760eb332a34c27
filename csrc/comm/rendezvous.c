#include "csrc/comm/rendezvous.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/memory.h"
#include "base/status.h"
#include "csrc/bench/clock.h"

enum { SIZE_MOST = 1 << 16, PORT_TEXT = 8, RETRY_NANOSECONDS = 50000000, HELLO_SECONDS = 10, SILENT_SECONDS = 600 };
enum { BYTE_ASK = 'Q', BYTE_ANSWER = 'A', BYTE_GOODBYE = 'B' };
#define HELLO_MAGIC 0x6c6f70742d763132u /* lopt-v12 */

/* The first that a rank says. */
typedef struct hello {
    uint64_t magic, job, rank, size;
    peer self;
} hello;

/* ---- Environment ------------------------------------------------------------------------------------------------------------ */

static lopt_status number_of(const char *variable, long min, long max, long *out) {
    const char *text = getenv(variable);
    char *end = NULL;
    const long n = text ? strtol(text, &end, 10) : 0;
    LOPT_CHECK(
        text && *text && *end == 0 && n >= min && n <= max, LOPT_ERR_CONFIG,
        "without MPI, the ranks find each other by RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT in the environment: %s must be a "
        "number from %ld to %ld",
        variable, min, max);
    *out = n;
    return LOPT_OK;
}

/* The same for all ranks of a job, as far as its launcher names it: two jobs may have been given one port. Not Slurm's step: a script may start its ranks
 * by several. */
static uint64_t job_of(void) {
    static const char *const variables[] = {"TORCHELASTIC_RUN_ID", "SLURM_HET_JOB_ID", "SLURM_JOB_ID"};
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        const char *text = getenv(variables[i]);
        if (text) return XXH3_64bits(text, strlen(text));
    }
    return 0;
}

/* torchrun's own store listens at MASTER_PORT: then the next one. */
static lopt_status port_of(char text[PORT_TEXT]) {
    const char *store = getenv("TORCHELASTIC_USE_AGENT_STORE");
    long port = 0;
    LOPT_TRY(number_of("MASTER_PORT", 1, 65534, &port));
    snprintf(text, PORT_TEXT, "%ld", port + (store && strcmp(store, "True") == 0));
    return LOPT_OK;
}

/* ---- Whole messages, with a deadline ----------------------------------------------------------------------------------------- */

/* Milliseconds until then; 0 when it is past. */
static int left(double until) {
    const double ms = 1e3 * (until - clock_seconds());
    return ms > 0.0 ? (int)ms + 1 : 0;
}

/* 1: all of it went; 0: broken, or too late. */
static int transfer(int s, char *data, size_t bytes, int sending, double until) {
    while (bytes > 0) {
        struct pollfd p = {s, sending ? POLLOUT : POLLIN, 0};
        const int ready = poll(&p, 1, left(until));
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return 0;
        const ssize_t n = sending ? send(s, data, bytes, MSG_NOSIGNAL) : recv(s, data, bytes, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return 0;
        data += n;
        bytes -= (size_t)n;
    }
    return 1;
}

/* ---- Rank 0 ------------------------------------------------------------------------------------------------------------------ */

static int listen_at(int family, const char *port) {
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list = NULL;
    const int one = 1, zero = 0, silent = SILENT_SECONDS;
    int s = -1;
    if (getaddrinfo(NULL, port, &hints, &list) != 0) return -1;
    s = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s >= 0) {
        setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        setsockopt(s, IPPROTO_TCP, TCP_DEFER_ACCEPT, &silent, sizeof silent); /* who says nothing keeps nobody waiting */
        if (family == AF_INET6) setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
        if (bind(s, list->ai_addr, list->ai_addrlen) != 0 || listen(s, SOMAXCONN) != 0) {
            const int error = errno;
            close(s);
            errno = error;
            s = -1;
        }
    }
    freeaddrinfo(list);
    return s;
}

/* One that does not speak as a rank of this job is turned away. */
static void welcome(rendezvous *r, int s) {
    hello h;
    if (transfer(s, (char *)&h, sizeof h, 0, clock_seconds() + HELLO_SECONDS) && h.magic == HELLO_MAGIC && h.job == job_of() &&
        h.size == (uint64_t)r->watch.size && h.rank > 0 && h.rank < h.size && r->socket[h.rank] < 0) {
        r->socket[h.rank] = s;
        r->peers[h.rank] = h.self;
        return;
    }
    close(s);
}

static int first_missing(const rendezvous *r) {
    for (int i = 1; i < r->watch.size; i++)
        if (r->socket[i] < 0) return i;
    return -1;
}

static lopt_status gather(rendezvous *r, const char *port, double until) {
    int door = listen_at(AF_INET6, port);
    if (door < 0) door = listen_at(AF_INET, port);
    LOPT_CHECK(door >= 0, LOPT_ERR_COMM, "rank 0 cannot listen at port %s (MASTER_PORT): %s", port, strerror(errno));
    while (first_missing(r) >= 0 && left(until) > 0) {
        struct pollfd p = {door, POLLIN, 0};
        if (poll(&p, 1, left(until)) <= 0) continue;
        const int s = accept(door, NULL, NULL);
        if (s >= 0) welcome(r, s);
    }
    close(door);
    LOPT_CHECK(first_missing(r) < 0, LOPT_ERR_COMM,
               "rank %d did not come to MASTER_ADDR:MASTER_PORT in time: was it started, and can its host reach this one?",
               first_missing(r));
    return LOPT_OK;
}

static lopt_status host_all(rendezvous *r, const char *port, void *data, size_t bytes, double until) {
    LOPT_TRY(gather(r, port, until));
    for (int i = 1; i < r->watch.size; i++)
        LOPT_CHECK(transfer(r->socket[i], (char *)r->peers, (size_t)r->watch.size * sizeof(peer), 1, until) &&
                       transfer(r->socket[i], data, bytes, 1, until),
                   LOPT_ERR_COMM, "the connection to rank %d broke at the start", i);
    return LOPT_OK;
}

/* ---- The others --------------------------------------------------------------------------------------------------------------- */

/* Where nobody listens yet, TCP may connect a socket to itself, which would keep rank 0 from the port. */
static int is_own_end(int s) {
    struct sockaddr_storage here, there;
    socklen_t here_size = sizeof here, there_size = sizeof there;
    memset(&here, 0, sizeof here);
    memset(&there, 0, sizeof there);
    return getsockname(s, (struct sockaddr *)&here, &here_size) == 0 &&
           getpeername(s, (struct sockaddr *)&there, &there_size) == 0 && here_size == there_size &&
           memcmp(&here, &there, here_size) == 0;
}

static int connect_once(const char *address, const char *port) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    int s = -1;
    if (getaddrinfo(address, port, &hints, &list) != 0) return -1;
    for (const struct addrinfo *a = list; a && s < 0; a = a->ai_next) {
        s = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (s >= 0 && (connect(s, a->ai_addr, a->ai_addrlen) != 0 || is_own_end(s))) {
            close(s);
            s = -1;
        }
    }
    freeaddrinfo(list);
    return s;
}

static lopt_status join(rendezvous *r, const char *port, void *data, size_t bytes, double until) {
    const struct timespec pause = {0, RETRY_NANOSECONDS};
    const char *address = getenv("MASTER_ADDR");
    hello h;
    memset(&h, 0, sizeof h);
    h = (hello){HELLO_MAGIC, job_of(), (uint64_t)r->watch.rank, (uint64_t)r->watch.size, r->peers[r->watch.rank]};
    LOPT_CHECK(address && *address, LOPT_ERR_CONFIG, "MASTER_ADDR is not set: without MPI it must name the host of rank 0");
    while ((r->socket[0] = connect_once(address, port)) < 0 && left(until) > 0) nanosleep(&pause, NULL);
    LOPT_CHECK(r->socket[0] >= 0 && transfer(r->socket[0], (char *)&h, sizeof h, 1, until) &&
                   transfer(r->socket[0], (char *)r->peers, (size_t)r->watch.size * sizeof(peer), 0, until) &&
                   transfer(r->socket[0], data, bytes, 0, until),
               LOPT_ERR_COMM,
               "rank %d did not reach rank 0 at %s:%s (MASTER_ADDR, MASTER_PORT) in time, or was turned away as no rank of its job",
               r->watch.rank, address, port);
    return LOPT_OK;
}

/* ---- Watching ------------------------------------------------------------------------------------------------------------------ */

static rendezvous *of(comm_watch *w) { return (rendezvous *)(void *)w; } /* its first member */

static int connections(const rendezvous *r) { return r->watch.rank == 0 ? r->watch.size : 1; }

static void say(const rendezvous *r, int i, char byte) {
    if (r->socket[i] >= 0) (void)!send(r->socket[i], &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void leave(rendezvous *r, int i, int died) {
    close(r->socket[i]);
    r->socket[i] = -1;
    r->gone[i] = (char)died;
}

static void hear(rendezvous *r, int i) {
    char byte;
    ssize_t n = 0;
    while (r->socket[i] >= 0 && (n = recv(r->socket[i], &byte, 1, MSG_DONTWAIT)) == 1) {
        if (byte == BYTE_ASK) say(r, i, BYTE_ANSWER);
        if (byte == BYTE_ANSWER) r->answered[i] = 1;
        if (byte == BYTE_GOODBYE) leave(r, i, 0);
    }
    if (r->socket[i] >= 0 && (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))) leave(r, i, 1);
}

static void answer(comm_watch *w) {
    for (int i = 0; i < connections(of(w)); i++) hear(of(w), i);
}

/* Only rank 0 can ask all; the others ask it. */
static void ask(comm_watch *w, char *there) {
    for (int i = 0; i < w->size; i++) {
        if (w->rank != 0 && i != 0) there[i] = 1;
        if (!there[i]) say(of(w), i, BYTE_ASK);
    }
}

static int heard(comm_watch *w) {
    for (int i = 0; i < connections(of(w)); i++) {
        if (!of(w)->answered[i]) continue;
        of(w)->answered[i] = 0;
        return i;
    }
    return -1;
}

static int vanished(comm_watch *w) {
    for (int i = 0; i < connections(of(w)); i++)
        if (of(w)->gone[i]) return i;
    return -1;
}

/* Rank 0 knows most: the others let it speak first. */
static const watch_kind hub = {answer, ask, heard, vanished, 0.0}, spoke = {answer, ask, heard, vanished, 2.5};

/* ---- All of it ----------------------------------------------------------------------------------------------------------------- */

static lopt_status allocate(rendezvous *r) {
    const size_t n = (size_t)r->watch.size;
    void *memory = NULL;
    LOPT_TRY(memory_alloc(n, sizeof(int), "ranks", &memory));
    r->socket = memory;
    for (size_t i = 0; i < n; i++) r->socket[i] = -1;
    LOPT_TRY(memory_alloc(n, sizeof(peer), "ranks", &memory));
    r->peers = memory;
    LOPT_TRY(memory_alloc(2 * n, 1, "ranks", &memory));
    r->gone = memory;
    r->answered = r->gone + n;
    r->peers[r->watch.rank] = peer_self();
    return LOPT_OK;
}

static lopt_status meet(rendezvous *r, double seconds, void *data, size_t bytes) {
    const double until = clock_seconds() + seconds;
    char port[PORT_TEXT];
    long rank = 0, size = 0;
    LOPT_TRY(number_of("WORLD_SIZE", 1, SIZE_MOST, &size));
    LOPT_TRY(number_of("RANK", 0, size - 1, &rank));
    LOPT_TRY(port_of(port));
    r->watch = (comm_watch){rank == 0 ? &hub : &spoke, (int)rank, (int)size, seconds, NULL};
    LOPT_TRY(allocate(r));
    LOPT_TRY(rank == 0 ? host_all(r, port, data, bytes, until) : join(r, port, data, bytes, until));
    r->watch.peers = r->peers;
    return LOPT_OK;
}

lopt_status rendezvous_open(double seconds, void *data, size_t bytes, rendezvous **out) {
    void *memory = NULL;
    LOPT_TRY(memory_alloc(1, sizeof(rendezvous), "a meeting of ranks", &memory));
    lopt_status status = meet(memory, seconds, data, bytes);
    if (status == LOPT_OK) *out = memory;
    else rendezvous_close(memory, 0);
    return status;
}

void rendezvous_close(rendezvous *r, int orderly) {
    if (r == NULL) return;
    for (int i = 0; r->socket && i < connections(r); i++) {
        if (orderly) say(r, i, BYTE_GOODBYE);
        if (r->socket[i] >= 0) close(r->socket[i]);
    }
    free(r->socket);
    free(r->peers);
    free(r->gone);
    free(r);
}
