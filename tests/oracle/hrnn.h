// The optimizer of the specification, written again in plain double from its fourteen rules, for numbers of any kind (double, or tape.h's).
// Shares no code with the library and favours likeness to the text over everything.
#pragma once
#include <map>
#include <string>

#include "tests/oracle/tape.h"

namespace oracle {

struct Shape {
    int P = 10, T = 30, G = 20, S = 4;
    bool attention = true, products = true, relative = true, shortcut = true;
    int X() const { return 2 * S + (products ? S - 1 : 0) + (relative ? 1 : 0); }
};

template <class N> struct Matrix {
    int rows = 0, columns = 0;
    std::vector<N> at;
    const N &operator()(int r, int c) const { return at[size_t(r) * size_t(columns) + size_t(c)]; }
};

// The table of the weights format, in its order.
template <class N> struct Weights {
    Shape shape;
    std::map<std::string, Matrix<N>> of;
    std::vector<N> flat;

    template <class Make> Weights(Shape s, const std::vector<float> &values, Make make) : shape(s) {
        size_t next = 0;
        auto take = [&](const std::string &name, int rows, int columns) {
            Matrix<N> m;
            m.rows = rows, m.columns = columns;
            for (int i = 0; i < rows * columns; i++) {
                m.at.push_back(make(double(values.at(next++))));
                flat.push_back(m.at.back());
            }
            of[name] = m;
        };
        auto gru = [&](const std::string &name, int inputs, int size) {
            take(name + ".gate_kernel", inputs + size, 2 * size);
            take(name + ".gate_bias", 1, 2 * size);
            take(name + ".candidate_kernel", inputs + size, size);
            take(name + ".candidate_bias", 1, size);
            take(name + ".initial_state", 1, size);
        };
        gru("param_rnn", s.X(), s.P);
        gru("tensor_rnn", s.P + s.X(), s.T);
        gru("global_rnn", s.T, s.G);
        take("tensor_to_param.kernel", s.T, 3 * s.P), take("tensor_to_param.bias", 1, 3 * s.P);
        take("global_to_param.kernel", s.G, 3 * s.P), take("global_to_param.bias", 1, 3 * s.P);
        take("global_to_tensor.kernel", s.G, 3 * s.T), take("global_to_tensor.bias", 1, 3 * s.T);
        take("update.kernel", 1, s.P);
        if (s.shortcut) take("update.gradient_kernel", 1, s.S);
        if (s.attention) take("attention.kernel", 1, s.P);
        if (s.attention && s.shortcut) take("attention.gradient_kernel", 1, s.S);
        for (const char *name : {"scale_decay", "input_decay", "learning_rate"})
            take(std::string(name) + ".kernel", 1, s.P), take(std::string(name) + ".bias", 1, 1);
        take("learning_rate.momentum_logit", 1, 1);
        take("learning_rate.step_offset", 1, 1);
    }
    const Matrix<N> &operator[](const std::string &name) const { return of.at(name); }
    N scalar(const std::string &name) const { return of.at(name).at[0]; }
    N read(const std::string &name, const std::vector<N> &x) const { // a dot product
        N sum(0);
        for (size_t i = 0; i < x.size(); i++) sum = sum + of.at(name).at[i] * x[i];
        return sum;
    }
};

// Rule 8's cell; bias is what comes from above, [3 size] in the order reset, update, candidate.
template <class N>
std::vector<N> gru(const Weights<N> &w, const std::string &name, const std::vector<N> &x, const std::vector<N> &h,
                   const std::vector<N> &bias) {
    using std::tanh;
    const int size = int(h.size()), inputs = int(x.size());
    const Matrix<N> &gates = w[name + ".gate_kernel"], &candidate = w[name + ".candidate_kernel"];
    std::vector<N> r, z, out;
    for (int o = 0; o < 2 * size; o++) {
        N sum = w[name + ".gate_bias"](0, o) + bias[size_t(o)];
        for (int i = 0; i < inputs; i++) sum = sum + x[size_t(i)] * gates(i, o);
        for (int i = 0; i < size; i++) sum = sum + h[size_t(i)] * gates(inputs + i, o);
        (o < size ? r : z).push_back(sigmoid(sum));
    }
    for (int o = 0; o < size; o++) {
        N sum = w[name + ".candidate_bias"](0, o) + bias[size_t(2 * size + o)];
        for (int i = 0; i < inputs; i++) sum = sum + x[size_t(i)] * candidate(i, o);
        for (int i = 0; i < size; i++) sum = sum + r[size_t(i)] * h[size_t(i)] * candidate(inputs + i, o);
        out.push_back(z[size_t(o)] * h[size_t(o)] + (N(1) - z[size_t(o)]) * tanh(sum));
    }
    return out;
}

template <class N> std::vector<N> affine(const Weights<N> &w, const std::string &name, const std::vector<N> &x) {
    const Matrix<N> &k = w[name + ".kernel"];
    std::vector<N> out;
    for (int o = 0; o < k.columns; o++) {
        N sum = w[name + ".bias"](0, o);
        for (int i = 0; i < k.rows; i++) sum = sum + x[size_t(i)] * k(i, o);
        out.push_back(sum);
    }
    return out;
}

template <class N> struct Parameter {
    std::vector<N> h, gbar, lam;
    N alpha;
    N theta, phi;
};

template <class N> struct Tensor {
    std::vector<Parameter<N>> p;
    std::vector<N> u;
    bool begun = false;
    N average = N(0), shift = N(0); // of the rates that the guard let through; of log rates
    N square = N(0);                // mean square of directions over the last tenth of the steps
    int guarded = 0;                // steps that it has seen
};

template <class N> struct Optimizer {
    Weights<N> w;
    std::vector<Tensor<N>> tensors;
    std::vector<N> v;
    double lr_scale = 1, weight_decay = 0;
    bool guard = false;

    Optimizer(Weights<N> weights, const std::vector<std::vector<double>> &theta, double init_lr) : w(std::move(weights)) {
        const Shape s = w.shape;
        for (const auto &values : theta) {
            Tensor<N> t;
            for (double x : values)
                t.p.push_back({w["param_rnn.initial_state"].at, std::vector<N>(size_t(s.S), N(0)),
                               std::vector<N>(size_t(s.S), N(0)), N(std::log(init_lr)), N(x), N(x)});
            t.u = w["tensor_rnn.initial_state"].at;
            tensors.push_back(t);
        }
        v = w["global_rnn.initial_state"].at;
    }

    // Rules 1 to 7 and the features of rule 8.
    std::vector<N> features(Parameter<N> &p, const N &g, bool begun, const N &mean_alpha) const {
        using std::asinh, std::exp, std::log, std::sqrt;
        const Shape s = w.shape;
        std::vector<N> m, x, logs;
        N log_beta_g(0), beta_l(0);
        if (begun) {
            log_beta_g = log(sigmoid(w.read("input_decay.kernel", p.h) + w.scalar("input_decay.bias")));
            beta_l = sigmoid(w.read("scale_decay.kernel", p.h) + w.scalar("scale_decay.bias"));
        }
        N mean_log(0);
        for (int k = 0; k < s.S; k++) {
            const N beta = !begun || s.S == 1 ? N(0) : exp(log_beta_g / N(std::ldexp(1.0, k)));
            N &gbar = p.gbar[size_t(k)], &lam = p.lam[size_t(k)];
            gbar = beta * gbar + (N(1) - beta) * g;
            lam = beta_l * lam + (N(1) - beta_l) * (gbar * gbar + N(1e-12));
            m.push_back(asinh(gbar / sqrt(lam + N(1e-16))));
            logs.push_back(log(lam + N(1e-16)));
            mean_log = mean_log + logs.back() / N(s.S);
        }
        x = m;
        for (int k = 0; s.products && k + 1 < s.S; k++) x.push_back(m[size_t(k)] * m[size_t(k + 1)]);
        for (int k = 0; k < s.S; k++) x.push_back(logs[size_t(k)] - mean_log);
        if (s.relative) x.push_back(p.alpha - mean_alpha);
        return x;
    }

    N direction(const std::string &name, const std::vector<N> &h, const std::vector<N> &x) const {
        N d = w.read(name + ".kernel", h);
        for (int k = 0; w.shape.shortcut && k < w.shape.S; k++) d = d + w[name + ".gradient_kernel"](0, k) * x[size_t(k)];
        return d;
    }

    // The guard's factor: from step 100 on, the tensor's geometric mean rate is kept between 0.3 s and 0.5 + s times (from step 2,000 on
    // 0.5 sqrt(2000 / t) + s, at least 0.1 + s times) the average of the rates that were used, by a shift of log rates; s = exp(-|r|), r the
    // mean log ratio of the mean squares at the slowest and the fastest timescale.
    N guard_factor(Tensor<N> &t, const std::vector<N> &mean) const {
        using std::exp, std::log;
        const Shape s = w.shape;
        const size_t last = size_t(s.P + s.X()) - (s.relative ? 2 : 1);
        N log_rate(0);
        for (const Parameter<N> &p : t.p) log_rate = log_rate + p.alpha / N(double(t.p.size()));
        const N rate = exp(log_rate + t.shift), r = mean[last] - mean[last + 1 - size_t(s.S)];
        const N signal = s.S == 1 ? N(0) : exp(value(r) > 0 ? N(0) - r : r);
        const double above = std::max(0.1, 0.5 * std::sqrt(2000.0 / std::max(2000, t.guarded)));
        const N low = N(0.3) * signal * t.average, high = (N(above) + signal) * t.average;
        N used = rate;
        if (t.guarded >= 100 && value(rate) > value(high)) used = high;
        if (t.guarded >= 100 && value(rate) < value(low)) used = low;
        t.guarded++;
        t.average = t.average + (used - t.average) / N(double(t.guarded));
        t.shift = t.shift + log(used / rate);
        return exp(t.shift);
    }

    // From step 2,000 on the plain update's share is 1 - (2000 / t)^2.
    double handed_over(const Tensor<N> &t) const { return guard && t.guarded > 2000 ? 1 - std::pow(2000.0 / t.guarded, 2) : 0; }

    // What directions are divided by the root of: as far as they are handed over, an average; a step is three times as long at most.
    N divisor_square(Tensor<N> &t, const N &square) const {
        const double share = handed_over(t);
        t.square = t.square + N(std::min(1.0, 10.0 / (t.guarded + 1))) * (square - t.square);
        const N mixed = N(1 - share) * square + N(share) * t.square;
        return share > 0 && value(mixed) < value(square) / 9 ? square / N(9) : mixed;
    }

    // One tensor, rules 1 to 13.
    void step_tensor(Tensor<N> &t, const std::vector<N> &g, const N &mean_alpha) {
        using std::exp, std::sqrt;
        const Shape s = w.shape;
        const N n(double(t.p.size()));
        std::vector<N> bias = affine(w, "tensor_to_param", t.u), more = affine(w, "global_to_param", v);
        for (size_t i = 0; i < bias.size(); i++) bias[i] = bias[i] + more[i];
        std::vector<N> mean(size_t(s.P + s.X()), N(0)), d, e, rate, attended_rate;
        const double share = handed_over(t);
        N d_square(0), e_square(0);
        // 0.002 of the shift passes into the single rates, none of which begins a step above 30 times the average of those used.
        const N settled = guard ? N(0.002) * t.shift : N(0);
        t.shift = t.shift - settled;
        const double most = guard && t.guarded >= 100 ? std::log(30 * value(t.average)) - value(t.shift) : 1e300;
        for (size_t i = 0; i < t.p.size(); i++) {
            Parameter<N> &p = t.p[i];
            p.alpha = clip(p.alpha + settled, -1e300, most);
            const N lam = p.lam[0], alpha = p.alpha;
            const std::vector<N> x = features(p, g[i], t.begun, mean_alpha);
            p.h = gru(w, "param_rnn", x, p.h, bias);
            for (int k = 0; k < s.P; k++) mean[size_t(k)] = mean[size_t(k)] + p.h[size_t(k)] / n;
            for (int k = 0; k < s.X(); k++) mean[size_t(s.P + k)] = mean[size_t(s.P + k)] + x[size_t(k)] / n;
            const N plain = clip(p.gbar[s.S > 1 ? 1 : 0] / sqrt(lam + N(1e-16)), -30, 30);
            d.push_back(N(1 - share) * direction("update", p.h, x) + N(share) * plain);
            e.push_back(s.attention ? direction("attention", p.h, x) : N(0));
            d_square = d_square + d.back() * d.back() / n;
            e_square = e_square + e.back() * e.back() / n;
            const N a = clip(p.alpha + w.read("learning_rate.kernel", p.h) + w.scalar("learning_rate.bias"), -33, 33);
            const N mu = sigmoid(w.scalar("learning_rate.momentum_logit"));
            p.alpha = mu * p.alpha + (N(1) - mu) * a;
            attended_rate.push_back(a);
            rate.push_back(N(1 - share) * a + N(share) * alpha);
        }
        const N d_mean = guard ? divisor_square(t, d_square) : d_square;
        const N factor = guard ? guard_factor(t, mean) : N(1);
        for (size_t i = 0; i < t.p.size(); i++) {
            const N dhat = factor * d[i] / sqrt(d_mean + N(1e-16)), ehat = factor * e[i] / sqrt(e_square + N(1e-16)),
                    old = t.p[i].theta;
            t.p[i].theta =
                old - N(lr_scale) * (exp(rate[i] + w.scalar("learning_rate.step_offset")) * dhat + N(weight_decay) * old);
            t.p[i].phi = s.attention ? old - N(lr_scale) * exp(attended_rate[i]) * ehat : t.p[i].theta;
        }
        t.u = gru(w, "tensor_rnn", mean, t.u, affine(w, "global_to_tensor", v));
        t.begun = true;
    }

    // grads[i] empty: tensor i rests.
    void step(const std::vector<std::vector<N>> &grads) {
        N sum(0);
        double count = 0, taking_part = 0;
        for (size_t i = 0; i < tensors.size(); i++)
            for (const Parameter<N> &p : grads[i].empty() ? std::vector<Parameter<N>>() : tensors[i].p)
                sum = sum + p.alpha, count++;
        if (count == 0) return;
        for (size_t i = 0; i < tensors.size(); i++)
            if (!grads[i].empty()) step_tensor(tensors[i], grads[i], sum / N(count)), taking_part++;
        std::vector<N> mean(size_t(w.shape.T), N(0));
        for (size_t i = 0; i < tensors.size(); i++)
            for (int k = 0; !grads[i].empty() && k < w.shape.T; k++)
                mean[size_t(k)] = mean[size_t(k)] + tensors[i].u[size_t(k)] / N(taking_part);
        v = gru(w, "global_rnn", mean, v, std::vector<N>(size_t(3 * w.shape.G), N(0)));
    }
};

} // namespace oracle
