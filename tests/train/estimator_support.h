// A configuration, weights and a task, and episodes of them: what the tests of the estimators share.
#pragma once
#include "tests/support/golden.h"

extern "C" {
#include "csrc/train/estimate.h"
#include "csrc/train/particle.h"
#include "csrc/weights/weights.h"
}

using Vector = std::vector<double>;

inline double dot(const Vector &a, const Vector &b) {
    double sum = 0.0;
    for (size_t i = 0; i < a.size(); i++) sum += a[i] * b[i];
    return sum;
}
inline Vector minus(const Vector &a, const Vector &b) {
    Vector out(a.size());
    for (size_t i = 0; i < a.size(); i++) out[i] = a[i] - b[i];
    return out;
}
inline double norm(const Vector &a) { return std::sqrt(dot(a, a)); }

// A configuration, weights and a task; estimates are taken from episodes of them.
struct Bench {
    train_config c;
    Weights w;
    Task task;
    prepared_weights *prepared = nullptr;

    explicit Bench(const std::vector<std::string> &overrides, const char *sizes = "param=2,tensor=2,global=2",
                   const char *spec = "quadratic:n=3") {
        EXPECT_EQ(config_defaults(&c), LOPT_OK);
        set("init_lr.min=1e-3");
        set("init_lr.max=0.1");
        for (const std::string &o : overrides) set(o);
        EXPECT_EQ(lopt_weights_init(sizes, 3, &w.p), LOPT_OK) << lopt_last_error();
        EXPECT_EQ(spec ? lopt_task_create(spec, 4, &task.p) : LOPT_OK, LOPT_OK) << lopt_last_error();
        EXPECT_EQ(prepared_create(&w.p->layout, w.p->data, &prepared), LOPT_OK);
    }
    ~Bench() {
        prepared_free(prepared);
        config_free(&c);
    }
    Bench(const Bench &) = delete;
    void set(const std::string &o) { EXPECT_EQ(config_override(&c, o.c_str()), LOPT_OK) << lopt_last_error(); }
    size_t count() const { return w.p->layout.count; }
};

// An episode of a bench with what it needs to go on.
struct Episode {
    const Bench &b;
    episode *e = nullptr;
    estimate_workspace *ws = nullptr;
    Episode(const Bench &bench, uint64_t noise_seed) : b(bench) {
        EXPECT_EQ(episode_create(&b.c, &b.w.p->layout, b.task.p, 77, noise_seed, &e), LOPT_OK) << lopt_last_error();
        EXPECT_EQ(estimate_workspace_create(&b.c, &b.w.p->layout, &ws), LOPT_OK);
    }
    ~Episode() {
        estimate_workspace_free(ws);
        episode_free(e);
    }
    Episode(const Episode &) = delete;
    Vector window(size_t steps, double *meta_loss = nullptr) {
        std::vector<float> g(b.count(), NAN);
        estimate out;
        EXPECT_EQ(estimate_window(&b.c, b.prepared, e, steps, ws, g.data(), &out), LOPT_OK) << lopt_last_error();
        if (meta_loss) *meta_loss = out.meta_loss;
        return Vector(g.begin(), g.end());
    }
    // mean over the windows of one episode
    Vector whole(size_t steps, size_t length) {
        Vector mean(b.count(), 0.0);
        for (size_t done = 0; done < steps; done += length) {
            const Vector g = window(length);
            for (size_t i = 0; i < mean.size(); i++) mean[i] += g[i] * double(length) / double(steps);
        }
        return mean;
    }
};
