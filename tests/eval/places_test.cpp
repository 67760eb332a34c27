/* Where an evaluation's files go, and what is left where one cannot be written, or is stopped; tables and pictures of odd sizes. */
#include <cmath>

#include "evaluate_support.h"

namespace {

size_t count_calls(lopt_eval_options *o, size_t *calls) {
    o->self = calls;
    o->progress = [](void *self, const lopt_eval_progress *) { return ++*(size_t *)self > 0 ? 0 : 1; };
    return *calls = 0;
}

/* /proc is a folder that is there, and in which nobody can make a file. */
TEST_F(Evaluate, AFolderThatTakesNoFilesIsToldBeforeTheFirstRun) {
    lopt_eval_options o = options(1);
    size_t calls = 0;
    count_calls(&o, &calls);
    o.out_dir = "/proc";
    o.cache_dir = folder_.path().c_str();
    for (int alone : {0, 1}) {
        o.alone = alone;
        EXPECT_EQ(lopt_evaluate(&o, nullptr, nullptr), LOPT_ERR_IO);
        EXPECT_NE(std::string(lopt_last_error()).find("/proc"), std::string::npos) << lopt_last_error();
    }
    o = options(1);
    count_calls(&o, &calls);
    o.horizons = "1,2";
    std::filesystem::create_directory(out_);
    write_text(out_ + "/2x", "in the way");
    EXPECT_EQ(lopt_evaluate(&o, nullptr, nullptr), LOPT_ERR_IO);
    EXPECT_EQ(calls, 0u);
}

TEST_F(Evaluate, SweepsThatCannotBeKeptAreNotLost) {
    lopt_eval_options o = options(1);
    o.cache_dir = "/proc";
    const std::string summary = evaluate(o);
    EXPECT_NE(summary.find("note: baselines of this evaluation are not kept for the next one: "), std::string::npos) << summary;
    EXPECT_NE(summary.find("/proc"), std::string::npos);
    EXPECT_TRUE(std::filesystem::exists(out_ + "/report.html"));
    o.cache_dir = nullptr;
    EXPECT_EQ(evaluate(o).find("not kept"), std::string::npos);
}

TEST_F(Evaluate, AStopInALaterHorizonLeavesTheTablesBefore) {
    for (int alone : {0, 1}) {
        struct State {
            size_t calls, stop_at;
        } state = {0, alone ? 7u : 3 * (9 * 15 + 10 + 1) * 2u + 1};
        lopt_eval_options o = options(1);
        const std::string out = folder_ / (alone ? "alone" : "beside");
        o.out_dir = out.c_str();
        o.alone = alone;
        o.horizons = "1,2";
        o.self = &state;
        o.progress = [](void *self, const lopt_eval_progress *) {
            State *s = (State *)self;
            return ++s->calls >= s->stop_at ? 1 : 0;
        };
        const std::string summary = evaluate(o, 1);
        EXPECT_EQ(summary.find("Suite "), 0u) << summary;
        EXPECT_NE(summary.find("3 tasks, 30 steps"), std::string::npos) << summary;
        EXPECT_NE(summary.find("Stopped after "), std::string::npos) << summary;
        EXPECT_NE(summary.find(" runs of 60 steps"), std::string::npos) << summary;
        EXPECT_TRUE(std::filesystem::exists(out + "/results.csv"));
        EXPECT_FALSE(std::filesystem::exists(out + "/2x/results.csv"));
    }
}

TEST_F(Evaluate, OneFolderHoldsOneEvaluation) {
    lopt_eval_options o = options(1);
    evaluate(o);
    const std::string before = read_text(out_ + "/results.csv");
    o.alone = 1;
    EXPECT_EQ(lopt_evaluate(&o, nullptr, nullptr), LOPT_ERR_ARGUMENT);
    EXPECT_NE(std::string(lopt_last_error()).find("choose another folder"), std::string::npos) << lopt_last_error();
    EXPECT_EQ(read_text(out_ + "/results.csv"), before);
}

/* The shipped optimizer with steps e^76 times as long: up at once, and down a little from there. */
TEST_F(Evaluate, WithoutBaselinesRunsThatEndAboveTheirStartAreListed) {
    lopt_weights_free(weights_[0]);
    weights_[0] = nullptr;
    ASSERT_EQ(lopt_weights_load(LOPT_SOURCE_DIR "/weights/hrnn-10-30-20.safetensors", &weights_[0]), LOPT_OK);
    lopt_eval_options o = options(1);
    o.suite = "digits_softmax";
    o.steps = 60;
    o.alone = 1;
    set_step_offset(75.0f);
    const std::string summary = evaluate(o);
    EXPECT_NE(summary.find("2 ended above their start, 0 above"), std::string::npos) << summary;
    EXPECT_NE(summary.find("digits_softmax  "), std::string::npos) << summary;
    EXPECT_NE(summary.find("0 / 2 / 0\n"), std::string::npos) << summary;
}

TEST_F(Evaluate, ADivergedRunHasNoAccuracy) {
    lopt_eval_options o = options(1);
    o.suite = "digits_mlp";
    evaluate(o);
    const auto accuracy = [&] {
        Json root = parse(results());
        return json_is_number(json_object_get(json_array_get(json_object_get(task_of(root, 0), "learned"), 0), "test_accuracy"));
    };
    EXPECT_TRUE(accuracy());
    set_step_offset(100.0f);
    evaluate(o);
    EXPECT_FALSE(accuracy());
}

TEST_F(Evaluate, KeptRunsAreNotCountedAsTime) {
    lopt_eval_options o = options(1);
    size_t kept = 0;
    o.self = &kept;
    o.progress = [](void *self, const lopt_eval_progress *p) {
        *(size_t *)self = p->runs_kept;
        return 0;
    };
    evaluate(o);
    EXPECT_EQ(kept, 0u);
    evaluate(o);
    EXPECT_EQ(kept, 3 * (9 * 15 + 10) * 2u);
}

TEST_F(Evaluate, TasksWhoseCutNamesWouldBeAlikeAreShownWhole) {
    lopt_eval_options o = options(1);
    o.suite = "mlp:inputs=2,hidden=16x16,batch=32;mlp:inputs=2,hidden=16x16,batch=64;mlp:inputs=2,hidden=15x16,batch=64";
    o.steps = 3;
    o.seeds = 1;
    const std::string summary = evaluate(o);
    for (const char *whole : {"\nmlp:inputs=2,hidden=16x16,batch=32\n       ", "\nmlp:inputs=2,hidden=16x16,batch=64\n       ",
                              "\nmlp:inputs=2,hidden=15x\xe2\x80\xa6 "})
        EXPECT_NE(summary.find(whole), std::string::npos) << summary;
}

TEST_F(Evaluate, ManyOptimizersLeaveTheirRivalsInThePictures) {
    const lopt_weights *many[40];
    const char *labels[40];
    std::vector<std::string> names;
    for (size_t i = 0; i < 40; i++) names.push_back("number" + std::to_string(i));
    for (size_t i = 0; i < 40; i++) many[i] = weights_[1], labels[i] = names[i].c_str();
    lopt_eval_options o = options(40);
    o.weights = many;
    o.labels = labels;
    o.suite = "log_sum_exp";
    o.steps = 4;
    o.seeds = 1;
    evaluate(o);
    const std::string html = read_text(out_ + "/report.html"), svg = read_text(out_ + "/summary.svg");
    EXPECT_NE(html.find(" (best)</text>"), std::string::npos);
    EXPECT_NE(html.find("Of the 40 learned optimizers the first 29 are drawn."), std::string::npos);
    EXPECT_NE(html.find(">number28</text>"), std::string::npos);
    EXPECT_EQ(html.find(">number29</text>"), std::string::npos);
    EXPECT_NE(svg.find(">number3 and 36 more</text>"), std::string::npos);
    EXPECT_EQ(xml_problem(html), "");
    EXPECT_EQ(xml_problem(svg), "");
}

} // namespace
