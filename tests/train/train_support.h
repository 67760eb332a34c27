// Runs of lopt_train in folders of their own, and what they leave there.
#pragma once
#include <gtest/gtest.h>

#include "tests/support/golden.h"
#include "tests/support/scratch_dir.h"

// A run of seconds that touches every part: noise, batches, attention, second derivatives, restarts.
inline const std::vector<std::string> small_run = {
    "iterations=12",
    "particles=5",
    "tasks=quadratic:n=5,noise=0.5;rosenbrock;softmax_regression:features=4,sep=2,batch=20",
    "horizon.kind=log_uniform",
    "horizon.min=8",
    "horizon.max=60",
    "window.min=4",
    "window.mean=6",
    "window.max=20",
    "checkpoint.every=5"};

struct Trained {
    lopt_status status = LOPT_OK;
    int stopped = -1;
    std::vector<lopt_train_progress> seen;
    std::vector<std::string> notes;
};

struct Watch {
    Trained *trained;
    uint64_t stop_at;
};
inline int watch(void *self, const lopt_train_progress *p) {
    Watch *w = static_cast<Watch *>(self);
    if (p->note) w->trained->notes.push_back(p->note);
    else w->trained->seen.push_back(*p);
    return !p->note && p->iteration == w->stop_at;
}

inline Trained train(const std::string &dir, std::vector<std::string> overrides, int resume = 0, uint64_t stop_at = 0,
                     const char *config = nullptr) {
    Trained t;
    Watch w = {&t, stop_at};
    std::vector<const char *> pointers;
    for (const std::string &o : overrides) pointers.push_back(o.c_str());
    lopt_train_options o = LOPT_TRAIN_OPTIONS_INIT;
    o.config_path = config;
    o.overrides = pointers.data();
    o.num_overrides = pointers.size();
    o.out_dir = dir.c_str();
    o.resume = resume;
    o.progress = watch;
    o.self = &w;
    t.status = lopt_train(&o, &t.stopped);
    return t;
}

inline std::vector<std::string> with(std::vector<std::string> base, const std::string &more) {
    base.push_back(more);
    return base;
}

inline std::vector<float> weights_in(const std::string &dir) {
    Weights w;
    EXPECT_EQ(lopt_weights_load((dir + "/weights.safetensors").c_str(), &w.p), LOPT_OK) << lopt_last_error();
    return w.p ? std::vector<float>(lopt_weights_data(w.p), lopt_weights_data(w.p) + lopt_weights_count(w.p))
               : std::vector<float>();
}

// Metrics without the seconds, the only thing in them that depends on the machine.
inline std::string metrics_of(const std::string &dir) {
    std::string text = read_file(dir + "/metrics.jsonl"), out;
    for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
        std::string line = text.substr(at, end - at);
        size_t s = line.find("\"seconds\":"), comma = line.find(',', s);
        out += line.substr(0, s) + line.substr(comma) + "\n";
    }
    return out;
}

inline std::string checkpoint_path(const std::string &dir, unsigned iteration) {
    char name[64];
    std::snprintf(name, sizeof name, "/checkpoint-%010u.safetensors", iteration);
    return dir + name;
}
inline std::string checkpoint_in(const std::string &dir, unsigned iteration) {
    EXPECT_TRUE(std::filesystem::exists(checkpoint_path(dir, iteration)));
    return read_file(checkpoint_path(dir, iteration));
}
inline void damage(const std::string &path) {
    std::string bytes = read_file(path);
    bytes[bytes.size() / 2] ^= 4;
    write_file(path, bytes);
}
