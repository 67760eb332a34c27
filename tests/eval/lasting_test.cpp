// Progress of the shipped optimizer over long runs: the known failure of this architecture, and what the guard is there for.
#include <cmath>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "tests/support/golden.h"

extern "C" {
#include "tasks/task.h"
}

namespace {

// On one thread: to wake a second one ten thousand times takes longer than its share of these small steps.
class Lasting : public testing::Test {
#ifdef _OPENMP
    int threads_ = omp_get_max_threads();

public:
    Lasting() { omp_set_num_threads(1); }
    ~Lasting() override { omp_set_num_threads(threads_); }
#endif
};

struct Losses {
    double start, fifth, end; // whole-data loss at the start, after a fifth of the steps, after all
};

Losses run(const char *spec, const char *guard, size_t steps, uint64_t seed = 0) {
    Weights w;
    Task t;
    Optimizer opt;
    EXPECT_EQ(lopt_weights_load(LOPT_SOURCE_DIR "/weights/hrnn-10-30-20.safetensors", &w.p), LOPT_OK) << lopt_last_error();
    EXPECT_EQ(lopt_task_create(spec, 7, &t.p), LOPT_OK) << lopt_last_error();
    std::vector<float> params(task_total(t.p)), grads(params.size()), workspace(task_workspace(t.p) + 16);
    std::vector<float *> p;
    std::vector<const float *> g;
    for (size_t i = 0, at = 0; i < task_num_tensors(t.p); at += task_counts(t.p)[i++]) {
        p.push_back(params.data() + at);
        g.push_back(grads.data() + at);
    }
    float *scratch = workspace.data() + (64 - reinterpret_cast<uintptr_t>(workspace.data()) % 64) % 64 / sizeof(float);
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    o.guard = guard;
    EXPECT_EQ(task_init(t.p, 3 + seed, params.data()), LOPT_OK);
    EXPECT_EQ(lopt_optimizer_create(w.p, &o, p.size(), task_counts(t.p), p.data(), nullptr, &opt.p), LOPT_OK) << lopt_last_error();
    Losses out = {};
    EXPECT_EQ(task_full_loss_grad(t.p, params.data(), &out.start, nullptr, scratch), LOPT_OK);
    for (size_t step = 0; step < steps; step++) {
        double loss;
        EXPECT_EQ(task_loss_grad(t.p, 5 + seed, step, params.data(), &loss, grads.data(), scratch), LOPT_OK);
        EXPECT_EQ(lopt_optimizer_step(opt.p, p.data(), g.data(), nullptr), LOPT_OK) << lopt_last_error();
        if (step + 1 == steps / 5) {
            EXPECT_EQ(task_full_loss_grad(t.p, params.data(), &out.fifth, nullptr, scratch), LOPT_OK);
        }
    }
    EXPECT_EQ(task_full_loss_grad(t.p, params.data(), &out.end, nullptr, scratch), LOPT_OK);
    return out;
}

// Twice as many steps as the longest run of the last training stage.
constexpr size_t STEPS = 10000, RUNS = 3;

TEST_F(Lasting, ProgressGoesOn) {
    for (const char *spec : {"digits_softmax", "rosenbrock_100", "teacher_mlp"}) {
        const Losses l = run(spec, nullptr, STEPS);
        EXPECT_LT(l.end, 0.7 * l.fifth) << spec;
    }
}

// The shipped weights' rates die away here. Should this fail with other weights, they have learned what the floor of the guard is there for.
TEST_F(Lasting, WithoutTheGuardItStops) {
    const Losses l = run("digits_softmax", "off", STEPS);
    EXPECT_GT(l.end, 0.8 * l.fifth);
}

// Gradients that drown in noise, or are nearly always zero: there rates rise without end. Single runs end up or down by chance, and by the rounding of an
// instruction set.
TEST_F(Lasting, NothingIsLost) {
    for (const char *spec :
         {"softmax_regression:features=256,sep=1.5,batch=32,noise=0.5", "mlp:inputs=20,hidden=12,batch=32,l2=0,sparse=0.99"}) {
        double ratio = 0.0; // of the last losses, with and without the guard, on average
        for (uint64_t seed = 0; seed < RUNS; seed++) {
            const Losses on = run(spec, nullptr, STEPS, seed), off = run(spec, "off", STEPS, seed);
            EXPECT_LT(on.end, on.start) << spec;
            EXPECT_LT(on.end, on.fifth) << spec;
            ratio += std::log(on.end / off.end) / RUNS;
            EXPECT_LT(on.end, off.end) << spec;
        }
        EXPECT_LT(ratio, std::log(0.85)) << spec << ": what the ceiling of the guard is there for";
    }
}

} // namespace
