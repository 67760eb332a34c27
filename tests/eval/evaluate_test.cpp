/* lopt_evaluate as a user calls it, on suites that take a moment. */
#ifdef _OPENMP
#include <omp.h>
#endif

#include <algorithm>
#include <cmath>
#include <limits>

#include "evaluate_support.h"
#include "tests/support/golden.h"
#include "tests/tasks/image_files.h"

namespace {

TEST_F(Evaluate, WritesAllFilesAndTheyAreWellFormed) {
    std::string summary = evaluate(options(2));
    std::string html = read_text(out_ + "/report.html"), svg = read_text(out_ + "/summary.svg"),
                csv = read_text(out_ + "/results.csv");
    EXPECT_EQ(xml_problem(html), "");
    EXPECT_EQ(xml_problem(svg), "");
    EXPECT_FALSE(has_bad_number(html));
    EXPECT_FALSE(has_bad_number(svg));
    for (const char *external : {"http://", "https://", "src=", "@import", "url(http"}) {
        std::string page = html;
        for (size_t at; (at = page.find("http://www.w3.org/2000/svg")) != std::string::npos;) page.erase(at, 26);
        EXPECT_EQ(page.find(external), std::string::npos) << "the report needs something from outside: " << external;
    }
    EXPECT_NE(html.find("&lt;one&gt; &amp; &quot;two&quot;"), std::string::npos);
    EXPECT_EQ(html.find("<one>"), std::string::npos);
    EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 3 * (2 + 9 + 1));
    EXPECT_NE(csv.find("\"<one> & \"\"two\"\"\",learned,,"), std::string::npos);
    Json root = parse(results());
    EXPECT_EQ(json_array_size(json_object_get(root.get(), "tasks")), 3u);
    EXPECT_STREQ(json_string_value(json_object_get(root.get(), "lopt_version")), lopt_version());
    EXPECT_EQ(number(root.get(), "steps"), 30);
    EXPECT_EQ(number(root.get(), "seeds"), 2);
    EXPECT_NE(summary.find("rosenbrock"), std::string::npos);
    const json_t *total = json_array_get(json_object_get(root.get(), "totals"), 0);
    EXPECT_GT(json_number_value(json_object_get(total, "seconds_per_step")), 0.0);
    const std::string row = csv.substr(csv.find("learned,,"));
    EXPECT_NE(row.substr(row.find('\r') - 1, 1), ",") << "no share of runs won"; // the last column
    const std::string tuned = csv.substr(csv.find(",tuned,"));
    EXPECT_EQ(tuned.substr(tuned.find('\r') - 3, 3), ",,,") << "a baseline's";
}

TEST_F(Evaluate, HorizonsAreJudgedEachInItsOwnFolder) {
    lopt_eval_options o = options(1);
    o.steps = 10;
    o.horizons = "1,3";
    std::string both = evaluate(o);
    EXPECT_NE(both.find("10 steps"), std::string::npos);
    EXPECT_NE(both.find("30 steps"), std::string::npos);
    Json once = parse(results()), thrice = parse(read_text(out_ + "/3x/results.json"));
    EXPECT_EQ(number(once.get(), "steps"), 10);
    EXPECT_EQ(number(thrice.get(), "steps"), 30);
    EXPECT_EQ(xml_problem(read_text(out_ + "/3x/report.html")), "");
}

TEST_F(Evaluate, TableFitsAScreen) {
    std::stringstream lines(evaluate(options(2)));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
}

TEST_F(Evaluate, LearnedRunsStartWhereTheBaselinesStart) {
    evaluate(options(2));
    Json root = parse(results());
    for (size_t i = 0; i < 3; i++) {
        json_t *task = task_of(root, i);
        std::vector<json_t *> runs;
        for (const char *kind : {"learned", "baselines"})
            for (size_t k = 0; k < json_array_size(json_object_get(task, kind)); k++)
                runs.push_back(json_object_get(json_array_get(json_object_get(task, kind), k), "losses"));
        for (size_t s = 0; s < 2; s++)
            for (json_t *losses : runs)
                EXPECT_EQ(json_number_value(json_array_get(json_array_get(losses, s), 0)),
                          json_number_value(json_array_get(json_array_get(runs[0], s), 0)));
        double first = json_number_value(json_array_get(json_array_get(runs[0], 0), 0));
        double second = json_number_value(json_array_get(json_array_get(runs[0], 1), 0));
        EXPECT_NE(first, second) << "two seeds, two starts";
    }
}

