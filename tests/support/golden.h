// Golden files and small helpers that tests share.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

extern "C" {
#include "csrc/io/safetensors.h"
#include "lopt/lopt.h"
#include "lopt/meta.h"
}

inline std::string golden_path(const std::string &name) { return std::string(LOPT_SOURCE_DIR "/tests/golden/data/") + name; }

class GoldenFile {
public:
    explicit GoldenFile(const std::string &name) {
        EXPECT_EQ(safetensors_open(golden_path(name).c_str(), &file_), LOPT_OK) << lopt_last_error();
    }
    ~GoldenFile() { safetensors_close(file_); }
    GoldenFile(const GoldenFile &) = delete;
    bool has(const std::string &name) const { return find(name) != nullptr; }
    std::vector<float> floats(const std::string &name) const {
        const safetensors_tensor *t = find(name);
        std::vector<float> out;
        const void *data = nullptr;
        if (t == nullptr || safetensors_data(file_, t, &data) != LOPT_OK) {
            ADD_FAILURE() << "no golden tensor " << name;
            return out;
        }
        out.resize(safetensors_count(t));
        std::memcpy(out.data(), data, out.size() * sizeof(float));
        return out;
    }
    double number(const char *key) const { return std::stod(safetensors_metadata(file_, key)); }

private:
    const safetensors_tensor *find(const std::string &name) const {
        for (size_t i = 0; i < safetensors_num_tensors(file_); i++)
            if (name == safetensors_tensor_at(file_, i)->name) return safetensors_tensor_at(file_, i);
        return nullptr;
    }
    safetensors_file *file_ = nullptr;
};

// Float32 must agree to 2e-4 relative, or 2e-4 of 2 % of the tensor's largest value, or 1e-6 absolute.
inline void expect_close(const std::vector<float> &got, const std::vector<float> &want, const std::string &what) {
    ASSERT_EQ(got.size(), want.size()) << what;
    double largest = 0.0;
    for (float x : want) largest = std::fmax(largest, std::fabs(x));
    for (size_t i = 0; i < want.size(); i++) {
        double error = std::fabs(double(got[i]) - double(want[i]));
        double allowed = std::fmax(1e-6, 2e-4 * std::fmax(std::fabs(want[i]), 0.02 * largest));
        ASSERT_LE(error, allowed) << what << "[" << i << "]: " << got[i] << " instead of " << want[i];
    }
}

// A state file against what a golden step left: every tensor that the golden file knows, and as many tensors as there must be.
inline void expect_golden_state(const GoldenFile &golden, const std::string &path, const std::string &name) {
    safetensors_file *f = nullptr;
    ASSERT_EQ(safetensors_open(path.c_str(), &f), LOPT_OK) << lopt_last_error();
    for (size_t k = 0; k < safetensors_num_tensors(f); k++) {
        const safetensors_tensor *tensor = safetensors_tensor_at(f, k);
        const void *data = nullptr;
        if (!golden.has(tensor->name)) continue; // theta.i, known already
        ASSERT_EQ(safetensors_data(f, tensor, &data), LOPT_OK);
        std::vector<float> got(safetensors_count(tensor));
        std::memcpy(got.data(), data, got.size() * sizeof(float));
        expect_close(got, golden.floats(tensor->name), name + " " + tensor->name);
    }
    EXPECT_EQ(safetensors_num_tensors(f), 6 * size_t(golden.number("tensors")) + 1);
    safetensors_close(f);
}
#define GOLDEN_STEPS                                                                                                     \
    ::testing::Values("step_default", "step_minimal", "step_no_attention", "step_code_sizes", "step_zeros_and_controls", \
                      "step_from_state")

// Frees C objects at the end of a scope.
struct Weights {
    lopt_weights *p = nullptr;
    ~Weights() { lopt_weights_free(p); }
};
struct Task {
    lopt_task *p = nullptr;
    ~Task() { lopt_task_free(p); }
};
struct Optimizer {
    lopt_optimizer *p = nullptr;
    ~Optimizer() { lopt_optimizer_free(p); }
};
