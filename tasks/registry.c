/* The list of families, for each instruction set, and of groups: instances that are made of families by transforms and sums. */
#include "tasks/family.h"

#define DECLARE_BASELINE(name) extern const task_family name##_family_baseline;
#define REFER_BASELINE(name) &name##_family_baseline,
TASK_FAMILIES(DECLARE_BASELINE)
static const task_family *const baseline[] = {TASK_FAMILIES(REFER_BASELINE)};
#ifdef LOPT_X86_ISAS
#define DECLARE_X86(name) extern const task_family name##_family_avx2, name##_family_avx512;
#define REFER_AVX2(name) &name##_family_avx2,
#define REFER_AVX512(name) &name##_family_avx512,
TASK_FAMILIES(DECLARE_X86)
static const task_family *const avx2[] = {TASK_FAMILIES(REFER_AVX2)};
static const task_family *const avx512[] = {TASK_FAMILIES(REFER_AVX512)};
#endif
enum { FAMILY_COUNT = sizeof baseline / sizeof baseline[0] };

const task_family *task_family_at(size_t index, cpu_isa isa) {
    if (index >= FAMILY_COUNT) return NULL;
#ifdef LOPT_X86_ISAS
    if (isa == ISA_AVX512) return avx512[index];
    if (isa == ISA_AVX2) return avx2[index];
#endif
    (void)isa;
    return baseline[index];
}

size_t lopt_family_count(void) { return FAMILY_COUNT + task_group_count(); }

const lopt_family_info *lopt_family_get(size_t index) {
    if (index >= FAMILY_COUNT) return task_group_get(index - FAMILY_COUNT);
    return &task_family_at(index, isa_current())->info;
}
