// lopt_evaluate as a user calls it: two learned optimizers on a suite that takes a moment, into a folder of its own.
#pragma once

#include <jansson.h>

#include <algorithm>
#include <memory>

#include "eval_support.h"
#include "lopt/meta.h"

inline const char *const kSuite = "quadratic:n=5;log_sum_exp;rosenbrock";

struct JsonFree {
    void operator()(json_t *j) const { json_decref(j); }
};
using Json = std::unique_ptr<json_t, JsonFree>;

inline Json parse(const std::string &text) {
    json_error_t error;
    Json root(json_loads(text.c_str(), JSON_REJECT_DUPLICATES, &error));
    EXPECT_TRUE(root) << error.text;
    return root;
}

/* The text of a JSON value without the times in it. */
inline void drop_times(json_t *value) {
    const char *key;
    json_t *member;
    size_t index;
    void *next;
    json_object_del(value, "seconds_per_step");
    json_object_foreach_safe(value, next, key, member) drop_times(member);
    json_array_foreach(value, index, member) drop_times(member);
}
inline std::string without_times(const std::string &text) {
    Json root = parse(text);
    drop_times(root.get());
    char *dump = json_dumps(root.get(), JSON_SORT_KEYS);
    std::string out = dump;
    free(dump);
    return out;
}

class Evaluate : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_EQ(lopt_weights_init(nullptr, 1, &weights_[0]), LOPT_OK) << lopt_last_error();
        ASSERT_EQ(lopt_weights_init("attention=0", 2, &weights_[1]), LOPT_OK) << lopt_last_error();
    }
    void TearDown() override {
        for (lopt_weights *w : weights_) lopt_weights_free(w);
    }
    lopt_eval_options options(size_t num_weights) {
        lopt_eval_options o = LOPT_EVAL_OPTIONS_INIT;
        o.weights = weights_;
        o.labels = labels_;
        o.num_weights = num_weights;
        o.suite = kSuite;
        o.steps = 30;
        o.seeds = 2;
        out_ = folder_ / "out";
        o.out_dir = out_.c_str();
        return o;
    }
    /* Runs it and returns the terminal's table. */
    std::string evaluate(const lopt_eval_options &o, int expected_stop = 0) {
        char *summary = nullptr;
        int stopped = -1;
        EXPECT_EQ(lopt_evaluate(&o, &summary, &stopped), LOPT_OK) << lopt_last_error();
        EXPECT_EQ(stopped, expected_stop);
        std::string text = summary ? summary : "";
        lopt_string_free(summary);
        return text;
    }
    /* The first optimizer's steps, e^offset times as long as rule 11 has them. */
    void set_step_offset(float value) {
        const char *name = nullptr;
        size_t offset = 0, shape[2] = {0, 0};
        for (size_t i = 0; lopt_weights_tensor(weights_[0], i, &name, &offset, shape); i++)
            if (std::string(name) == "learning_rate.step_offset") lopt_weights_data(weights_[0])[offset] = value;
    }
    std::string results() { return read_text(out_ + "/results.json"); }
    std::vector<std::string> cache_files() {
        std::vector<std::string> files;
        for (const auto &entry : std::filesystem::directory_iterator(out_ + "/cache")) files.push_back(entry.path());
        std::sort(files.begin(), files.end());
        return files;
    }

    Folder folder_;
    std::string out_;
    lopt_weights *weights_[2] = {nullptr, nullptr};
    const char *labels_[2] = {"<one> & \"two\"", "na\xc3\xafve"};
};

inline json_t *task_of(const Json &root, size_t index) { return json_array_get(json_object_get(root.get(), "tasks"), index); }
inline double number(json_t *object, const char *key) { return json_number_value(json_object_get(object, key)); }
