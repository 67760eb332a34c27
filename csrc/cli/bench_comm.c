/* lopt bench comm: how long the ranks of a job take to talk, call by call and for a meta-iteration, and what that means for more of them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "bench.h"
#include "cli.h"
#include "console.h"
#include "job.h"
#include "lopt/meta.h"

enum {
    KEY_SIZES = 'b',
    KEY_SECONDS = 's',
    KEY_PARTICLES = 'p',
    KEY_WEIGHTS = 'n',
    KEY_WINDOW = 'w',
    KEY_COMM = 'c',
    KEY_JSON = 'o'
};
enum { SIZES_MAX = 16, ROUNDS_MAX = 100000, REPORT_BYTES = 48, FLAG_BYTES = 8, PREDICTED_MOST = 1024, WARM = 3 };

static const struct argp_option options[] = {
    {"sizes", KEY_SIZES, "BYTES,...", 0, "Bytes that a rank receives in a call (default 8,1k,48k,1500k,16M)", 0},
    {"particles", KEY_PARTICLES, "N", 0, "Particles of each rank, for the meta-iteration (default 16)", 0},
    {"weights", KEY_WEIGHTS, "N", 0, "Weights of the optimizer (default 12093)", 0},
    {"window", KEY_WINDOW, "SECONDS", 0,
     "Time of a rank's windows: predict meta-iterations for 1 to 1024 ranks (default: no table)", 0},
    {"seconds", KEY_SECONDS, "S", 0, "Time for each figure (default 0.5)", 0},
    {"comm", KEY_COMM, "KIND", 0, "self, mpi, nccl or auto (default)", 0},
    {"json", KEY_JSON, "FILE", 0, "Write the rows there as well", 0},
    {0},
};

static const cli_syntax syntax = {
    "lopt bench comm", options, NULL,
    "Measure the calls between the ranks of a job: start it as training is started.\v"
    "  us      microseconds of a call, the mean over all calls\n"
    "  GB/s    bytes that a rank receives in it / that time\n\n"
    "The meta-iteration is all that training exchanges in one: reports of all particles, every rank's slice of all gradients, the mean, "
    "and two agreements. A rank receives (particles + 1) x weights x 4 bytes whatever the number of ranks R, and 48 bytes for each of all "
    "particles. Prediction, for as many particles on each rank as now:\n\n"
    "  t(R) = t0 (R - 1) / (R0 - 1) + bytes(R) / bandwidth\n"
    "  meta-iterations/s = 1 / (window + t(R))\n\n"
    "with t0 the time of the same calls with next to no data on the R0 ranks that were started: every message counted, which is more than "
    "trees of them would take. Where t(R) binds: give each rank more particles, or longer windows.\n\n"
    "Examples:\n"
    "  mpirun -n 4 lopt bench comm\n"
    "  mpirun -n 64 --hostfile hosts lopt bench comm --particles 64 --window 0.2\n"};

typedef struct comm_command {
    uint64_t sizes[SIZES_MAX], particles, weights;
    size_t num_sizes;
    double seconds, window;
    const char *kind, *json;
    lopt_comm *comm;
    int rank, ranks;
    unsigned char *send, *recv;
    size_t *bytes; /* [2 ranks] */
} comm_command;

static int take(void *self, int key, const char *value) {
    comm_command *j = self;
    switch (key) {
    case KEY_SIZES: return cli_whole_numbers("--sizes", value, 1, 1000000000, j->sizes, SIZES_MAX, &j->num_sizes);
    case KEY_PARTICLES: return cli_whole_number("--particles", value, 1, 100000, &j->particles);
    case KEY_WEIGHTS: return cli_whole_number("--weights", value, 1, 10000000, &j->weights);
    case KEY_WINDOW: return cli_positive_number("--window", value, 1e6, &j->window);
    case KEY_SECONDS: return cli_positive_number("--seconds", value, 3600, &j->seconds);
    case KEY_COMM: j->kind = value; return 0;
    case KEY_JSON: j->json = value; return 0;
    default: return cli_error(CLI_USAGE, "lopt bench comm takes no argument %s", value);
    }
}

