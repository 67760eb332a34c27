// What every family owes, whoever writes it: the tests walk the registry, so that a new family is covered by being in it. Each default
// instance must have a loss >= 0, a gradient and a Hessian-vector product that agree with differences, a start and data that are
// functions of their seeds, and the same values on every instruction set; that it can be trained is in registry_training_test.cpp.
// The family's formula itself is checked against a double reference of its own in reference_test.cpp.
#include <set>

#include "tests/tasks/registry_instances.h"

namespace {

class EveryInstance : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryInstance, NameIsCanonical) {
    Corpus c(GetParam());
    Corpus again(task_name(c.task.p));
    EXPECT_STREQ(task_name(again.task.p), task_name(c.task.p));
    const bool is_sum = GetParam().find('+') != std::string::npos;
    const std::string family = task_family_name(c.task.p);
    EXPECT_TRUE(is_sum ? family == "sum" : GetParam().rfind(family, 0) == 0) << family;
    size_t sum = 0;
    for (size_t i = 0; i < task_num_tensors(c.task.p); i++) sum += task_counts(c.task.p)[i];
    EXPECT_EQ(sum, c.total);
    EXPECT_EQ(lopt_task_num_tensors(c.task.p), task_num_tensors(c.task.p));
    EXPECT_EQ(lopt_task_counts(c.task.p), task_counts(c.task.p));
}

TEST_P(EveryInstance, LossIsNeverNegative) {
    Corpus c(GetParam());
    const bool large = c.total > LARGE;
    for (uint64_t seed = 0; seed < (large ? 1 : 5); seed++) {
        std::vector<float> x = c.start(seed);
        for (double by : {0.0, 0.3, 3.0, 30.0, 1e6}) EXPECT_GE(c.full_loss(moved(x, direction(c.total, unsigned(seed)), by)), 0.0);
        // down the gradient: where minima are
        for (int k = 0; k < (large ? 5 : 30); k++) {
            std::vector<float> g = c.full_gradient(x);
            const double length = norm(g);
            if (!(length > 0) || !std::isfinite(length)) break;
            x = moved(x, g, -0.1 / length);
            ASSERT_GE(c.full_loss(x), 0.0);
        }
    }
}

TEST_P(EveryInstance, GradientAgreesWithDifferencesOfTheLoss) {
    Corpus c(GetParam());
    for (uint64_t seed = 0; seed < (c.total > LARGE ? 1 : 3); seed++) {
        const std::vector<float> x = c.start(seed), g = c.full_gradient(x);
        // along the gradient itself, so that the difference is large beside float noise, and along a random direction
        std::vector<float> along = g;
        const double length = norm(g);
        ASSERT_GT(length, 0);
        for (float &v : along) v = float(v / length);
        for (const std::vector<float> &v : {along, direction(c.total, unsigned(seed) + 7)}) {
            double best = INFINITY; // over step sizes: truncation and rounding err in opposite directions
            for (double h : {1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4}) {
                const double h_scaled = h * std::fmax(1.0, norm(x)) / std::sqrt(double(c.total));
                const double slope = (c.full_loss(moved(x, v, h_scaled)) - c.full_loss(moved(x, v, -h_scaled))) / (2 * h_scaled);
                best = std::fmin(best, std::fabs(slope - dot(g, v)));
            }
            EXPECT_LE(best, 5e-3 * length) << "seed " << seed;
        }
    }
}

// J'v of the minibatch gradient g: w . J v, by differences of g along v, must be v . J'w. With a mask J is not symmetric.
TEST_P(EveryInstance, HessianProductAgreesWithDifferencesOfTheGradient) {
    Corpus c(GetParam());
    const bool masked = GetParam().find("sparse=") != std::string::npos;
    double seen = 0;
    for (uint64_t step = 0; step < (masked ? 60 : 1); step++) { // a mask of 99 % leaves nothing at most steps
        const std::vector<float> x = c.start(3), v = direction(c.total, 5), w = direction(c.total, 6);
        const std::vector<float> hv = c.product(1, step, x, v), hw = c.product(1, step, x, w);
        if (!masked) {
            EXPECT_NEAR(dot(w, hv), dot(v, hw), 1e-3 * (norm(hv) + norm(hw) + 1e-6));
        }
        double best = INFINITY, best_dot = INFINITY; // in units of what they may be
        for (double h : {1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4}) {
            const double h_scaled = h * std::fmax(1.0, norm(x)) / std::sqrt(double(c.total));
            const std::vector<float> plus = c.gradient(1, step, moved(x, v, h_scaled)),
                                     minus = c.gradient(1, step, moved(x, v, -h_scaled));
            std::vector<float> jv(c.total), error(c.total);
            for (size_t i = 0; i < c.total; i++)
                jv[i] = float((double(plus[i]) - minus[i]) / (2 * h_scaled)), error[i] = jv[i] - hv[i];
            best = std::fmin(best, norm(error) / (0.02 * norm(hv) + 2e-3));
            best_dot = std::fmin(best_dot, std::fabs(dot(w, jv) - dot(v, hw)) / (0.02 * std::fmax(norm(jv), norm(hw)) + 2e-3));
        }
        EXPECT_LE(best_dot, 1);
        if (!masked) {
            EXPECT_LE(best, 1);
        }
        seen = std::fmax(seen, norm(hw));
    }
    if (masked) {
        EXPECT_GT(seen, 0);
    } // else a piecewise linear task has none
}

