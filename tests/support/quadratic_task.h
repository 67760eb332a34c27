// A quadratic 0.5 |W theta - y|^2 as a user's task by callbacks: the task of the golden meta-gradients, written apart from the corpus.
#pragma once
#include <vector>

extern "C" {
#include "lopt/lopt.h"
}

struct QuadraticTask {
    std::vector<float> w, y, start; // [n][n], [n], [n]
    size_t count;
    int fail_at = -1; // step whose gradient fails; none if negative
    float poison = 0; // added to every gradient entry

    QuadraticTask(std::vector<float> w_in, std::vector<float> y_in, std::vector<float> start_in)
        : w(std::move(w_in)), y(std::move(y_in)), start(std::move(start_in)), count(start.size()) {}

    std::vector<double> residual(const float *x, bool with_y) const {
        std::vector<double> r(count);
        for (size_t i = 0; i < count; i++) {
            r[i] = with_y ? -double(y[i]) : 0.0;
            for (size_t j = 0; j < count; j++) r[i] += double(w[i * count + j]) * double(x[j]);
        }
        return r;
    }
    void transposed(const std::vector<double> &r, float *out) const {
        for (size_t j = 0; j < count; j++) {
            double sum = 0.0;
            for (size_t i = 0; i < count; i++) sum += double(w[i * count + j]) * r[i];
            out[j] = float(sum) + poison;
        }
    }
    static QuadraticTask &of(void *self) { return *static_cast<QuadraticTask *>(self); }
    static int init(void *self, uint64_t, float *const *params) {
        for (size_t i = 0; i < of(self).count; i++) params[0][i] = of(self).start[i];
        return 0;
    }
    static int loss_grad(void *self, uint64_t, uint64_t step, const float *const *params, double *loss, float *const *grads) {
        const QuadraticTask &t = of(self);
        if (t.fail_at >= 0 && step == uint64_t(t.fail_at)) return 7;
        return whole(self, params, loss, grads);
    }
    static int whole(void *self, const float *const *params, double *loss, float *const *grads) {
        const std::vector<double> r = of(self).residual(params[0], true);
        *loss = 0.0;
        for (double x : r) *loss += 0.5 * x * x;
        if (grads) of(self).transposed(r, grads[0]);
        return 0;
    }
    static int hvp(void *self, uint64_t, uint64_t, const float *const *, const float *const *v, float *const *out) {
        of(self).transposed(of(self).residual(v[0], false), out[0]);
        return 0;
    }
    lopt_task_ops ops() const {
        lopt_task_ops o = {};
        o.struct_size = sizeof o;
        o.name = "test_quadratic";
        o.num_tensors = 1;
        o.counts = &count;
        o.init = init;
        o.loss_grad = loss_grad;
        o.full_loss_grad = whole;
        o.hvp = hvp;
        return o;
    }
};