TEST_F(Evaluate, TheBestBaselineIsTheLowestOfAllMethodsAndRates) {
    evaluate(options(0));
    Json root = parse(results());
    for (size_t i = 0; i < 3; i++) {
        double lowest = std::numeric_limits<double>::infinity();
        json_t *baselines = json_object_get(task_of(root, i), "baselines"), *baseline, *loss;
        size_t m, r;
        json_array_foreach(baselines, m, baseline) {
            double best = std::numeric_limits<double>::infinity();
            json_array_foreach(json_object_get(baseline, "final_loss_by_rate"), r, loss) if (json_is_number(loss)) best =
                std::fmin(best, json_number_value(loss));
            EXPECT_EQ(number(baseline, "final_loss"), best) << "the curve is that of the best rate";
            lowest = std::fmin(lowest, best);
        }
        EXPECT_EQ(number(task_of(root, i), "target_loss"), lowest);
        EXPECT_LT(lowest, number(task_of(root, i), "start_loss"));
    }
}

double loss_at(json_t *optimizer, size_t seed, size_t point) {
    return json_number_value(json_array_get(json_array_get(json_object_get(optimizer, "losses"), seed), point));
}

// From the curves alone: where the mean over the seeds first is as low as Adam's last loss, and whose last loss is above the tenth step's.
TEST_F(Evaluate, SpeedOverAdamAndRisesFollowFromTheCurves) {
    lopt_eval_options o = options(1);
    o.steps = 100;
    evaluate(o);
    Json root = parse(results());
    size_t reached = 0, rises = 0;
    for (size_t i = 0; i < 3; i++) {
        json_t *learned = json_array_get(json_object_get(task_of(root, i), "learned"), 0);
        json_t *adam = json_array_get(json_object_get(task_of(root, i), "baselines"), 4);
        ASSERT_STREQ(json_string_value(json_object_get(adam, "optimizer")), "Adam");
        const double target = number(adam, "final_loss");
        size_t first = 0, rise = 0;
        for (size_t p = 100; p >= 1; p--)
            if ((loss_at(learned, 0, p) + loss_at(learned, 1, p)) / 2 <= target) first = p;
        for (size_t s = 0; s < 2; s++) rise += loss_at(learned, s, 100) > loss_at(learned, s, 10);
        EXPECT_EQ(number(learned, "steps_to_adam"), double(first)) << i;
        EXPECT_NEAR(number(learned, "speed_up_over_adam"), first ? 100.0 / double(first) : 0.0, 1e-6);
        EXPECT_EQ(number(learned, "runs_above_tenth"), double(rise));
        reached += first > 0, rises += rise;
    }
    json_t *total = json_array_get(json_object_get(root.get(), "totals"), 0);
    EXPECT_EQ(number(json_object_get(total, "speed_up_over_adam"), "tasks_reached"), double(reached));
    EXPECT_EQ(number(total, "runs_above_tenth"), double(rises));
}

TEST_F(Evaluate, WithoutBaselinesTheLearnedRunsAreTheSame) {
    lopt_eval_options o = options(2);
    o.steps = 100;
    evaluate(o);
    const std::string csv = read_text(out_ + "/results.csv");
    Json root = parse(results());
    o.alone = 1;
    const std::string beside = out_ + "/alone";
    o.out_dir = beside.c_str();
    std::stringstream lines(evaluate(o));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
    const std::string alone = read_text(beside + "/results.csv");
    EXPECT_EQ(std::count(alone.begin(), alone.end(), '\n'), 1 + 3 * 2);
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 2; k++) {
            char loss[32];
            snprintf(loss, sizeof loss, ",learned,,%.9g,,,,,",
                     number(json_array_get(json_object_get(task_of(root, i), "learned"), k), "final_loss"));
            EXPECT_NE(alone.find(loss), std::string::npos) << loss;
        }
    for (const char *name : {"results.json", "report.html", "cache"})
        EXPECT_FALSE(std::filesystem::exists(beside + "/" + name)) << name;
}

TEST_F(Evaluate, WithoutBaselinesRunsThatRiseAreListed) {
    lopt_eval_options o = options(1);
    o.suite = "quadratic:n=5;log_sum_exp";
    o.alone = 1;
    EXPECT_NE(evaluate(o).find("of which 0 diverged"), std::string::npos);
    set_step_offset(100.0f);
    const std::string summary = evaluate(o);
    EXPECT_NE(summary.find("diverged"), std::string::npos);
    EXPECT_NE(summary.find("quadratic:n=5 "), std::string::npos);
    EXPECT_NE(summary.find("2 / 2 / 2"), std::string::npos) << summary;
}

