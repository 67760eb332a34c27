// Meta-gradients: the library's adjoint against reverse-mode differentiation of the oracle, over shapes, flags, tasks and lengths.
#include "tests/oracle/support.h"

namespace {

using oracle::Var;

// f and its gradient for any kind of number; the library gets the same function through callbacks, its product by formula.
struct Function {
    const char *name;
    size_t n;
    Var (*loss)(const std::vector<Var> &);
    std::vector<Var> (*gradient)(const std::vector<Var> &);
};

// 0.5 sum_i c_i (x_i - 0.3 i)^2 + 0.1 sum_i (x_i x_{i+1})^2
Var coupled_loss(const std::vector<Var> &x) {
    Var sum(0.0);
    for (size_t i = 0; i < x.size(); i++) {
        const Var r = x[i] - Var(0.3 * double(i));
        sum = sum + Var(0.5 * (1 + double(i))) * r * r;
        if (i + 1 < x.size()) sum = sum + Var(0.1) * x[i] * x[i] * x[i + 1] * x[i + 1];
    }
    return sum;
}
std::vector<Var> coupled_gradient(const std::vector<Var> &x) {
    std::vector<Var> g;
    for (size_t i = 0; i < x.size(); i++) {
        Var gi = Var(1 + double(i)) * (x[i] - Var(0.3 * double(i)));
        if (i + 1 < x.size()) gi = gi + Var(0.2) * x[i] * x[i + 1] * x[i + 1];
        if (i > 0) gi = gi + Var(0.2) * x[i] * x[i - 1] * x[i - 1];
        g.push_back(gi);
    }
    return g;
}
// log-cosh wells: sum log((e^{x-i} + e^{i-x}) / 2)
Var wells_loss(const std::vector<Var> &x) {
    Var sum(0.0);
    for (size_t i = 0; i < x.size(); i++)
        sum = sum + log((exp(x[i] - Var(double(i) / 2)) + exp(Var(double(i) / 2) - x[i])) / Var(2));
    return sum;
}
std::vector<Var> wells_gradient(const std::vector<Var> &x) {
    std::vector<Var> g;
    for (size_t i = 0; i < x.size(); i++) g.push_back(tanh(x[i] - Var(double(i) / 2)));
    return g;
}
Var rosenbrock_loss(const std::vector<Var> &x) {
    const Var a = Var(1) - x[0], b = x[1] - x[0] * x[0];
    return a * a + Var(100) * b * b;
}
std::vector<Var> rosenbrock_gradient(const std::vector<Var> &x) {
    const Var b = x[1] - x[0] * x[0];
    return {Var(0) - Var(2) * (Var(1) - x[0]) - Var(400) * x[0] * b, Var(200) * b};
}

// Two tensors, so that means over tensors matter: the first parameter, then the rest.
struct FunctionTask {
    Function f;
    std::vector<double> start;
    size_t counts[2];
    explicit FunctionTask(const Function &function, std::vector<double> from)
        : f(function), start(std::move(from)), counts{1, function.n - 1} {}
    static FunctionTask &of(void *self) { return *static_cast<FunctionTask *>(self); }
    std::vector<Var> at(const float *const *params) const {
        std::vector<Var> x = {Var(params[0][0])};
        for (size_t i = 0; i < counts[1]; i++) x.push_back(Var(params[1][i]));
        return x;
    }
    static void put(const std::vector<double> &x, float *const *out) {
        out[0][0] = float(x[0]);
        for (size_t i = 1; i < x.size(); i++) out[1][i - 1] = float(x[i]);
    }
    static int init(void *self, uint64_t, float *const *params) { return put(of(self).start, params), 0; }
    static int loss_grad(void *self, uint64_t, uint64_t, const float *const *params, double *loss, float *const *grads) {
        const std::vector<Var> x = of(self).at(params);
        *loss = of(self).f.loss(x).value;
        std::vector<double> g;
        for (const Var &v : of(self).f.gradient(x)) g.push_back(v.value);
        return put(g, grads), 0;
    }
    // By central differences of the exact gradient in double: good to 1e-9.
    static int hvp(void *self, uint64_t, uint64_t, const float *const *params, const float *const *v, float *const *out) {
        const std::vector<Var> x = of(self).at(params), direction = of(self).at(v);
        double size = 0;
        for (const Var &d : direction) size = std::fmax(size, std::fabs(d.value));
        const double h = size > 0 ? 1e-5 / size : 1;
        std::vector<Var> plus = x, minus = x;
        for (size_t i = 0; i < x.size(); i++) plus[i].value += h * direction[i].value, minus[i].value -= h * direction[i].value;
        const std::vector<Var> a = of(self).f.gradient(plus), b = of(self).f.gradient(minus);
        std::vector<double> product;
        for (size_t i = 0; i < x.size(); i++) product.push_back((a[i].value - b[i].value) / (2 * h));
        return put(product, out), 0;
    }
    lopt_task_ops ops() const {
        lopt_task_ops o = {};
        o.struct_size = sizeof o;
        o.name = f.name;
        o.num_tensors = 2;
        o.counts = counts;
        o.init = init;
        o.loss_grad = loss_grad;
        o.hvp = hvp;
        return o;
    }
};

const Function functions[] = {{"coupled", 6, coupled_loss, coupled_gradient},
                              {"wells", 5, wells_loss, wells_gradient},
                              {"rosenbrock", 2, rosenbrock_loss, rosenbrock_gradient}};

struct MetaResult {
    double loss;
    std::vector<double> gradient;
};

MetaResult differentiate(OracleCase &c, const FunctionTask &task, int steps, double lr, bool second) {
    oracle::Tape::here().nodes.clear();
    oracle::Optimizer<Var> o({c.shape, c.flat(), [](double x) { return Var::input(x); }},
                             {{task.start[0]}, std::vector<double>(task.start.begin() + 1, task.start.end())}, lr);
    auto all = [&](bool attended) {
        std::vector<Var> x;
        for (const auto &t : o.tensors)
            for (const auto &p : t.p) x.push_back(attended ? p.phi : p.theta);
        return x;
    };
    const double f0 = task.f.loss(all(false)).value;
    Var sum(0.0);
    for (int k = 0; k < steps; k++) {
        std::vector<Var> g = task.f.gradient(all(true));
        if (!second)
            for (Var &x : g) x = constant(x);
        o.step({{g[0]}, std::vector<Var>(g.begin() + 1, g.end())});
        sum = sum + log(task.f.loss(all(false)) / Var(f0 + 1e-6) + Var(1e-6)) / Var(steps);
    }
    const std::vector<double> adjoint = oracle::Tape::here().gradient(sum.id);
    MetaResult r = {sum.value, {}};
    for (const Var &w : o.w.flat) r.gradient.push_back(adjoint[size_t(w.id)]);
    return r;
}

class OracleMeta : public ::testing::TestWithParam<std::tuple<unsigned, int, bool>> {};

TEST_P(OracleMeta, LibraryAgrees) {
    const auto [number, steps, second] = GetParam();
    OracleCase c(number + 1000, number % 2 == 0);
    const Function &f = functions[number % 3];
    std::vector<double> start;
    for (size_t i = 0; i < f.n; i++) start.push_back(double(float(c.normal() + 1)));
    FunctionTask task(f, start);
    lopt_task_ops ops = task.ops();
    Task library_task;
    ASSERT_EQ(lopt_task_from_ops(&ops, &task, &library_task.p), LOPT_OK);
    lopt_unroll_options o = LOPT_UNROLL_OPTIONS_INIT;
    o.steps = size_t(steps);
    o.second_derivatives = second;
    o.init_lr_min = o.init_lr_max = 0.02;
    double loss = 0;
    std::vector<float> gradient(lopt_weights_count(c.weights.p));
    ASSERT_EQ(lopt_meta_gradient(c.weights.p, library_task.p, &o, &loss, gradient.data()), LOPT_OK) << lopt_last_error();
    const MetaResult want = differentiate(c, task, steps, 0.02, second);
    EXPECT_NEAR(loss, want.loss, 1e-4 * std::fmax(1, std::fabs(want.loss)));
    double error = 0, length = 0;
    for (size_t i = 0; i < gradient.size(); i++) {
        error += (gradient[i] - want.gradient[i]) * (gradient[i] - want.gradient[i]);
        length += want.gradient[i] * want.gradient[i];
    }
    EXPECT_LE(std::sqrt(error), 5e-3 * std::sqrt(length)) << "case " << number;
    RecordProperty("relative_error", std::to_string(std::sqrt(error / length)));
}
INSTANTIATE_TEST_SUITE_P(Cases, OracleMeta,
                         ::testing::Combine(::testing::Range(0u, 24u), ::testing::Values(1, 2, 5, 20), ::testing::Bool()));

} // namespace