/* ---- The calls. size: bytes that a rank receives, about ---------------------------------------------------------------------- */

static lopt_status do_barrier(comm_command *j, size_t size) {
    (void)size;
    return lopt_comm_barrier(j->comm);
}

static lopt_status do_broadcast(comm_command *j, size_t size) { return lopt_comm_broadcast(j->comm, j->recv, size, 0); }

static size_t each_of(const comm_command *j, size_t size) { return size / (size_t)j->ranks ? size / (size_t)j->ranks : 1; }

static lopt_status do_allgather(comm_command *j, size_t size) {
    for (int r = 0; r < j->ranks; r++) j->bytes[r] = each_of(j, size);
    return lopt_comm_allgather(j->comm, j->send, j->bytes, j->recv);
}

static lopt_status do_alltoall(comm_command *j, size_t size) {
    for (int r = 0; r < 2 * j->ranks; r++) j->bytes[r] = each_of(j, size);
    return lopt_comm_alltoall(j->comm, j->send, j->bytes, j->recv, j->bytes + j->ranks);
}

/* size: particles of a rank; 0: the same calls with next to nothing in them. */
static lopt_status do_iteration(comm_command *j, size_t size) {
    const size_t ranks = (size_t)j->ranks, vector = size ? j->weights * 4 : ranks;
    lopt_status status = do_allgather(j, ranks * (size * REPORT_BYTES + 2 * FLAG_BYTES));
    if (status == LOPT_OK) status = do_alltoall(j, (size ? size : 1) * vector);
    if (status == LOPT_OK) status = do_allgather(j, vector);
    for (int i = 0; i < 2 && status == LOPT_OK; i++) status = do_allgather(j, ranks * FLAG_BYTES);
    return status;
}

typedef struct call {
    const char *name;
    lopt_status (*run)(comm_command *j, size_t size);
} call;

static const call calls[] = {{"broadcast", do_broadcast}, {"allgather", do_allgather}, {"alltoall", do_alltoall}};
enum { CALLS = sizeof calls / sizeof calls[0] };

/* ---- Timing ------------------------------------------------------------------------------------------------------------------- */

/* Rank 0 says how many rounds, so that all make the same calls. */
static lopt_status time_call(comm_command *j, const call *c, size_t size, double *out) {
    lopt_status status = LOPT_OK;
    uint64_t rounds = WARM;
    for (int pass = 0; pass < 2; pass++) {
        const uint64_t n = rounds;
        if (status == LOPT_OK) status = lopt_comm_barrier(j->comm);
        const double start = console_clock();
        for (uint64_t i = 0; i < n && status == LOPT_OK; i++) status = c->run(j, size);
        *out = (console_clock() - start) / (double)n;
        rounds = (uint64_t)fmin(fmax(j->seconds / *out, WARM), ROUNDS_MAX);
        if (status == LOPT_OK) status = lopt_comm_broadcast(j->comm, &rounds, sizeof rounds, 0);
    }
    return status;
}

static lopt_status measure(comm_command *j, const call *c, size_t size, size_t received, json_t *rows, double *seconds) {
    const lopt_status status = time_call(j, c, size, seconds);
    if (status != LOPT_OK || j->rank != 0) return status;
    printf("%-26s %10zu  %10.1f  %8.3f\n", c->name, received, 1e6 * *seconds, (double)received / *seconds / 1e9);
    fflush(stdout);
    json_array_append_new(rows, json_pack("{s:s, s:I, s:I, s:f}", "call", c->name, "ranks", (json_int_t)j->ranks, "bytes",
                                          (json_int_t)received, "seconds", *seconds));
    return status;
}

/* ---- The prediction ------------------------------------------------------------------------------------------------------------ */

static double bytes_of_iteration(const comm_command *j, double ranks) {
    return 4.0 * (double)(j->weights * (j->particles + 1)) + ranks * (double)(j->particles * REPORT_BYTES + 4 * FLAG_BYTES);
}

