// What phase 1 and phase 2 move, counted in the compiled kernels: bytes per parameter, whole sectors, and ways to the banks of shared memory.
#include "lopt/meta.h"
#include "tests/cuda/support.h"
#include "tests/ptx/gpus.h"

namespace {

struct Case {
    const char *name, *weights, *state;
    double advance, apply; // bytes per parameter
};
void PrintTo(const Case &c, std::ostream *os) { *os << c.name; }

class PtxTraffic : public OnGpu, public ::testing::WithParamInterface<Case> {};

// The kernel whose name has this in it.
ptx::Traffic traffic_of(const std::string &part) {
    ptx::Traffic t;
    for (const auto &[name, traffic] : ptx::gpus().machine.traffic)
        if (name.find(part) != std::string::npos) t = traffic;
    EXPECT_EQ(t.launches, 1u) << part;
    return t;
}

constexpr size_t PARAMETERS = 1 << 15;
constexpr double SUMS = 25.0 * 4 / GPU_CHUNK_MIN;                    // of chunks, in bytes per parameter; weights come on top
constexpr double CHUNKS = double(sizeof(gpu_chunk)) / GPU_CHUNK_MIN; // the table of them, likewise
constexpr double LEVELS = 1.5;                                       // weights of the tensors' RNN and of the model's

double each(const ptx::Traffic &t) {
    return double(t.first_sectors_read + t.first_sectors_written) * ptx::SECTOR_BYTES / double(PARAMETERS);
}

// What the second step moves: the first one has no decays.
void run_step(const Case &c, int fused) {
    Model source({PARAMETERS}, c.weights);
    DeviceModel<> model(source);
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    o.state_dtype = c.state;
    model.fused = fused;
    ASSERT_EQ(model.create(o), LOPT_OK) << lopt_last_error();
    model.run(0, 1);
    ASSERT_EQ(device()->wait(0), LOPT_OK);
    ptx::gpus().machine.traffic.clear();
    model.run(1, 2);
    ASSERT_EQ(device()->wait(0), LOPT_OK);
}

TEST_P(PtxTraffic, IsWhatTheCostModelSays) {
    const Case &c = GetParam();
    run_step(c, 0);
    const ptx::Traffic look = traffic_of("lopt_prepare"), advance = traffic_of("lopt_advance"), apply = traffic_of("lopt_apply");
    EXPECT_NEAR(each(look), 4 + CHUNKS, 0.52); // and the levels' weights
    EXPECT_NEAR(each(advance), c.advance + SUMS, 0.4);
    EXPECT_NEAR(each(apply), c.apply + LEVELS, 0.5);
    // nothing is read or written twice, nor beside what is wanted
    EXPECT_LT(double(advance.sectors_written), 1.01 * double(advance.first_sectors_written));
    EXPECT_LT(double(advance.sectors_written) * ptx::SECTOR_BYTES, 1.01 * double(advance.bytes_written));
    EXPECT_LT(double(apply.sectors_written), 1.01 * double(apply.first_sectors_written));
    EXPECT_LT(double(advance.shared_passes), 1.05 * double(advance.shared_accesses)); // hardly any goes twice to a bank
}
TEST_P(PtxTraffic, OfOneLaunchIsThatOfThePhases) {
    const Case &c = GetParam();
    run_step(c, 1);
    const ptx::Traffic step = traffic_of("lopt_step");
    const double twice = c.apply > 18 ? 4 : 0; // the attended point waits where it belongs: one sector, written in both phases
    EXPECT_NEAR(each(step), c.advance + c.apply + SUMS - twice + LEVELS, 0.5);
    const double written = double(step.first_sectors_written) + twice * double(PARAMETERS) / ptx::SECTOR_BYTES;
    EXPECT_LT(double(step.sectors_written), 1.01 * written);
    EXPECT_LT(double(step.shared_passes), 1.05 * double(step.shared_accesses));
}
// A measurement with the caller's flag reads each gradient once less.
TEST(PtxMeasuredStep, DoesNotLookAtGradientsWhereTheCallerHas) {
    const size_t n = 2048;
    double bytes[2]; // of memory that lopt_prepare reads in a step
    for (int flag : {0, 1}) {
        lopt_gpu_step_options o = LOPT_GPU_STEP_OPTIONS_INIT;
        lopt_gpu_step r;
        o.num_tensors = 1, o.counts = &n, o.seconds = 1e-4, o.found_inf = flag;
        ptx::gpus().machine.traffic.clear();
        ASSERT_EQ(lopt_gpu_step_measure(&o, &r), LOPT_OK) << lopt_last_error();
        for (const auto &[name, t] : ptx::gpus().machine.traffic)
            if (name.find("lopt_prepare") != std::string::npos)
                bytes[flag] = double(t.first_sectors_read) * ptx::SECTOR_BYTES / double(t.launches);
    }
    EXPECT_NEAR(bytes[0] - bytes[1], (4.0 + CHUNKS) * n, 0.02 * n);
}
// State, gradient, and the updates that wait; then true parameters, updates, and the caller's parameters.
INSTANTIATE_TEST_SUITE_P(State, PtxTraffic,
                         ::testing::Values(Case{"attending", "attention=1", "fp32", 2 * 76 + 4 + 4 + 4, 2 * 4 + 4 + 4 + 4},
                                           Case{"plain", "attention=0", "fp32", 2 * 76 + 4 + 4, 2 * 4 + 4 + 4},
                                           Case{"attending_mixed", "attention=1", "mixed", 2 * 40 + 4 + 4, 2 * 4 + 4 + 4},
                                           Case{"plain_mixed", "attention=0", "mixed", 2 * 40 + 4 + 2, 2 * 4 + 2 + 4}),
                         [](const auto &i) { return std::string(i.param.name); });

} // namespace
