#include "csrc/comm/nccl_api.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

enum { NAME_MAX_LENGTH = 64 };

static lopt_status open_library(const char *variable, const char *name, void **out) {
    const char *own = getenv(variable);
    void *library = dlopen(own ? own : name, RTLD_NOW | RTLD_LOCAL);
    LOPT_CHECK(library != NULL, LOPT_ERR_UNSUPPORTED, "%s cannot be loaded (%s names another file): %s", own ? own : name, variable,
               dlerror());
    *out = library;
    return LOPT_OK;
}

static lopt_status find(void *library, const char *symbol, void *member) {
    void *address = dlsym(library, symbol);
    LOPT_CHECK(address != NULL, LOPT_ERR_UNSUPPORTED, "%s is not in the library that was loaded: it is too old", symbol);
    memcpy(member, &address, sizeof address); /* ISO C has no conversion from void * to a function's */
    return LOPT_OK;
}

lopt_status nccl_api_load(nccl_api *out) {
    void *nccl = NULL, *cuda = NULL;
    char runtime[NAME_MAX_LENGTH];
    nccl_api api;
    snprintf(runtime, sizeof runtime, "libcudart.so.%d", CUDART_VERSION / 1000);
    LOPT_TRY(open_library("LOPT_CUDART_LIBRARY", runtime, &cuda));
    LOPT_TRY(open_library("LOPT_NCCL_LIBRARY", "libnccl.so.2", &nccl));
#define FIND_NCCL(symbol) LOPT_TRY(find(nccl, #symbol, &api.symbol));
#define FIND_CUDA(symbol) LOPT_TRY(find(cuda, #symbol, &api.symbol));
    NCCL_SYMBOLS(FIND_NCCL)
    CUDA_SYMBOLS(FIND_CUDA)
    *out = api;
    return LOPT_OK;
}
