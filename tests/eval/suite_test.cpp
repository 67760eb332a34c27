#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "lopt/meta.h"

extern "C" {
#include "csrc/eval/suite.h"
}

namespace {

std::vector<std::string> suite(const char *text) {
    eval_suite s = {nullptr, 0};
    std::vector<std::string> specs;
    EXPECT_EQ(eval_suite_make(text, &s), LOPT_OK) << lopt_last_error();
    for (size_t i = 0; i < s.count; i++) specs.push_back(s.specs[i]);
    eval_suite_release(&s);
    return specs;
}

std::string refusal(const char *text) {
    eval_suite s = {nullptr, 0};
    EXPECT_EQ(eval_suite_make(text, &s), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(s.specs, nullptr);
    return lopt_last_error();
}

TEST(Suite, QuickIsTheDefaultAndAllItsTasksExist) {
    std::vector<std::string> quick = suite("quick");
    EXPECT_EQ(suite(nullptr), quick);
    EXPECT_GE(quick.size(), 8u);
    for (const std::string &spec : quick) {
        lopt_task *task = nullptr;
        EXPECT_EQ(lopt_task_create(spec.c_str(), 1, &task), LOPT_OK) << lopt_last_error();
        lopt_task_free(task);
    }
    EXPECT_EQ(std::set<std::string>(quick.begin(), quick.end()).size(), quick.size());
}

TEST(Suite, NamedOnesAreTheDefaultInstancesOfTheirFamilies) {
    size_t corpus = 0, held_out = 0;
    for (size_t i = 0; i < lopt_family_count(); i++) // none of those that need files
        if (!lopt_family_get(i)->files_variable)
            (lopt_family_get(i)->held_out ? held_out : corpus) += lopt_family_get(i)->num_instances;
    EXPECT_EQ(suite("corpus").size(), corpus);
    EXPECT_EQ(suite("heldout").size(), held_out);
    std::vector<std::string> digits = suite("digits");
    EXPECT_GE(digits.size(), 2u);
    for (const std::string &spec : digits) EXPECT_EQ(spec.rfind("digits_", 0), 0u) << spec;
}

TEST(Suite, ListsAreSplitAtSemicolonsAndTrimmed) {
    EXPECT_EQ(suite("quadratic:n=5; rosenbrock ;;ackley"), (std::vector<std::string>{"quadratic:n=5", "rosenbrock", "ackley"}));
    EXPECT_EQ(suite("rosenbrock"), std::vector<std::string>{"rosenbrock"});
    EXPECT_EQ(suite("rosenbrock+quadratic"), std::vector<std::string>{"rosenbrock+quadratic"});
}

TEST(Suite, AnUnknownNameIsRefusedWithTheNearest) {
    EXPECT_NE(refusal("quik").find("'quick'"), std::string::npos);
    EXPECT_NE(refusal("held-out").find("'heldout'"), std::string::npos);
    EXPECT_NE(refusal("rosenbrok").find("'rosenbrock'"), std::string::npos);
    EXPECT_NE(refusal("").find("quick"), std::string::npos);
    EXPECT_NE(refusal(" ; ;").find("holds no task"), std::string::npos);
    EXPECT_NE(refusal(std::string(5000, 'q').c_str()).find("qqq"), std::string::npos);
}

} // namespace
