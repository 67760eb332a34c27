#include "kernels/cpu/isa.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lopt/meta.h"

static cpu_isa best_supported(void) {
#ifdef LOPT_X86_ISAS
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma"))
        return ISA_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return ISA_AVX2;
#endif
    return ISA_BASELINE;
}

const char *isa_name(cpu_isa isa) {
    static const char *const names[ISA_COUNT] = {"baseline", "avx2", "avx512"};
    return names[isa];
}

cpu_isa isa_current(void) {
    static atomic_int decided = -1;
    int isa = atomic_load_explicit(&decided, memory_order_relaxed);
    if (isa >= 0) return (cpu_isa)isa;
    cpu_isa best = best_supported();
    const char *wish = getenv("LOPT_ISA");
    for (int i = 0; wish && i < (int)best; i++)
        if (strcmp(wish, isa_name((cpu_isa)i)) == 0) best = (cpu_isa)i;
    atomic_store_explicit(&decided, (int)best, memory_order_relaxed);
    return best;
}

const char *lopt_isa(void) { return isa_name(isa_current()); }
