// Sums, and the transforms around losses and gradients: each against what its formula makes of the plain task.
#include "tests/tasks/support.h"

namespace {

std::vector<float> part(const std::vector<float> &x, size_t from, size_t count) {
    return {x.begin() + long(from), x.begin() + long(from + count)};
}

TEST(Log, IsTheLogarithmAndItsChainRule) {
    Corpus plain("quadratic:n=8"), log("quadratic:n=8,log=1");
    const std::vector<float> x = plain.start(3), v = direction(8, 2);
    double f = 0, l = 0;
    const std::vector<float> g = plain.full_gradient(x, &f), h = plain.product(0, 0, x, v), lg = log.full_gradient(x, &l),
                             lh = log.product(0, 0, x, v);
    EXPECT_NEAR(l, std::log(f + 1e-6) - std::log(1e-6), 1e-6 * l);
    const double s = 1 / (f + 1e-6), gv = dot(g, v);
    for (size_t i = 0; i < 8; i++) {
        EXPECT_NEAR(lg[i], s * g[i], 1e-5 * std::fabs(s * g[i]) + 1e-8);
        EXPECT_NEAR(lh[i], s * h[i] - s * s * g[i] * gv, 1e-5 * (std::fabs(s * h[i]) + std::fabs(s * s * g[i] * gv)));
    }
}

TEST(Sparse, ZeroesTheShareAskedForAndMasksTheProduct) {
    Corpus plain("quadratic:n=40"), sparse("quadratic:n=40,sparse=0.8");
    const std::vector<float> x = plain.start(3), g = plain.full_gradient(x), v = direction(40, 2);
    size_t zeros = 0;
    std::vector<float> last;
    for (uint64_t step = 0; step < 500; step++) {
        const std::vector<float> m = sparse.gradient(1, step, x);
        std::vector<float> kept = v;
        for (size_t i = 0; i < 40; i++) {
            if (m[i] == 0) zeros++, kept[i] = 0;
            else ASSERT_EQ(m[i], g[i]);
        }
        EXPECT_NE(m, last); // fresh at each step
        last = m;
        ASSERT_EQ(sparse.product(1, step, x, v), plain.product(1, step, x, kept));
    }
    EXPECT_NEAR(double(zeros) / (500 * 40), 0.8, 0.01);
    EXPECT_EQ(sparse.full_gradient(x), g); // the whole gradient is not masked
}

// A term's noise is part of what the sum's mask is on; within one level the mask comes first.
TEST(Sparse, OfASumHidesTheNoiseOfItsTerms) {
    Corpus inside("(quadratic:n=40,noise=1+rosenbrock):sparse=0.9"), beside("(quadratic:n=40+rosenbrock):sparse=0.9,noise=1");
    const std::vector<float> x = inside.start(3);
    size_t zeros = 0, zeros_beside = 0;
    for (uint64_t step = 0; step < 200; step++) {
        for (float g : inside.gradient(1, step, x)) zeros += g == 0;
        for (float g : beside.gradient(1, step, x)) zeros_beside += g == 0;
    }
    EXPECT_NEAR(double(zeros) / (200 * 42), 0.9, 0.02);
    EXPECT_EQ(zeros_beside, 0u);
}

// The dead parameters are found by their gradients; the loss must not see them, nor change where they are not.
TEST(Dead, ParametersAreUnseenAndHaveNoGradient) {
    Corpus plain("mlp:inputs=6,hidden=20,batch=32,l2=0", 2), dead("mlp:inputs=6,hidden=20,batch=32,l2=0,dead=0.4", 2);
    std::vector<float> x = dead.start(1), elsewhere = x, zeroed = x;
    EXPECT_EQ(x, plain.start(1));
    const std::vector<float> v = direction(dead.total, 3), batch = dead.gradient(1, 2, x), product = dead.product(1, 2, x, v);
    size_t count = 0;
    for (size_t i = 0; i < dead.total; i++) {
        if (batch[i] != 0) continue;
        count++, elsewhere[i] += 3, zeroed[i] = 0;
        EXPECT_EQ(product[i], 0);
    }
    EXPECT_NEAR(double(count), 0.4 * double(dead.total), 4 * std::sqrt(0.24 * double(dead.total)));
    EXPECT_EQ(dead.full_loss(elsewhere), dead.full_loss(x));
    EXPECT_EQ(dead.full_loss(x), plain.full_loss(zeroed));
    const std::vector<float> g = dead.full_gradient(x), h = plain.full_gradient(zeroed);
    for (size_t i = 0; i < dead.total; i++) EXPECT_EQ(g[i], batch[i] != 0 ? h[i] : 0);
    EXPECT_NE(Corpus("mlp:inputs=6,hidden=20,batch=32,l2=0,dead=0.4", 3).full_gradient(x), g) << "drawn with the instance";
}

TEST(Dead, StartsAreFiniteUnderEveryScale) {
    Corpus c("(quadratic:n=8,dead=0.5+booth):scale=100,dead=0.3", 2);
    for (float v : c.start(1)) EXPECT_TRUE(std::isfinite(v));
    EXPECT_TRUE(std::isfinite(c.full_loss(c.start(1))));
}

TEST(Spread, OfTheModelIsOneFactorOfParametersMany) {
    double least = INFINITY, most = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        Corpus plain("quadratic:n=30", seed), model("quadratic:n=30,model_spread=1000", seed),
            each("quadratic:n=30,parameter_spread=1000", seed);
        const std::vector<float> x = plain.start(1), m = model.start(1), e = each.start(1);
        const double factor = m[0] / x[0];
        least = std::fmin(least, factor), most = std::fmax(most, factor);
        double low = INFINITY, high = 0;
        for (size_t i = 0; i < 30; i++) {
            EXPECT_NEAR(m[i] / x[i], factor, 1e-5 * factor);
            low = std::fmin(low, e[i] / x[i]), high = std::fmax(high, e[i] / x[i]);
        }
        EXPECT_GT(high / low, 30); // 30 draws from six decades
        EXPECT_NEAR(plain.full_loss(x), model.full_loss(m), 1e-4 * plain.full_loss(x));
        EXPECT_NEAR(plain.full_loss(x), each.full_loss(e), 1e-4 * plain.full_loss(x));
    }
    EXPECT_GE(least, 0.999e-3);
    EXPECT_LE(most, 1001);
    EXPECT_LT(least, 1e-2); // log-uniform: a third of the draws lie there
    EXPECT_GT(most, 1e2);
}

