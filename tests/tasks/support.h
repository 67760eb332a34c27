// A task with its buffers, for tests that call the operations directly.
#pragma once
#include "tests/support/golden.h"

extern "C" {
#include "tasks/task.h"
#include "tasks/task_object.h"
}

struct Corpus {
    Task task;
    size_t total = 0;
    std::vector<float> workspace_storage;
    float *workspace = nullptr;

    explicit Corpus(const std::string &spec, uint64_t seed = 1) {
        EXPECT_EQ(lopt_task_create(spec.c_str(), seed, &task.p), LOPT_OK) << spec << ": " << lopt_last_error();
        if (task.p == nullptr) return;
        total = task_total(task.p);
        workspace_storage.assign(task_workspace(task.p) + 32, NAN); // operations must not rely on what is in there
        workspace = workspace_storage.data();
        while (reinterpret_cast<uintptr_t>(workspace) % 64) workspace++;
    }
    std::vector<float> start(uint64_t seed) {
        std::vector<float> x(total);
        EXPECT_EQ(task_init(task.p, seed, x.data()), LOPT_OK);
        return x;
    }
    double full_loss(const std::vector<float> &x) {
        double loss = NAN;
        EXPECT_EQ(task_full_loss_grad(task.p, x.data(), &loss, nullptr, workspace), LOPT_OK);
        return loss;
    }
    std::vector<float> full_gradient(const std::vector<float> &x, double *loss = nullptr) {
        std::vector<float> g(total, NAN);
        double unused;
        EXPECT_EQ(task_full_loss_grad(task.p, x.data(), loss ? loss : &unused, g.data(), workspace), LOPT_OK);
        return g;
    }
    std::vector<float> gradient(uint64_t seed, uint64_t step, const std::vector<float> &x, double *loss = nullptr) {
        std::vector<float> g(total, NAN);
        EXPECT_EQ(task_loss_grad(task.p, seed, step, x.data(), loss, g.data(), workspace), LOPT_OK);
        return g;
    }
    std::vector<float> product(uint64_t seed, uint64_t step, const std::vector<float> &x, const std::vector<float> &v) {
        std::vector<float> out(total, NAN);
        EXPECT_EQ(task_hvp(task.p, seed, step, x.data(), v.data(), out.data(), workspace), LOPT_OK);
        return out;
    }
};

inline double dot(const std::vector<float> &a, const std::vector<float> &b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); i++) sum += double(a[i]) * b[i];
    return sum;
}
inline double norm(const std::vector<float> &a) { return std::sqrt(dot(a, a)); }
inline std::vector<float> moved(const std::vector<float> &x, const std::vector<float> &v, double by) {
    std::vector<float> y(x.size());
    for (size_t i = 0; i < x.size(); i++) y[i] = float(x[i] + by * v[i]);
    return y;
}
// A direction of length 1, the same for the same seed.
inline std::vector<float> direction(size_t n, unsigned seed) {
    std::vector<float> v(n);
    unsigned state = seed * 2654435761u + 1;
    for (float &x : v) {
        state = state * 1664525u + 1013904223u;
        x = float(int(state >> 8) - (1 << 23)) / float(1 << 23);
    }
    const double length = norm(v);
    for (float &x : v) x = float(x / length);
    return v;
}
