#include "kernels/cpu/kernels.h"

#include <math.h>
#include <string.h>

#include "kernels/cell/philox.h"
#include "kernels/cpu/isa.h"

extern const cpu_kernels cpu_kernels_baseline;
#ifdef LOPT_X86_ISAS
extern const cpu_kernels cpu_kernels_avx2, cpu_kernels_avx512;
#endif

const cpu_kernels *cpu_kernels_of(cpu_isa isa) {
#ifdef LOPT_X86_ISAS
    if (isa == ISA_AVX512) return &cpu_kernels_avx512;
    if (isa == ISA_AVX2) return &cpu_kernels_avx2;
#endif
    (void)isa;
    return &cpu_kernels_baseline;
}

const cpu_kernels *cpu_kernels_current(void) { return cpu_kernels_of(isa_current()); }

/* A run of four neighbouring parameters shares one Philox call. */
static float log_lr_draw(double lo, double width, float tensor_draw, uint32_t bits) {
    return (float)(lo + width * 0.5 * ((double)tensor_draw + (double)random_to_uniform(bits)));
}

void step_initial_state(const prepared_weights *w, int lanes, uint64_t seed, double lr_min, double lr_max, size_t tensor, size_t n,
                        float *state) {
    const lopt_dims d = prepared_layout(w)->dims;
    const int C = dims_state(d);
    const float *h = prepared_initial(w, W_PARAM_INITIAL_STATE);
    const double lo = log(lr_min), width = log(lr_max) - lo;
    const float tensor_draw = random_uniform(seed, RANDOM_LOG_LR_TENSOR, (uint32_t)tensor, 0, 0);
    memset(state, 0, state_floats(lanes, d, n) * sizeof(float));
    for (size_t i = 0; i < n; i += 4) {
        random4 r = random_bits(seed, RANDOM_LOG_LR_PARAMETER, (uint32_t)tensor, i / 4, 0);
        for (size_t j = i; j < n && j < i + 4; j++) {
            for (int c = 0; c < d.param; c++) state[state_index(lanes, C, j, c)] = h[c];
            state[state_index(lanes, C, j, C - 1)] = log_lr_draw(lo, width, tensor_draw, r.u[j - i]);
        }
    }
}