TEST_F(Evaluate, SgdAtRateOneOnAStiffQuadraticIsShownAsDiverged) {
    lopt_eval_options o = options(0);
    o.suite = "quadratic:n=20";
    o.steps = 100;
    evaluate(o);
    Json root = parse(results());
    json_t *sgd = json_array_get(json_object_get(task_of(root, 0), "baselines"), 0);
    ASSERT_STREQ(json_string_value(json_object_get(sgd, "optimizer")), "SGD");
    EXPECT_TRUE(json_is_null(json_array_get(json_object_get(sgd, "final_loss_by_rate"), 14)));
    EXPECT_TRUE(json_is_number(json_array_get(json_object_get(sgd, "final_loss_by_rate"), 0)));
}

TEST_F(Evaluate, ALearnedOptimizerThatDivergesIsCountedAndNeverDropped) {
    set_step_offset(100.0f);
    std::string summary = evaluate(options(2));
    EXPECT_NE(summary.find("diverged"), std::string::npos);
    Json root = parse(results());
    json_t *total = json_array_get(json_object_get(root.get(), "totals"), 0);
    EXPECT_EQ(number(total, "runs"), 6);
    EXPECT_EQ(number(total, "runs_above_start"), 6) << "steps of e^80 help nowhere";
    EXPECT_GT(number(total, "diverged_runs"), 0);
    EXPECT_EQ(number(total, "runs_above_tenth"), 6) << "a run that diverged counts";
    for (const char *over : {"speed_up", "speed_up_over_adam"}) EXPECT_EQ(number(json_object_get(total, over), "iqm"), 0) << over;
    for (const char *rival : {"adam_tuned", "adam_one_rate"})
        EXPECT_EQ(number(json_object_get(total, "win_rate"), rival), 0) << rival;
    std::string html = read_text(out_ + "/report.html");
    EXPECT_NE(html.find("class=\"x learned0\""), std::string::npos) << "the curve ends in a cross";
    EXPECT_FALSE(has_bad_number(html));
    EXPECT_EQ(xml_problem(html), "");
}

TEST_F(Evaluate, TheSecondTimeOnlyTheLearnedRunsAreDone) {
    struct Count {
        size_t calls, last;
    } first = {0, 0}, second = {0, 0};
    lopt_eval_options o = options(1);
    o.progress = [](void *self, const lopt_eval_progress *p) {
        Count *c = (Count *)self;
        c->calls++;
        EXPECT_GT(p->runs_done, c->last);
        EXPECT_LE(p->runs_done, p->runs_total);
        c->last = p->runs_done;
        return 0;
    };
    o.self = &first;
    std::string summary = evaluate(o), kept = results();
    EXPECT_EQ(cache_files().size(), 3u);
    o.self = &second;
    EXPECT_EQ(evaluate(o), summary);
    EXPECT_EQ(without_times(results()), without_times(kept));
    EXPECT_EQ(first.calls, 3 * (9 * 15 + 10 + 1) * 2u);
    EXPECT_EQ(second.calls, 3 + 3 * 2u) << "a call for each kept sweep and each learned run";
    EXPECT_EQ(first.last, second.last);
}

TEST_F(Evaluate, OtherStepsSeedsOrTasksHaveSweepsOfTheirOwn) {
    lopt_eval_options o = options(0);
    o.suite = "log_sum_exp";
    evaluate(o);
    o.steps = 31;
    evaluate(o);
    o.seeds = 1;
    evaluate(o);
    o.seed = 9;
    evaluate(o);
    EXPECT_EQ(cache_files().size(), 4u);
}

TEST_F(Evaluate, OtherFilesOfATaskHaveASweepOfTheirOwn) {
    lopt_eval_options o = options(0);
    o.suite = "mnist_mlp:rows=64";
    o.steps = 1;
    o.seeds = 1;
    for (size_t first : {0, 1, 0}) { /* rows of the images that it trains on */
        ScratchDir data;
        Files files = mnist_files_of(64, 10);
        files["train-images-idx3-ubyte"] = idx_images(first, 64);
        write_files(data.path, files);
        ScopedVariable folder("LOPT_MNIST_DIR", data.path);
        evaluate(o);
    }
    EXPECT_EQ(cache_files().size(), 2u) << "another for other images, none for the same in another folder";
}

