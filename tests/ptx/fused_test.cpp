// A step in one launch, by as many blocks at once as there may be, down to one: on any GPU, however much else runs there, it comes to its end.
#include "tests/cuda/support.h"
#include "tests/ptx/gpus.h"

namespace {

struct PtxFused : OnGpu {
    const unsigned usual = ptx::gpus().machine.resident;
    ~PtxFused() override { ptx::gpus().machine.resident = usual; }
};

TEST_F(PtxFused, EndsWhateverIsResident) {
    std::vector<std::vector<std::vector<float>>> results;
    for (unsigned resident : {1u, 2u, 17u}) {
        Model source({66 * 256 + 1, 300, 2000}, "attention=1");
        DeviceModel<> model(source);
        lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
        o.state_dtype = "mixed";
        emulation::machine.multiprocessors = 4;
        emulation::schedule = resident;
        ptx::gpus().machine.resident = resident;
        model.fused = 1;
        ASSERT_EQ(model.create(o), LOPT_OK) << lopt_last_error();
        model.run(0, 2);
        results.push_back(model.read());
    }
    EXPECT_EQ(results[0], results[1]);
    EXPECT_EQ(results[0], results[2]);
}

} // namespace