static void predict(const comm_command *j, double empty, double full) {
    const double data = bytes_of_iteration(j, j->ranks), bandwidth = data / fmax(full - empty, 1e-9);
    printf(
        "\nPredicted for windows of %g s with %llu particles on each rank: %.1f us for next to nothing on %d ranks, then %.3f GB/s\n\n",
        j->window, (unsigned long long)j->particles, 1e6 * empty, j->ranks, bandwidth / 1e9);
    printf("%6s  %12s  %18s  %10s\n", "ranks", "exchange ms", "meta-iterations/s", "exchange %");
    for (int ranks = 1; ranks <= PREDICTED_MOST; ranks *= 2) {
        const double t = ranks == 1 ? 0.0 : empty * (ranks - 1) / (j->ranks - 1) + bytes_of_iteration(j, ranks) / bandwidth;
        printf("%6d  %12.3f  %18.3f  %10.2f\n", ranks, 1e3 * t, 1.0 / (j->window + t), 100.0 * t / (j->window + t));
    }
}

/* ---- All of it ----------------------------------------------------------------------------------------------------------------- */

static lopt_status measure_all(comm_command *j, json_t *rows) {
    static const call barrier = {"barrier", do_barrier}, iteration = {"meta-iteration", do_iteration},
                      nothing = {"meta-iteration, no data", do_iteration};
    double seconds = 0.0, empty = 0.0, full = 0.0;
    lopt_status status = measure(j, &barrier, 0, 0, rows, &seconds);
    for (size_t c = 0; c < CALLS; c++)
        for (size_t i = 0; i < j->num_sizes && status == LOPT_OK; i++)
            status = measure(j, &calls[c], (size_t)j->sizes[i], (size_t)j->sizes[i], rows, &seconds);
    if (status == LOPT_OK) status = measure(j, &nothing, 0, 0, rows, &empty);
    if (status == LOPT_OK) status = measure(j, &iteration, j->particles, (size_t)bytes_of_iteration(j, j->ranks), rows, &full);
    if (status == LOPT_OK && j->rank == 0 && j->window > 0.0) {
        if (j->ranks > 1) predict(j, empty, full);
        else printf("\nA prediction needs at least two ranks: mpirun -n 2 lopt bench comm --window %g\n", j->window);
    }
    return status;
}

static int allocate(comm_command *j) {
    const size_t ranks = (size_t)j->ranks;
    size_t most =
        (size_t)j->weights * 4 * (size_t)(j->particles + 1) + ranks * ((size_t)j->particles * REPORT_BYTES + 2 * FLAG_BYTES);
    for (size_t i = 0; i < j->num_sizes; i++)
        if (j->sizes[i] > most) most = (size_t)j->sizes[i];
    j->send = calloc(most + ranks, 1);
    j->recv = calloc(most + ranks, 1);
    j->bytes = calloc(2 * ranks, sizeof *j->bytes);
    return j->send && j->recv && j->bytes;
}

static int run(comm_command *j) {
    cli_job ranks;
    json_t *rows = json_array();
    int failed = cli_job_begin(j->kind, &ranks);
    if (failed) return failed;
    j->comm = ranks.comm;
    j->rank = lopt_comm_rank(j->comm);
    j->ranks = lopt_comm_size(j->comm);
    if (j->rank == 0)
        printf("%s, %d ranks, %d on this host\n\n%-26s %10s  %10s  %8s\n", lopt_comm_kind(j->comm), j->ranks,
               lopt_comm_local_size(j->comm), "call", "bytes", "us", "GB/s");
    lopt_status status = LOPT_OK;
    if (allocate(j)) status = measure_all(j, rows);
    else failed = cli_error(CLI_FAILED, "no memory for the messages");
    free(j->send);
    free(j->recv);
    free(j->bytes);
    if (!failed) failed = bench_write_json(j->rank == 0 && status == LOPT_OK ? j->json : NULL, rows);
    return cli_job_end(&ranks, status, cli_finish_output(failed));
}

int bench_comm(int argc, char **argv) {
    comm_command job = {
        .sizes = {8, 1000, 48000, 1500000, 16000000}, .num_sizes = 5, .particles = 16, .weights = 12093, .seconds = 0.5};
    int status = CLI_DONE;
    return cli_parse(&syntax, argc, argv, take, &job, &status) ? run(&job) : status;
}