TEST(Sum, IsItsTermsSideBySide) {
    Corpus sum("quadratic:n=5+mlp:inputs=3,hidden=4,batch=10+rosenbrock"), quadratic("quadratic:n=5"), rosenbrock("rosenbrock");
    ASSERT_EQ(task_num_tensors(sum.task.p), 1u + 4u + 1u);
    const size_t counts[] = {5, 12, 4, 8, 2, 2};
    for (size_t i = 0; i < 6; i++) EXPECT_EQ(task_counts(sum.task.p)[i], counts[i]);
    ASSERT_EQ(sum.total, 33u);
    const std::vector<float> x = sum.start(3), q = part(x, 0, 5), r = part(x, 31, 2);
    EXPECT_EQ(q, quadratic.start(3));
    EXPECT_NE(r, rosenbrock.start(3)); // terms draw independently ...
    EXPECT_NE(Corpus("rosenbrock+rosenbrock").start(3)[0],
              Corpus("rosenbrock+rosenbrock").start(3)[2]); // ... also where they are alike
    const std::vector<float> g = sum.gradient(1, 2, x);
    EXPECT_EQ(part(g, 0, 5), quadratic.gradient(1, 2, q));
    EXPECT_EQ(part(g, 31, 2), rosenbrock.gradient(1, 2, r));
    const std::vector<float> v = direction(33, 4), h = sum.product(1, 2, x, v);
    EXPECT_EQ(part(h, 0, 5), quadratic.product(1, 2, q, part(v, 0, 5)));
    EXPECT_EQ(part(h, 31, 2), rosenbrock.product(1, 2, r, part(v, 31, 2)));
}

TEST(Sum, LossIsTheSumAndTransformsCompose) {
    Corpus both("quadratic:n=5+rosenbrock"), a("quadratic:n=5"), b("rosenbrock"), logged("(quadratic:n=5+rosenbrock):log=1"),
        inner("quadratic:n=5,log=1+rosenbrock:scale=10");
    const std::vector<float> x = both.start(1), q = part(x, 0, 5), r = part(x, 5, 2);
    const double f = a.full_loss(q), g = b.full_loss(r);
    EXPECT_NEAR(both.full_loss(x), f + g, 1e-9 * (f + g));
    EXPECT_NEAR(logged.full_loss(x), std::log(f + g + 1e-6) - std::log(1e-6), 1e-6);
    std::vector<float> y = x;
    y[5] *= 10, y[6] *= 10;
    EXPECT_NEAR(inner.full_loss(y), std::log(f + 1e-6) - std::log(1e-6) + g, 1e-5 * (1 + g));
    EXPECT_NEAR(inner.start(1)[5], 10 * x[5], 1e-4 * std::fabs(10 * x[5]));
}

