// The estimators of the meta-gradient, each against a plain double version of its paper's algorithm; what their runs share; where
// episodes end.
#include <memory>

#include "tests/support/quadratic_task.h"
#include "tests/train/estimator_support.h"

namespace {

// ---- Each algorithm, plainly ------------------------------------------------------------------------------------------------

// A run driven by any weights.
struct InnerRun {
    const Bench &b;
    unroll_run *r = nullptr;
    unroll_workspace *ws = nullptr;
    explicit InnerRun(const Bench &bench) : b(bench) {
        EXPECT_EQ(unroll_run_create(&b.w.p->layout, b.task.p, &r), LOPT_OK);
        EXPECT_EQ(unroll_workspace_create(&ws), LOPT_OK);
    }
    ~InnerRun() {
        unroll_workspace_free(ws);
        unroll_run_free(r);
    }
    InnerRun(const InnerRun &) = delete;
    // loss of a window at the bench's weights + sign noise; the first one starts the run
    double window(const std::vector<float> &noise, float sign, bool first, size_t steps, std::vector<float> *gradient = nullptr) {
        std::vector<float> flat(b.w.p->data, b.w.p->data + b.count());
        for (size_t i = 0; i < flat.size(); i++) flat[i] += sign * noise[i];
        prepared_weights *p = nullptr;
        EXPECT_EQ(prepared_create(&b.w.p->layout, flat.data(), &p), LOPT_OK);
        EXPECT_EQ(first ? unroll_run_start(r, p, 77, b.c.init_lr_min, b.c.init_lr_max, ws) : LOPT_OK, LOPT_OK);
        if (gradient) gradient->assign(b.count(), NAN);
        const unroll_window_args args = {steps, 1, gradient ? gradient->data() : nullptr, nullptr};
        unroll_result result;
        EXPECT_EQ(unroll_window(r, p, &args, ws, &result), LOPT_OK);
        prepared_free(p);
        return result.meta_loss;
    }
    std::vector<float> state() const {
        std::vector<float> out(unroll_run_floats(r));
        unroll_run_export(r, out.data());
        return out;
    }
    void restore(const std::vector<float> &state, unroll_position at) { unroll_run_import(r, at, state.data()); }
};

std::vector<float> noise_of(const Bench &b, const episode *e, size_t pair) {
    std::vector<float> noise(b.count());
    episode_perturbation(&b.c, e, pair, noise.data());
    return noise;
}

struct Evolution {
    const char *name;
    bool shared_state, accumulates;
};
void PrintTo(const Evolution &e, std::ostream *out) { *out << e.name; }
class Algorithm : public ::testing::TestWithParam<Evolution> {};

// Three windows of different lengths, every pair's runs unrolled here, sums in double.
TEST_P(Algorithm, IsThatOfItsPaper) {
    const Evolution kind = GetParam();
    const size_t pairs = 3;
    Bench b({std::string("estimator=") + kind.name, "es.pairs=3", "es.sigma=0.05"}, "param=3,tensor=4,global=2",
            "quadratic:n=5,noise=0.3");
    Episode e(b, 12);
    InnerRun mean(b);
    std::vector<std::unique_ptr<InnerRun>> runs;
    for (size_t i = 0; i < 2 * pairs; i++) runs.push_back(std::make_unique<InnerRun>(b));
    std::vector<Vector> xi(pairs, Vector(b.count(), 0.0));
    const std::vector<float> none(b.count(), 0.0f);
    for (size_t t = 0; t < 3; t++) {
        const size_t steps = 4 + t;
        Vector want(b.count(), 0.0);
        double losses = 0.0;
        for (size_t k = 0; k < pairs; k++) {
            const std::vector<float> noise = noise_of(b, e.e, k);
            for (int s = 0; s < 2 && kind.shared_state && t > 0; s++)
                runs[2 * k + s]->restore(mean.state(), unroll_run_position(mean.r));
            const double plus = runs[2 * k]->window(noise, 1, t == 0, steps),
                         less = runs[2 * k + 1]->window(noise, -1, t == 0, steps);
            for (size_t i = 0; i < want.size(); i++) {
                xi[k][i] = noise[i] + (kind.accumulates ? xi[k][i] : 0.0);
                want[i] += xi[k][i] * (plus - less) / (2 * 0.05 * 0.05) / double(pairs);
            }
            losses += (plus + less) / double(2 * pairs);
        }
        const double center = mean.window(none, 1, t == 0, steps);
        double loss = 0.0;
        const Vector got = e.window(steps, &loss);
        EXPECT_LE(norm(minus(got, want)), 1e-5 * norm(want)) << "window " << t;
        EXPECT_NEAR(loss, kind.shared_state ? center : losses, 1e-12);
    }
}
INSTANTIATE_TEST_SUITE_P(All, Algorithm,
                         ::testing::Values(Evolution{"es", true, false}, Evolution{"pes", false, true},
                                           Evolution{"nres", false, false}));

// Variance of the mean of n vectors, summed over entries.
double variance_of_mean(const std::vector<Vector> &x) {
    Vector mean(x[0].size(), 0.0);
    double sum = 0.0;
    for (const Vector &v : x)
        for (size_t i = 0; i < v.size(); i++) mean[i] += v[i] / double(x.size());
    for (const Vector &v : x) sum += dot(minus(v, mean), minus(v, mean));
    return sum / double(x.size() * (x.size() - 1));
}

TEST(Mix, WeighsByInverseVariance) {
    const size_t pairs = 4;
    const double sigma = 0.1; // wide, on a rugged task: exact gradients scatter too
    Bench b({"estimator=mix", "es.pairs=4", "es.sigma=0.1", "init_lr.max=1", "init_lr.min=0.1"}, "param=3,tensor=4,global=2",
            "ackley");
    Episode e(b, 5);
    std::vector<std::unique_ptr<InnerRun>> runs;
    for (size_t i = 0; i < 2 * pairs; i++) runs.push_back(std::make_unique<InnerRun>(b));
    std::vector<Vector> xi(pairs, Vector(b.count(), 0.0));
    for (size_t t = 0; t < 2; t++) {
        std::vector<Vector> exact(pairs, Vector(b.count())), evolved(pairs, Vector(b.count()));
        for (size_t k = 0; k < pairs; k++) {
            const std::vector<float> noise = noise_of(b, e.e, k);
            std::vector<float> g[2];
            double loss[2];
            for (int s = 0; s < 2; s++) loss[s] = runs[2 * k + s]->window(noise, s ? -1.0f : 1.0f, t == 0, 30, &g[s]);
            for (size_t i = 0; i < b.count(); i++) {
                xi[k][i] += noise[i];
                exact[k][i] = 0.5 * (double(g[0][i]) + g[1][i]);
                evolved[k][i] = xi[k][i] * (loss[0] - loss[1]) / (2 * sigma * sigma);
            }
        }
        const double a = 1 / variance_of_mean(exact), z = 1 / variance_of_mean(evolved);
        EXPECT_GT(a / (a + z), 0.02); // both have a say
        EXPECT_LT(a / (a + z), 0.995);
        Vector want(b.count(), 0.0);
        for (size_t k = 0; k < pairs; k++)
            for (size_t i = 0; i < b.count(); i++) want[i] += (a * exact[k][i] + z * evolved[k][i]) / (a + z) / double(pairs);
        EXPECT_LE(norm(minus(e.window(30), want)), 1e-4 * norm(want)) << "window " << t;
    }
}

// A Hessian that overflows: the exact gradient is of no use, the losses are.
TEST(Mix, DropsExactGradientsThatExploded) {
    QuadraticTask quadratic({2, 1, 0, 1}, {1, 0}, {1, 1});
    lopt_task_ops ops = quadratic.ops();
    ops.hvp = [](void *, uint64_t, uint64_t, const float *const *, const float *const *, float *const *out) {
        out[0][0] = out[0][1] = INFINITY;
        return 0;
    };
    Bench mix({"estimator=mix", "es.pairs=3"}, "param=3,tensor=3,global=2", nullptr),
        pes({"estimator=pes", "es.pairs=3"}, "param=3,tensor=3,global=2", nullptr);
    for (Bench *b : {&mix, &pes}) ASSERT_EQ(lopt_task_from_ops(&ops, &quadratic, &b->task.p), LOPT_OK);
    Episode a(mix, 1), z(pes, 1);
    for (int t = 0; t < 3; t++) {
        const Vector got = a.window(5);
        EXPECT_EQ(got, z.window(5));
        EXPECT_GT(norm(got), 0.0);
    }
}

// ---- Randomness -------------------------------------------------------------------------------------------------------------

TEST(Perturbation, IsNormalAndAFunctionOfItsIndices) {
    Bench pes({"estimator=pes", "es.sigma=0.5"}, nullptr), nres({"estimator=nres", "es.sigma=0.5"}, nullptr);
    Episode a(pes, 1), again(pes, 1), other(pes, 2), reused(nres, 1);
    const std::vector<float> first = noise_of(pes, a.e, 0);
    double mean = 0, square = 0, fourth = 0;
    for (float x : first) mean += x / 0.5, square += x * x / 0.25, fourth += std::pow(x / 0.5, 4);
    const double n = double(first.size());
    EXPECT_LT(std::fabs(mean / n), 4 / std::sqrt(n));
    EXPECT_NEAR(square / n, 1.0, 4 * std::sqrt(2 / n));
    EXPECT_NEAR(fourth / n, 3.0, 4 * std::sqrt(96 / n));
    EXPECT_EQ(first, noise_of(pes, again.e, 0));
    EXPECT_NE(first, noise_of(pes, other.e, 0));
    EXPECT_NE(first, noise_of(pes, a.e, 1));
    EXPECT_EQ(first, noise_of(nres, reused.e, 0));
    a.window(1), reused.window(1);
    EXPECT_NE(first, noise_of(pes, a.e, 0));       // fresh in every window
    EXPECT_EQ(first, noise_of(nres, reused.e, 0)); // one for the episode
}

class Perturbing : public ::testing::TestWithParam<const char *> {};

// Without a difference in the weights, all runs are one: task, start, learning rates, minibatches, gradient noise.
TEST_P(Perturbing, RunsShareAllRandomness) {
    Bench b({std::string("estimator=") + GetParam(), "es.pairs=2", "es.sigma=0.1"}, "param=3,tensor=3,global=3",
            "softmax_regression:features=4,sep=2,batch=20,noise=0.5");
    Bench plain({"estimator=tbptt"}, "param=3,tensor=3,global=3", nullptr);
    plain.task.p = b.task.p;
    b.c.es_sigma = 0.0; // below what a configuration may say
    {
        Episode e(b, 1), unperturbed(plain, 1);
        for (int t = 0; t < 3; t++) {
            double loss = 0, want = 0;
            e.window(5, &loss), unperturbed.window(5, &want);
            EXPECT_NEAR(loss, want, 1e-14);
            std::vector<float> state(unroll_run_floats(unperturbed.e->runs[0])), same(state.size());
            unroll_run_export(unperturbed.e->runs[0], state.data());
            for (size_t i = 0; i <= e.e->num_runs; i++) {
                const unroll_run *run = i < e.e->num_runs ? e.e->runs[i] : e.e->trial;
                if (run == nullptr) continue;
                unroll_run_export(run, same.data());
                EXPECT_EQ(state, same) << "run " << i;
            }
        }
    }
    plain.task.p = nullptr;
}

// One of a pair meets a loss that is not finite: the estimate says so.
struct CliffTask : QuadraticTask {
    double cliff = INFINITY;
    CliffTask() : QuadraticTask({2, 1, 0, 1}, {1, 0}, {1, 1}) {}
    static int whole(void *self, const float *const *params, double *loss, float *const *grads) {
        QuadraticTask::whole(self, params, loss, grads);
        if (params[0][0] > static_cast<CliffTask *>(self)->cliff) *loss = INFINITY;
        return 0;
    }
};
TEST_P(Perturbing, DivergenceOfOneOfAPairIsNoticed) {
    CliffTask task;
    lopt_task_ops ops = task.ops();
    ops.full_loss_grad = CliffTask::whole;
    Bench b({std::string("estimator=") + GetParam(), "es.pairs=2", "es.sigma=0.1"}, "param=3,tensor=3,global=3", nullptr);
    ASSERT_EQ(lopt_task_from_ops(&ops, static_cast<QuadraticTask *>(&task), &b.task.p), LOPT_OK);
    InnerRun plus(b), less(b);
    Episode probe(b, 9), e(b, 9);
    const std::vector<float> noise = noise_of(b, probe.e, 1);
    plus.window(noise, 1, true, 1), less.window(noise, -1, true, 1);
    double loss = 0;
    probe.window(1, &loss);
    EXPECT_TRUE(std::isfinite(loss));
    const float x = plus.state()[0], y = less.state()[0];
    ASSERT_NE(x, y);
    task.cliff = 0.5 * (double(x) + y); // between the two
    e.window(1, &loss);
    EXPECT_TRUE(std::isnan(loss)) << loss;
}
INSTANTIATE_TEST_SUITE_P(All, Perturbing, ::testing::Values("es", "pes", "nres", "mix"));

// ---- Episodes ---------------------------------------------------------------------------------------------------------------

// A particle and the list of tasks that it draws from.
struct Particle {
    Bench b;
    corpus tasks = {nullptr, nullptr, 0};
    particle p = {};
    estimate_workspace *ws = nullptr;
    particle_report report = {};
    explicit Particle(std::vector<std::string> overrides) : b((overrides.push_back("tasks=quadratic:n=3,noise=0.1"), overrides)) {
        EXPECT_EQ(corpus_expand(&b.c.tasks, &tasks), LOPT_OK);
        EXPECT_EQ(estimate_workspace_create(&b.c, &b.w.p->layout, &ws), LOPT_OK);
    }
    ~Particle() {
        estimate_workspace_free(ws);
        particle_free(&p);
        corpus_free(&tasks);
    }
    std::vector<float> advance(size_t steps) {
        std::vector<float> g(b.count(), NAN);
        EXPECT_EQ(particle_advance(&b.c, &tasks, b.prepared, steps, ws, &p, g.data(), &report), LOPT_OK) << lopt_last_error();
        return g;
    }
};

// In episodes of one window pes and nres are the same estimator, unless something outlives an episode.
TEST(EpisodeEnd, ResetsTheAccumulator) {
    Particle pes({"estimator=pes", "horizon.windows_max=1"}), nres({"estimator=nres", "horizon.windows_max=1"});
    std::vector<float> before;
    for (int i = 0; i < 5; i++) {
        const std::vector<float> g = pes.advance(4);
        EXPECT_TRUE(pes.report.restarted);
        EXPECT_EQ(g, nres.advance(4)) << i;
        EXPECT_NE(g, before); // fresh perturbations each time
        before = g;
    }
    // and in longer ones they are not
    Particle long_pes({"estimator=pes", "horizon.kind=log_uniform", "horizon.min=1000", "horizon.max=1000"});
    Particle long_nres({"estimator=nres", "horizon.kind=log_uniform", "horizon.min=1000", "horizon.max=1000"});
    EXPECT_EQ(long_pes.advance(4), long_nres.advance(4));
    EXPECT_NE(long_pes.advance(4), long_nres.advance(4));
}

TEST(Estimators, AreWhatTheConfigurationOffers) {
    const char *names[] = {"tbptt", "es", "pes", "nres", "mix"};
    const size_t unrolls[] = {1, 9, 8, 8, 8};
    for (int i = 0; i < 5; i++) {
        Bench b({std::string("estimator=") + names[i], "es.pairs=4"});
        EXPECT_STREQ(estimator_of(&b.c)->name, names[i]);
        EXPECT_EQ(estimator_unrolls(&b.c), unrolls[i]);
    }
    Bench one({"estimator=mix", "es.pairs=1"});
    EXPECT_EQ(config_check(&one.c), LOPT_ERR_CONFIG);
    EXPECT_NE(std::string(lopt_last_error()).find("es.pairs"), std::string::npos);
}

} // namespace
