// The command, and the library's first question, on a GPU that runs PTX: what `lopt bench step --device cuda` prints and writes; which GPUs are refused.
#include <jansson.h>

#include <cstdio>

#include <gtest/gtest.h>

#include "lopt/lopt.h"
#include "tests/ptx/gpus.h"
#include "tests/support/emulated_machine.h"
#include "tests/support/scratch_dir.h"

namespace {

struct Ended {
    int status;
    std::string text; // of both outputs
};
Ended bench_step(const std::string &arguments) {
    ScratchDir dir;
    const std::string out = dir / "out";
    const int status = std::system((LOPT_BINARY_DIR "/tests/lopt_on_ptx bench step " + arguments + " >" + out + " 2>&1").c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(out)};
}

TEST(PtxCommand, BenchStepMeasuresEveryKindOfState) {
    ScratchDir dir;
    const std::string json = dir / "rows.json";
    const auto [status, text] =
        bench_step("--device cuda --params 2k --attention off --launches fused --seconds 0.001 --json " + json);
    ASSERT_EQ(status, 0) << text;
    for (const char *words :
         {"PTX, copy", "in place", "launches: fused", "fp32  stream", "fp32  graph", "mixed stream", "mixed graph"})
        EXPECT_NE(text.find(words), std::string::npos) << words << " is not in\n" << text;
    json_error_t error;
    json_t *file = json_load_file(json.c_str(), 0, &error);
    ASSERT_NE(file, nullptr) << error.text;
    const json_t *rows = json_object_get(file, "rows");
    ASSERT_EQ(json_array_size(rows), 4u);
    for (size_t i = 0; i < 4; i++) {
        const json_t *row = json_array_get(rows, i);
        EXPECT_GT(json_number_value(json_object_get(row, "seconds")), 0.0);
        EXPECT_GT(json_number_value(json_object_get(row, "bytes_held")), 44.0);
        EXPECT_GT(json_number_value(json_object_get(row, "share_of_copy")), 0.0);
        EXPECT_GT(json_number_value(json_object_get(row, "share_of_in_place")), 0.0);
    }
    json_decref(file);
}

TEST(PtxCommand, ManyTensorsAreMeasuredAsMany) {
    const Ended r = bench_step("--device cuda --params 200 --tensors 200 --attention off --seconds 0.0001");
    EXPECT_EQ(r.status, 0);
    EXPECT_NE(r.text.find("in 200"), std::string::npos) << r.text;
}

// This GPU has 1 GiB. What was asked for and is not measured is no success.
TEST(PtxCommand, ModelsWithoutMemoryAreNoSuccess) {
    const Ended r = bench_step("--device cuda --params 1G --attention off");
    EXPECT_EQ(r.status, 1);
    EXPECT_NE(r.text.find("no memory left for 8000000000 bytes"), std::string::npos) << r.text;
    EXPECT_NE(r.text.find("4 of the rows are not measured"), std::string::npos) << r.text;
}

TEST(PtxCommand, SaysWhatIsWrong) {
    const Ended r = bench_step("--device cuda:7 --params 2k");
    EXPECT_NE(r.status, 0);
    EXPECT_NE(r.text.find("this machine has 2"), std::string::npos) << r.text;
}

TEST(PtxRuntime, RefusesOldGpusAndMissingOnes) {
    emulation::machine = emulation::Machine();
    EXPECT_EQ(lopt_device_available("cuda"), LOPT_OK) << lopt_last_error();
    EXPECT_EQ(lopt_device_available("cuda:2"), LOPT_ERR_ARGUMENT);
    ptx::gpus().capability = 7;
    EXPECT_EQ(lopt_device_available("cuda"), LOPT_ERR_UNSUPPORTED);
    EXPECT_NE(std::string(lopt_last_error()).find("compute capability 7.0"), std::string::npos) << lopt_last_error();
    ptx::gpus().capability = 12; /* which runs the PTX of an earlier one, where the build has any */
    const int made[] = {LOPT_CUDA_PTX};
    EXPECT_EQ(lopt_device_available("cuda"), made[0] ? LOPT_OK : LOPT_ERR_UNSUPPORTED) << lopt_last_error();
    emulation::machine.has_driver = false;
    EXPECT_EQ(lopt_device_available("cuda"), LOPT_ERR_DEVICE);
    emulation::machine = emulation::Machine();
}

} // namespace
