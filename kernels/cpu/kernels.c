#include "kernels/cpu/kernels.h"

#include <math.h>
#include <string.h>

#include "kernels/cell/start.h"
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

void step_initial_state(const prepared_weights *w, int lanes, uint64_t seed, double lr_min, double lr_max, size_t tensor, size_t n,
                        float *state) {
    const lopt_dims d = prepared_layout(w)->dims;
    const int C = dims_state(d);
    const float *h = prepared_initial(w, W_PARAM_INITIAL_STATE);
    const start_rates rates = {seed, log(lr_min), log(lr_max) - log(lr_min)};
    const float tensor_draw = start_tensor_draw(&rates, (uint32_t)tensor);
    memset(state, 0, state_floats(lanes, d, n) * sizeof(float));
    for (size_t i = 0; i < n; i += 4) {
        const random4 r = start_parameter_draws(&rates, (uint32_t)tensor, i / 4);
        for (size_t j = i; j < n && j < i + 4; j++) {
            for (int c = 0; c < d.param; c++) state[state_index(lanes, C, j, c)] = h[c];
            state[state_index(lanes, C, j, C - 1)] = start_log_lr(&rates, tensor_draw, r.u[j - i]);
        }
    }
}
