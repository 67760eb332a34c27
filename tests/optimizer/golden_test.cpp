// lopt_optimizer_step against the golden steps: parameters after every step, all state at the end.
#include <cstdlib>
#include <filesystem>

#include "tests/optimizer/support.h"

namespace {

class GoldenStep : public ::testing::TestWithParam<const char *> {};

TEST_P(GoldenStep, Agrees) {
    const std::string name = GetParam();
    GoldenFile golden(name + ".safetensors");
    const size_t tensors = size_t(golden.number("tensors")), steps = size_t(golden.number("steps"));
    Weights w;
    Optimizer opt;
    ASSERT_EQ(lopt_weights_load(golden_path(name + ".weights.safetensors").c_str(), &w.p), LOPT_OK) << lopt_last_error();
    std::vector<std::vector<float>> params(tensors), truth(tensors), grads(tensors);
    std::vector<size_t> counts(tensors);
    for (size_t i = 0; i < tensors; i++) {
        params[i] = truth[i] = golden.floats("theta0." + std::to_string(i));
        counts[i] = params[i].size();
    }
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    o.init_lr_min = o.init_lr_max = golden.number("init_lr");
    o.lr_scale = golden.number("lr_scale");
    o.weight_decay = golden.number("weight_decay");
    std::vector<float *> p = Model::pointers(params), t = Model::pointers(truth);
    ASSERT_EQ(lopt_optimizer_create(w.p, &o, tensors, counts.data(), p.data(), nullptr, &opt.p), LOPT_OK) << lopt_last_error();
    const std::string state = golden_path(name + ".state.safetensors");
    if (std::filesystem::exists(state)) {
        ASSERT_EQ(lopt_optimizer_load(opt.p, state.c_str()), LOPT_OK) << lopt_last_error();
    }
    for (size_t k = 0; k < steps; k++) {
        std::vector<const float *> g;
        for (size_t i = 0; i < tensors; i++) {
            grads[i] = golden.floats("grad." + std::to_string(k) + "." + std::to_string(i));
            g.push_back(grads[i].data());
        }
        ASSERT_EQ(lopt_optimizer_step(opt.p, p.data(), g.data(), nullptr), LOPT_OK);
        ASSERT_EQ(lopt_optimizer_true_params(opt.p, t.data(), nullptr), LOPT_OK);
        for (size_t i = 0; i < tensors; i++) {
            const std::string at = std::to_string(k) + "." + std::to_string(i);
            expect_close(truth[i], golden.floats("theta." + at), name + " theta." + at);
            expect_close(params[i], golden.floats("attended." + at), name + " attended." + at);
        }
    }
    ScratchDir dir;
    ASSERT_EQ(lopt_optimizer_save(opt.p, (dir / "state").c_str()), LOPT_OK) << lopt_last_error();
    expect_golden_state(golden, dir / "state", name);
}
INSTANTIATE_TEST_SUITE_P(Files, GoldenStep, GOLDEN_STEPS);

// The instruction set is chosen once per process: this binary runs itself under each of the others.
TEST(Golden, OnEveryInstructionSet) {
    const char *asked = std::getenv("LOPT_ISA");
    if (asked) GTEST_SKIP() << "LOPT_ISA=" << asked << " is being tested alone";
    const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
    for (const std::string isa : {"baseline", "avx2", "avx512"}) {
        if (isa == lopt_isa()) continue; // what all the other tests run on
        const std::string command = "env -u GTEST_TOTAL_SHARDS -u GTEST_SHARD_INDEX LOPT_ISA=" + isa + " '" + self +
                                    "' --gtest_brief=1 '--gtest_filter=*GoldenStep*:*Resume*:*InstructionSetIsTheOneAskedFor'";
        EXPECT_EQ(std::system(command.c_str()), 0) << command;
    }
}

TEST(Golden, InstructionSetIsTheOneAskedFor) {
    const char *asked = std::getenv("LOPT_ISA");
    if (!asked) GTEST_SKIP() << "LOPT_ISA is not set";
#ifdef __x86_64__
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"), avx512 = __builtin_cpu_supports("avx512f");
    const std::string wish = asked;
    if ((wish == "avx2" && !avx2) || (wish == "avx512" && !avx512)) GTEST_SKIP() << "this processor has no " << wish;
    EXPECT_EQ(wish, lopt_isa());
#endif
}

} // namespace
