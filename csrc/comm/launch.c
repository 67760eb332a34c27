#include "csrc/comm/launch.h"

#include <stddef.h>
#include <stdlib.h>

enum { SIZE_MOST = 1 << 20 };

static int number_or(const char *variable, int otherwise) {
    const char *text = getenv(variable);
    const long n = text ? strtol(text, NULL, 10) : otherwise;
    return n >= 0 && n < SIZE_MOST ? (int)n : otherwise;
}

static int number(const char *variable) {
    const int n = number_or(variable, 1);
    return n > 0 ? n : 1;
}

int launch_by_mpi(void) {
    static const char *const variables[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE"};
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        if (getenv(variables[i])) return 1;
    return 0;
}

int launch_size(void) {
    static const char *const variables[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"};
    int size = 1;
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        if (number(variables[i]) > size) size = number(variables[i]);
    return size;
}

int launch_world_size(void) {
    const char *text = getenv("WORLD_SIZE");
    char *end = NULL;
    const long n = text && *text ? strtol(text, &end, 10) : 1;
    return (end == NULL || *end == 0) && n >= 1 && n <= SIZE_MOST ? (int)n : -1;
}

int launch_rank(void) { return number_or("RANK", 0); }

int launch_local_rank(int rank) {
    static const char *const variables[] = {"LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID", "MPI_LOCALRANKID"};
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        if (getenv(variables[i])) return number_or(variables[i], rank);
    return rank;
}
