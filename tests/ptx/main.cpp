// Runs the tests of tests/cuda, and those of the machine, on GPUs that run the compiled kernels' PTX. Every test finds them at their start, and at the
// end they have met no fault and hold no memory.
//
// Without --gtest_filter, only what takes less than three minutes more: LOPT_PTX_ALL=1 in the environment runs all.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/ptx/gpus.h"

namespace {

// What needs no GPU, or is the other emulation's; and what takes long here.
const char ELSEWHERE[] = "*/Emulated:Emulation*:Mma*:Coarse*";
const char LONG[] =
    ":*MemoryIsAsDocumented:*LargerChunks:*MixedDescends*:*AThousandSteps:*SameBitsWithSpans:*CudaResumeSizes*:*OfLearningRates*:*TwoStreamsAtOnce*"
    ":*ManyTensorsAreMeasured*:*/hundreds:*/thousands*:CudaGuard.Lifts*:CudaGuard.Lowers*:CudaGuard.GoesOn*:*.FollowsFp32:*StepsCanBeTimed*:Devices/OnDevice.EveryRun*";

class Watch : public ::testing::EmptyTestEventListener {
    void OnTestStart(const ::testing::TestInfo &) override { ptx::gpus().start_again(); }
    void OnTestEnd(const ::testing::TestInfo &) override {
        for (const std::string &fault : ptx::gpus().faults) ADD_FAILURE() << fault;
        for (int device = 0; device < ptx::Gpus::DEVICES; device++)
            EXPECT_EQ(ptx::gpus().machine.memory.held(device), 0u) << "device " << device << " still holds memory";
    }
};

} // namespace

int main(int argc, char **argv) {
    ::testing::InitGoogleTest(&argc, argv);
    std::string &filter = ::testing::GTEST_FLAG(filter);
    if (filter == "*") filter = std::string("-") + ELSEWHERE + (std::getenv("LOPT_PTX_ALL") ? "" : LONG);
    ::testing::UnitTest::GetInstance()->listeners().Append(new Watch);
    setenv("LOPT_TEST_GPU", "ptx", 0);
    return RUN_ALL_TESTS();
}