TEST(Sum, NoiseOfATermStaysInIt) {
    Corpus plain("quadratic:n=5+quadratic:n=6"), noisy("quadratic:n=5+quadratic:n=6,noise=0.5"),
        all("(quadratic:n=5+quadratic:n=6):noise=0.5");
    const std::vector<float> x = plain.start(1), g = plain.gradient(1, 0, x), h = noisy.gradient(1, 0, x),
                             k = all.gradient(1, 0, x);
    for (size_t i = 0; i < 11; i++) {
        if (i < 5) EXPECT_EQ(g[i], h[i]);
        else EXPECT_NE(g[i], h[i]);
        EXPECT_NE(g[i], k[i]);
    }
    EXPECT_TRUE(task_is_stochastic(noisy.task.p));
    EXPECT_FALSE(task_is_stochastic(plain.task.p));
}

TEST(Augmentation, RescalesWhatTheSpecLeaves) {
    const task_spread spread = {100, 10, 1};
    Corpus plain("mlp:inputs=3,hidden=2,batch=10,scale=2");
    const std::vector<float> x = plain.start(1);
    lopt_task *t = nullptr;
    ASSERT_EQ(task_create("mlp:inputs=3,hidden=2,batch=10,scale=2", 1, &spread, &t), LOPT_OK);
    EXPECT_STREQ(lopt_task_name(t), lopt_task_name(plain.task.p)); // the same instance, seen otherwise
    std::vector<float> y(plain.total);
    ASSERT_EQ(task_init(t, 1, y.data()), LOPT_OK);
    EXPECT_NE(x, y);
    double loss = 0;
    ASSERT_EQ(task_full_loss_grad(t, y.data(), &loss, nullptr, plain.workspace), LOPT_OK);
    EXPECT_NEAR(loss, plain.full_loss(x), 1e-5);
    EXPECT_NEAR(y[0] / x[0], y[1] / x[1], 1e-4 * std::fabs(y[0] / x[0]));
    EXPECT_GT(std::fabs(y[0] / x[0] / (y[6] / x[6]) - 1), 1e-3); // another tensor, another factor
    lopt_task_free(t);
}

TEST(SumSpec, IsParsedStrictly) {
    const struct {
        const char *spec, *name;
    } good[] = {{"quadratic:n=3+rosenbrock", "quadratic:n=3+rosenbrock"},
                {"(quadratic:n=3+rosenbrock)", "quadratic:n=3+rosenbrock"},
                {"(quadratic:n=3):log=1,noise=0.5", "(quadratic:n=3):log=1,noise=0.5"},
                {"quadratic:n=3,noise=1e+2+rosenbrock", "quadratic:n=3,noise=100+rosenbrock"}};
    for (const auto &c : good) {
        Corpus task(c.spec);
        EXPECT_STREQ(lopt_task_name(task.task.p), c.name);
    }
    const struct {
        const char *spec, *says;
    } bad[] = {{"quadratic:n=3+", "left over"},
               {"quadratic:n=3+rosenbrok", "rosenbrock"},
               {"(quadratic:n=3", "parentheses"},
               {"(quadratic:n=3)log=1", "parentheses"},
               {"(quadratic:n=3):n=4", "sum has no key"},
               {"(quadratic:n=3):log=2", "from 0 to 1"},
               {"()", "unknown"},
               {"sum", "not a task by itself"},
               {"log_objective:n=3", "not a task by itself"},
               {"quadratic:sparse=1.5", "from 0 to 1"},
               {"sum_of_quadratics:n=12,rows=200,batch=10,log=1", "has no logarithm"},
               {"(bowl+sum_of_quadratics:n=12,rows=200,batch=10):log=1", "has no logarithm"},
               {"bowl+bowl+bowl+bowl+bowl+bowl+bowl+bowl+bowl+bowl+bowl+bowl+bowl+bowl+bowl+bowl+bowl", "at most 16"}};
    for (const auto &c : bad) {
        lopt_task *t = nullptr;
        EXPECT_EQ(lopt_task_create(c.spec, 0, &t), LOPT_ERR_ARGUMENT) << c.spec;
        EXPECT_NE(std::string(lopt_last_error()).find(c.says), std::string::npos) << c.spec << ": " << lopt_last_error();
    }
}

} // namespace