TEST_F(Evaluate, ADamagedSweepIsRunAgain) {
    lopt_eval_options o = options(1);
    o.suite = "log_sum_exp";
    evaluate(o);
    const std::string kept = results(), path = cache_files().at(0), file = read_text(path);
    const size_t digit =
        file.find_first_of("0123456789", file.find("\"losses\"")); /* not a last one, which may round to the same */
    std::string changed = file;
    changed[digit] = changed[digit] == '5' ? '6' : '5';
    const std::string damaged[] = {
        "", "not JSON", "{}", "[1, 2]", file.substr(0, file.size() / 2), changed, file + "x", std::string(1000, '\0')};
    for (const std::string &text : damaged) {
        write_text(path, text);
        evaluate(o);
        EXPECT_EQ(without_times(results()), without_times(kept)) << text.substr(0, 40);
        EXPECT_NE(read_text(path), text) << "the damaged file is replaced";
    }
}

#ifdef _OPENMP
TEST_F(Evaluate, ResultsDoNotDependOnTheNumberOfThreads) {
    const int before = omp_get_max_threads();
    lopt_eval_options o = options(2);
    std::string first;
    for (int threads : {1, 3, 4}) {
        omp_set_num_threads(threads);
        std::filesystem::remove_all(out_);
        evaluate(o);
        if (first.empty()) first = without_times(results());
        EXPECT_EQ(without_times(results()), first) << threads << " threads";
    }
    omp_set_num_threads(before);
}
#endif

TEST_F(Evaluate, StopsWhenAskedAndGoesOnFromTheFinishedSweeps) {
    struct State {
        size_t calls, stop_at;
    } state = {0, 0};
    lopt_eval_options o = options(1);
    const size_t sweep_runs = (9 * 15 + 10) * 2;
    state.stop_at = sweep_runs + 100; /* in the second sweep */
    o.self = &state;
    o.progress = [](void *self, const lopt_eval_progress *) {
        State *s = (State *)self;
        return ++s->calls >= s->stop_at ? 1 : 0;
    };
    std::string summary = evaluate(o, 1);
    EXPECT_NE(summary.find("Stopped after"), std::string::npos);
    EXPECT_EQ(cache_files().size(), 1u);
    EXPECT_FALSE(std::filesystem::exists(out_ + "/report.html"));
    state = {0, SIZE_MAX};
    evaluate(o);
    EXPECT_EQ(state.calls, 1 + 2 * sweep_runs + 6);
    EXPECT_TRUE(std::filesystem::exists(out_ + "/report.html"));
}

TEST_F(Evaluate, StopsAtOnceWhenTheFlagIsSet) {
    volatile int stop = 1;
    lopt_eval_options o = options(1);
    o.stop = &stop;
    EXPECT_NE(evaluate(o, 1).find("Stopped after 0 of"), std::string::npos);
    EXPECT_TRUE(cache_files().empty());
}

TEST_F(Evaluate, KeepsSweepsWhereItIsTold) {
    lopt_eval_options o = options(0);
    std::string cache = folder_ / "elsewhere/deep";
    o.cache_dir = cache.c_str();
    o.suite = "log_sum_exp";
    evaluate(o);
    EXPECT_FALSE(std::filesystem::exists(out_ + "/cache"));
    EXPECT_FALSE(std::filesystem::is_empty(cache));
}

TEST_F(Evaluate, AShorterOptionsStructTakesTheDefaultsBeyondIt) {
    lopt_eval_options o = options(0);
    o.suite = "log_sum_exp";
    o.cache_dir = (const char *)1; /* must not be looked at */
    o.struct_size = offsetof(lopt_eval_options, cache_dir);
    evaluate(o);
    EXPECT_EQ(cache_files().size(), 1u);
}

/* ---- Refusals ---- */

class EvaluateRefuses : public Evaluate {
protected:
    void refuse(const lopt_eval_options *o, lopt_status expected, const char *word) {
        char untouched = 'u', *summary = &untouched;
        int stopped = 7;
        EXPECT_EQ(lopt_evaluate(o, &summary, &stopped), expected) << word;
        EXPECT_NE(std::string(lopt_last_error()).find(word), std::string::npos) << lopt_last_error();
        EXPECT_EQ(summary, &untouched);
        EXPECT_EQ(stopped, 7);
    }
};

