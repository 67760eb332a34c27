// The models that lopt bench step measures on a GPU have the sizes of the networks that they are called after.
#include <gtest/gtest.h>

#include <string>
#include <vector>

extern "C" {
#include "csrc/cli/bench_shapes.h"
}

namespace {

TEST(BenchShapes, AreThoseOfTheNetworks) {
    struct {
        const char *name;
        size_t tensors, parameters;
    } const wanted[] = {{"1M", 1, 1000000}, {"ResNet-50", 161, 25557032}, {"GPT-2", 148, 124439808}, {"1B", 1, 1000000000}};
    std::vector<size_t> counts(BENCH_TENSORS_MAX);
    bench_shape s;
    s.counts = counts.data();
    for (size_t i = 0; i < 4; i++) {
        ASSERT_TRUE(bench_shape_at(i, &s));
        EXPECT_STREQ(s.name, wanted[i].name);
        EXPECT_EQ(s.num_tensors, wanted[i].tensors) << s.name;
        EXPECT_EQ(bench_shape_total(&s), wanted[i].parameters) << s.name; // torchvision's and transformers' counts
    }
    EXPECT_FALSE(bench_shape_at(4, &s));
}

} // namespace