TEST_P(EveryInstance, StartDataAndDrawsFollowTheirSeeds) {
    Corpus a(GetParam(), 5), b(GetParam(), 5);
    EXPECT_EQ(a.start(1), b.start(1));
    EXPECT_NE(a.start(1), a.start(2));
    const std::vector<float> x = a.start(1);
    EXPECT_EQ(a.full_gradient(x), b.full_gradient(x));
    EXPECT_EQ(a.gradient(3, 4, x), b.gradient(3, 4, x));
    if (task_is_stochastic(a.task.p)) {
        int by_step = 0, by_seed = 0; // a mask of 99 % may well leave nothing of two parameters, twice
        for (uint64_t step = 4; step < 200; step++) {
            by_step += a.gradient(3, step, x) != a.gradient(3, step + 1, x);
            by_seed += a.gradient(3, step, x) != a.gradient(4, step, x);
        }
        EXPECT_GT(by_step, 0);
        EXPECT_GT(by_seed, 0);
    } else {
        EXPECT_EQ(a.gradient(3, 4, x), a.full_gradient(x));
    }
    for (float v : x) EXPECT_TRUE(std::isfinite(v));
}

TEST_P(EveryInstance, SameOnEveryInstructionSet) {
    Corpus c(GetParam());
    const std::vector<float> x = c.start(2), v = direction(c.total, 1);
    double loss = 0;
    const std::vector<float> full = c.full_gradient(x, &loss), batch = c.gradient(3, 4, x), product = c.product(3, 4, x, v);
    std::vector<size_t> own; // places of the terms' families in the registry
    for (size_t i = 0; i < c.task.p->num_terms; i++)
        for (size_t k = 0; task_family_at(k, isa_current()); k++)
            if (task_family_at(k, isa_current()) == c.task.p->term[i].family) own.push_back(k);
    ASSERT_EQ(own.size(), c.task.p->num_terms);
    for (int isa = isa_current(); isa >= ISA_BASELINE; isa--) {
        for (size_t i = 0; i < own.size(); i++) c.task.p->term[i].family = task_family_at(own[i], cpu_isa(isa));
        double other = 0;
        auto close = [&](const std::vector<float> &a, const std::vector<float> &b, const char *what) {
            std::vector<float> d(a.size());
            for (size_t i = 0; i < a.size(); i++) d[i] = a[i] - b[i];
            EXPECT_LE(norm(d), 2e-4 * norm(a) + 1e-7) << what << " on " << isa_name(cpu_isa(isa));
        };
        close(full, c.full_gradient(x, &other), "gradient");
        close(batch, c.gradient(3, 4, x), "minibatch gradient");
        close(product, c.product(3, 4, x, v), "product");
        EXPECT_NEAR(loss, other, 1e-5 * std::fabs(loss) + 1e-9);
    }
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryInstance, ::testing::ValuesIn(all_instances()), test_name);
INSTANTIATE_TEST_SUITE_P(RegistryOfFiles, EveryInstance, ::testing::ValuesIn(file_instances()), test_name);

TEST(Registry, IsDescribed) {
    std::set<std::string> names;
    for (size_t i = 0; i < lopt_family_count(); i++) {
        const lopt_family_info *f = lopt_family_get(i);
        EXPECT_TRUE(names.insert(f->name).second) << f->name;
        EXPECT_GT(std::string(f->summary).size(), 5u);
        EXPECT_GT(std::string(f->formula).size(), 3u);
        EXPECT_GT(f->num_instances, 0u);
        EXPECT_EQ(f->num_keys >= TRANSFORM_KEYS, task_family_at(i, isa_current()) != nullptr)
            << "a family has keys, a group has none";
        for (size_t k = 0; k < f->num_keys; k++) {
            EXPECT_GE(f->keys[k].default_value, f->keys[k].min) << f->name << " " << f->keys[k].name;
            EXPECT_LE(f->keys[k].default_value, f->keys[k].max);
            EXPECT_GT(std::string(f->keys[k].help).size(), 5u);
        }
    }
    EXPECT_EQ(lopt_family_get(lopt_family_count()), nullptr);
    for (const char *wanted : {"quadratic",
                               "bowl",
                               "ackley",
                               "beale",
                               "booth",
                               "branin",
                               "log_sum_exp",
                               "matyas",
                               "michalewicz",
                               "rosenbrock",
                               "styblinski_tang",
                               "softmax_regression",
                               "mlp",
                               "matmul",
                               "log_objective",
                               "rescale",
                               "norm",
                               "sum",
                               "sparse_gradient",
                               "sparse_softmax",
                               "dependency_chain",
                               "min_max_well",
                               "outward_snake",
                               "sum_of_quadratics",
                               "projection_quadratic",
                               "digits_softmax",
                               "digits_mlp",
                               "digits_wide",
                               "digits_deep",
                               "digits_conv",
                               "digits_autoencoder",
                               "char_rnn",
                               "char_attention",
                               "factorisation",
                               "rosenbrock_100",
                               "poisson_regression",
                               "teacher_mlp",
                               "mnist_mlp",
                               "cifar10_mlp"})
        EXPECT_EQ(names.count(wanted), 1u) << wanted;
}

} // namespace
