// Failure sentences, memory, nearest names, the weight layout.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <thread>

extern "C" {
#include "base/memory.h"
#include "base/status.h"
#include "kernels/layout.h"
#include "lopt/meta.h"
}

namespace {

TEST(Status, EveryStatusHasItsName) {
    std::set<std::string> names;
    for (int s = LOPT_OK; s <= LOPT_ERR_TASK; s++) names.insert(lopt_status_name(lopt_status(s)));
    EXPECT_EQ(names.size(), size_t(LOPT_ERR_TASK) + 1);
    EXPECT_STREQ(lopt_status_name(LOPT_OK), "LOPT_OK");
    EXPECT_STREQ(lopt_status_name(LOPT_ERR_FORMAT), "LOPT_ERR_FORMAT");
    EXPECT_STREQ(lopt_status_name(lopt_status(99)), "LOPT_ERR_UNKNOWN");
}

TEST(Status, SentencesArePerThreadAndMayQuoteThemselves) {
    EXPECT_EQ(lopt_fail(LOPT_ERR_IO, "disk %d", 7), LOPT_ERR_IO);
    std::thread([] { EXPECT_STREQ(lopt_last_error(), ""); }).join();
    EXPECT_STREQ(lopt_last_error(), "disk 7");
    EXPECT_EQ(lopt_fail_prefix(LOPT_ERR_IO, "file %s", "a"), LOPT_ERR_IO);
    EXPECT_STREQ(lopt_last_error(), "file a: disk 7");
    lopt_fail(LOPT_ERR_IO, "%s again", lopt_last_error());
    EXPECT_STREQ(lopt_last_error(), "file a: disk 7 again");
    lopt_fail(LOPT_ERR_IO, "%s", std::string(5000, 'x').c_str());
    EXPECT_LT(std::strlen(lopt_last_error()), 1100u);
    lopt_fail_prefix(LOPT_ERR_IO, "%s", std::string(5000, 'y').c_str());
    EXPECT_LT(std::strlen(lopt_last_error()), 1100u);
}

TEST(Status, LongPathsLeaveTheReason) {
    for (const size_t length : {900u, 1000u, 1010u, 1024u, 4096u}) {
        lopt_fail(LOPT_ERR_IO, "cannot write %s: no space left", std::string(length, 'x').c_str());
        const std::string says = lopt_last_error();
        EXPECT_EQ(says.find("cannot write xxx"), 0u) << says;
        EXPECT_EQ(says.rfind("xxx: no space left"), says.size() - 18) << says;
        EXPECT_LE(says.size(), 1023u);
        if (length == 900u) {
            EXPECT_EQ(says.size(), 13 + length + 15);
        }
    }
}

TEST(Memory, ZeroedAlignedAndHonestAboutOverflow) {
    void *p = nullptr;
    ASSERT_EQ(memory_alloc(1000, 3, "bytes", &p), LOPT_OK);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % 64, 0u);
    for (int i = 0; i < 3000; i++) ASSERT_EQ(static_cast<char *>(p)[i], 0);
    free(p);
    p = reinterpret_cast<void *>(1);
    EXPECT_EQ(memory_alloc(SIZE_MAX / 2, 3, "the moon", &p), LOPT_ERR_MEMORY);
    EXPECT_EQ(memory_alloc(SIZE_MAX - 3, 1, "the moon", &p), LOPT_ERR_MEMORY);
    EXPECT_EQ(p, reinterpret_cast<void *>(1));
    EXPECT_NE(std::string(lopt_last_error()).find("the moon"), std::string::npos);
    ASSERT_EQ(memory_alloc(0, 8, "nothing", &p), LOPT_OK);
    free(p);
    char *text = nullptr;
    ASSERT_EQ(memory_text(nullptr, &text), LOPT_OK);
    EXPECT_EQ(text, nullptr);
}

TEST(Nearest, FewestEdits) {
    const char *names[] = {"quadratic", "rosenbrock", "booth", "beale"};
    EXPECT_STREQ(lopt_nearest_name("quadratik", names, 4), "quadratic");
    EXPECT_STREQ(lopt_nearest_name("rosenbruck", names, 4), "rosenbrock");
    EXPECT_STREQ(lopt_nearest_name("bale", names, 4), "beale");
    EXPECT_STREQ(lopt_nearest_name("", names, 4), "booth"); // the first of the shortest
    EXPECT_STREQ(lopt_nearest_name(std::string(10000, 'q').c_str(), names, 4),
                 lopt_nearest_name(std::string(300, 'q').c_str(), names, 4));
}

TEST(Layout, CountsAndOrderOfTheFormat) {
    weight_layout l;
    lopt_dims d = {10, 30, 20, 4, 1, 1, 1, 1};
    weight_layout_make(d, &l);
    EXPECT_EQ(l.count, 12093u); // stated by the format
    d.attention = 0;
    weight_layout_make(d, &l);
    EXPECT_EQ(l.count, 12093u - 14);
    size_t at = 0;
    const char *first_names[] = {"param_rnn.gate_kernel",    "param_rnn.gate_bias",     "param_rnn.candidate_kernel",
                                 "param_rnn.candidate_bias", "param_rnn.initial_state", "tensor_rnn.gate_kernel"};
    for (int i = 0; i < 6; i++) EXPECT_STREQ(l.tensor[i].name, first_names[i]);
    EXPECT_STREQ(l.tensor[WEIGHT_TENSORS - 1].name, "learning_rate.step_offset");
    for (const weight_tensor &t : l.tensor) { // without holes
        if (!t.present) continue;
        EXPECT_EQ(t.offset, at);
        EXPECT_EQ(t.count, t.rows * t.columns);
        at += t.count;
    }
    EXPECT_EQ(at, l.count);
    EXPECT_EQ(l.tensor[W_PARAM_GATE_KERNEL].rows, 22u);
    EXPECT_EQ(l.tensor[W_TENSOR_GATE_KERNEL].rows, 52u);
    EXPECT_EQ(l.tensor[W_GLOBAL_TO_TENSOR_KERNEL].columns, 90u);
}

TEST(Layout, FlagsTakeFeaturesAway) {
    auto features = [](int products, int rate, int scales) {
        return dims_features(lopt_dims{10, 30, 20, scales, 1, products, rate, 1});
    };
    EXPECT_EQ(features(1, 1, 4), 12);
    EXPECT_EQ(features(0, 1, 4), 9);
    EXPECT_EQ(features(1, 0, 4), 11);
    EXPECT_EQ(features(1, 1, 1), 3);
    weight_layout with, without;
    weight_layout_make(lopt_dims{10, 30, 20, 4, 1, 1, 1, 1}, &with);
    weight_layout_make(lopt_dims{10, 30, 20, 4, 1, 1, 1, 0}, &without);
    EXPECT_EQ(with.count - without.count, 8u);
    EXPECT_FALSE(without.tensor[W_UPDATE_GRADIENT_KERNEL].present);
}

} // namespace
