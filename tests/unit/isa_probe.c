#include "tests/unit/isa_probe.h"

#include "kernels/cell/vf.h"
#include "kernels/cpu/isa.h"

static vf apply(probe which, vf x) {
    switch (which) {
    case PROBE_EXP2: return vf_exp2(x);
    case PROBE_LOG2: return vf_log2(x);
    case PROBE_LOG1P: return vf_log1p(x);
    case PROBE_SIGMOID: return vf_sigmoid(x);
    case PROBE_TANH: return vf_tanh(x);
    case PROBE_ASINH: return vf_asinh(x);
    case PROBE_RSQRT: return vf_rsqrt(x);
    case PROBE_RCP: return vf_rcp(x);
    case PROBES: break;
    }
    return x;
}

void ISA_SYMBOL(isa_probe)(probe which, const float *in, float *out, size_t n) {
    for (size_t i = 0; i < n; i += VF_LANES) vf_store(out + i, apply(which, vf_load(in + i)));
}
