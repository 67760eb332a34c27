// Reverse-mode differentiation in double: numbers that remember how they were made. Simple and slow, to judge what is fast.
#pragma once
#include <cmath>
#include <vector>

namespace oracle {

struct Tape {
    struct Node {
        int a, b;
        double da, db;
    };
    std::vector<Node> nodes;
    static Tape &here() {
        static thread_local Tape tape;
        return tape;
    }
    int add(int a, double da, int b, double db) {
        nodes.push_back({a, b, da, db});
        return int(nodes.size()) - 1;
    }
    // d (node `of`) / d (every node)
    std::vector<double> gradient(int of) const {
        std::vector<double> adjoint(nodes.size());
        if (of >= 0) adjoint[size_t(of)] = 1;
        for (size_t i = nodes.size(); i-- > 0;) {
            const Node &n = nodes[i];
            if (n.a >= 0) adjoint[size_t(n.a)] += n.da * adjoint[i];
            if (n.b >= 0) adjoint[size_t(n.b)] += n.db * adjoint[i];
        }
        return adjoint;
    }
};

struct Var {
    double value;
    int id; // -1: a constant
    Var() : value(0), id(-1) {}
    Var(double v) : value(v), id(-1) {}
    static Var input(double v) {
        Var x(v);
        x.id = Tape::here().add(-1, 0, -1, 0);
        return x;
    }
    static Var made(double v, const Var &a, double da, const Var &b, double db) {
        Var x(v);
        if (a.id >= 0 || b.id >= 0) x.id = Tape::here().add(a.id, da, b.id, db);
        return x;
    }
    static Var made(double v, const Var &a, double da) { return made(v, a, da, Var(), 0); }
};

inline Var operator+(const Var &a, const Var &b) { return Var::made(a.value + b.value, a, 1, b, 1); }
inline Var operator-(const Var &a, const Var &b) { return Var::made(a.value - b.value, a, 1, b, -1); }
inline Var operator*(const Var &a, const Var &b) { return Var::made(a.value * b.value, a, b.value, b, a.value); }
inline Var operator/(const Var &a, const Var &b) {
    return Var::made(a.value / b.value, a, 1 / b.value, b, -a.value / (b.value * b.value));
}
inline Var exp(const Var &a) { return Var::made(std::exp(a.value), a, std::exp(a.value)); }
inline Var log(const Var &a) { return Var::made(std::log(a.value), a, 1 / a.value); }
inline Var sqrt(const Var &a) { return Var::made(std::sqrt(a.value), a, 0.5 / std::sqrt(a.value)); }
inline Var tanh(const Var &a) { return Var::made(std::tanh(a.value), a, 1 - std::tanh(a.value) * std::tanh(a.value)); }
inline Var asinh(const Var &a) { return Var::made(std::asinh(a.value), a, 1 / std::sqrt(a.value * a.value + 1)); }
// The clip of rule 11 is straight-through: its derivative counts as 1.
inline Var clip(const Var &a, double lo, double hi) { return Var::made(std::fmin(std::fmax(a.value, lo), hi), a, 1); }
inline Var constant(const Var &a) { return Var(a.value); }
inline double value(const Var &a) { return a.value; }

inline double clip(double a, double lo, double hi) { return std::fmin(std::fmax(a, lo), hi); }
inline double constant(double a) { return a; }
inline double value(double a) { return a; }

template <class N> N sigmoid(const N &x) {
    using std::exp;
    return N(1) / (N(1) + exp(N(0) - x));
}

} // namespace oracle
