// A small model with reproducible gradients, for the optimizer's tests.
#pragma once
#include <cstdint>
#include <map>
#include <numeric>

#include "tests/support/golden.h"
#include "tests/support/scratch_dir.h"

// Reproducible numbers of mixed size, some exactly zero.
inline float noise(uint64_t a, uint64_t b, uint64_t c) {
    uint64_t x = (a * 0x9E3779B97F4A7C15ull) ^ (b * 0xBF58476D1CE4E5B9ull) ^ (c * 0x94D049BB133111EBull) ^ 0x2545F4914F6CDD1Dull;
    for (int i = 0; i < 3; i++) x ^= x >> 29, x *= 0xBF58476D1CE4E5B9ull, x ^= x >> 32;
    if (x % 17 == 0) return 0.0f;
    float u = float(double(x >> 11) * 0x1p-53) * 2 - 1;
    return u * std::pow(10.0f, float(int(x % 5)) - 2.0f);
}

struct Model {
    std::vector<size_t> counts;
    std::vector<std::vector<float>> params, grads;
    Weights weights;
    Optimizer opt;

    explicit Model(std::vector<size_t> sizes, const char *options = nullptr, uint64_t seed = 3) : counts(std::move(sizes)) {
        EXPECT_EQ(lopt_weights_init(options, seed, &weights.p), LOPT_OK) << lopt_last_error();
        // away from the start, where the learning rates do not move and attention copies the update
        float *w = lopt_weights_data(weights.p);
        for (size_t i = 0; i < lopt_weights_count(weights.p); i++)
            w[i] += 0.05f * std::fmin(1.0f, std::fmax(-1.0f, noise(9, i, seed)));
        for (size_t i = 0; i < counts.size(); i++) {
            params.emplace_back(counts[i]);
            grads.emplace_back(counts[i]);
            for (size_t j = 0; j < counts[i]; j++) params[i][j] = noise(1, i, j);
        }
    }
    void gradients(uint64_t step) {
        for (size_t i = 0; i < counts.size(); i++)
            for (size_t j = 0; j < counts[i]; j++) grads[i][j] = noise(2 + step, i, j);
    }
    static std::vector<float *> pointers(std::vector<std::vector<float>> &v) {
        std::vector<float *> p;
        for (auto &x : v) p.push_back(x.data());
        return p;
    }
    lopt_status create(const lopt_optimizer_options *o = nullptr) {
        lopt_optimizer_free(opt.p);
        opt.p = nullptr;
        return lopt_optimizer_create(weights.p, o, counts.size(), counts.data(), pointers(params).data(), nullptr, &opt.p);
    }
    lopt_status step(const std::vector<bool> &resting = {}) {
        std::vector<float *> p = pointers(params);
        std::vector<const float *> g;
        for (size_t i = 0; i < grads.size(); i++) g.push_back(i < resting.size() && resting[i] ? nullptr : grads[i].data());
        return lopt_optimizer_step(opt.p, p.data(), g.data(), nullptr);
    }
    void run(uint64_t from, uint64_t to) {
        for (uint64_t t = from; t < to; t++) {
            gradients(t);
            ASSERT_EQ(step(), LOPT_OK) << lopt_last_error();
        }
    }
    std::vector<std::vector<float>> true_params() {
        std::vector<std::vector<float>> out = params;
        EXPECT_EQ(lopt_optimizer_true_params(opt.p, pointers(out).data(), nullptr), LOPT_OK);
        return out;
    }
    lopt_status swap() { return lopt_optimizer_swap(opt.p, pointers(params).data(), nullptr); }
};

// One rate to begin with, and the guard.
inline lopt_optimizer_options guarded(const char *guard) {
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    o.init_lr_min = o.init_lr_max = 1e-2;
    o.guard = guard;
    return o;
}

// Tensors of a state file by name.
using State = std::map<std::string, std::vector<float>>;
inline State state_of(lopt_optimizer *opt) {
    State out;
    ScratchDir dir;
    safetensors_file *f = nullptr;
    EXPECT_EQ(lopt_optimizer_save(opt, (dir / "s").c_str()), LOPT_OK) << lopt_last_error();
    EXPECT_EQ(safetensors_open((dir / "s").c_str(), &f), LOPT_OK);
    for (size_t k = 0; f && k < safetensors_num_tensors(f); k++) {
        const safetensors_tensor *t = safetensors_tensor_at(f, k);
        const void *data = nullptr;
        if (safetensors_count(t) == 0 || safetensors_data(f, t, &data) != LOPT_OK) continue;
        auto &to = out[t->name];
        to.resize(safetensors_count(t));
        std::memcpy(to.data(), data, to.size() * sizeof(float));
    }
    safetensors_close(f);
    return out;
}