TEST_F(EvaluateRefuses, BadOptions) {
    lopt_eval_options o = options(1);
    refuse(nullptr, LOPT_ERR_ARGUMENT, "LOPT_EVAL_OPTIONS_INIT");
    o.struct_size = 0;
    refuse(&o, LOPT_ERR_ARGUMENT, "struct_size");
    o = options(1), o.out_dir = nullptr;
    refuse(&o, LOPT_ERR_ARGUMENT, "out_dir");
    o = options(1), o.out_dir = "";
    refuse(&o, LOPT_ERR_ARGUMENT, "out_dir");
    o = options(1), o.steps = 0;
    refuse(&o, LOPT_ERR_ARGUMENT, "steps");
    o = options(1), o.steps = SIZE_MAX;
    refuse(&o, LOPT_ERR_ARGUMENT, "steps");
    o = options(1), o.seeds = 0;
    refuse(&o, LOPT_ERR_ARGUMENT, "seeds");
    o = options(1), o.seeds = 1001;
    refuse(&o, LOPT_ERR_ARGUMENT, "seeds");
    EXPECT_FALSE(std::filesystem::exists(out_));
}

TEST_F(EvaluateRefuses, BadHorizons) {
    for (const char *text : {"", "0", "1,", "1,1", "1;2", "-1", "1.5", "x", "1,2,3,4,5,6,7,8,9", "99999999999999999999"}) {
        lopt_eval_options o = options(1);
        o.horizons = text;
        refuse(&o, LOPT_ERR_ARGUMENT, "horizons");
    }
    EXPECT_FALSE(std::filesystem::exists(out_));
}

TEST_F(EvaluateRefuses, BadWeightsAndLabels) {
    const lopt_weights *missing[] = {weights_[0], nullptr};
    const char *twice[] = {"same", "same"}, *empty[] = {"", "b"}, *none[] = {"a", nullptr}, *broken[] = {"\xff\xfe", "b"};
    lopt_eval_options o = options(2);
    o.weights = nullptr;
    refuse(&o, LOPT_ERR_ARGUMENT, "weights");
    o = options(2), o.labels = nullptr;
    refuse(&o, LOPT_ERR_ARGUMENT, "labels");
    o = options(2), o.weights = missing;
    refuse(&o, LOPT_ERR_ARGUMENT, "weights[1]");
    Weights spoilt;
    ASSERT_EQ(lopt_weights_init(nullptr, 1, &spoilt.p), LOPT_OK);
    lopt_weights_data(spoilt.p)[3] = INFINITY;
    missing[1] = spoilt.p;
    refuse(&o, LOPT_ERR_ARGUMENT, "not finite");
    o = options(2), o.labels = twice;
    refuse(&o, LOPT_ERR_ARGUMENT, "same");
    for (const char *const *labels : {empty, none, broken}) {
        o = options(2), o.labels = labels;
        refuse(&o, LOPT_ERR_ARGUMENT, "labels[");
    }
}

TEST_F(EvaluateRefuses, UnknownSuitesAndTasks) {
    lopt_eval_options o = options(1);
    o.suite = "quikc";
    refuse(&o, LOPT_ERR_ARGUMENT, "'quick'");
    for (const char *suite : {"no_such_family:n=3", "quadratic:n=5;nonsense", "quadratic:n=-3"}) {
        o.suite = suite;
        char *summary = nullptr;
        EXPECT_NE(lopt_evaluate(&o, &summary, nullptr), LOPT_OK) << suite;
        EXPECT_EQ(summary, nullptr);
    }
    EXPECT_FALSE(std::filesystem::exists(out_));
}

TEST_F(EvaluateRefuses, AFolderThatCannotBeMade) {
    write_text(folder_ / "file", "kept");
    std::string below = folder_ / "file/out";
    lopt_eval_options o = options(1);
    o.out_dir = below.c_str();
    refuse(&o, LOPT_ERR_IO, "file");
    EXPECT_EQ(read_text(folder_ / "file"), "kept");
}

/* ---- The machine ---- */

TEST(Machine, MeasuresRatesThatAreNotAbsurd) {
    lopt_machine m = {};
    ASSERT_EQ(lopt_machine_measure(&m), LOPT_OK) << lopt_last_error();
    EXPECT_STREQ(m.isa, lopt_isa());
    EXPECT_GE(m.threads, 1);
    EXPECT_GT(m.fma_per_second, 1e7);
    EXPECT_LT(m.fma_per_second, 1e15);
    EXPECT_GT(m.copy_per_second, 1e7);
    EXPECT_LT(m.copy_per_second, 1e14);
    EXPECT_EQ(lopt_machine_measure(nullptr), LOPT_ERR_ARGUMENT);
}

} // namespace
