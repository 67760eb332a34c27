/* Which instruction set the per-ISA builds of kernels and task families are taken from, decided once per process. */
#ifndef LOPT_KERNELS_CPU_ISA_H
#define LOPT_KERNELS_CPU_ISA_H

typedef enum cpu_isa { ISA_BASELINE = 0, ISA_AVX2 = 1, ISA_AVX512 = 2, ISA_COUNT } cpu_isa;

/* The best that both the build and the machine have; LOPT_ISA=avx512|avx2|baseline in the environment lowers it. */
cpu_isa isa_current(void);
const char *isa_name(cpu_isa isa);

/* In a file that is compiled once per instruction set, names with external linkage are made distinct:
 * ISA_SYMBOL(step) is step_avx512, step_avx2 or step_baseline. The build defines LOPT_ISA_SUFFIX. */
#define ISA_SYMBOL_PASTE(name, suffix) name##_##suffix
#define ISA_SYMBOL_EXPAND(name, suffix) ISA_SYMBOL_PASTE(name, suffix)
#define ISA_SYMBOL(name) ISA_SYMBOL_EXPAND(name, LOPT_ISA_SUFFIX)

#endif
