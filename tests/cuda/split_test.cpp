// fp32 state on tensor cores, whose operands are sums of two fp16 numbers, and by multiply-adds: both as close to the oracle, which computes in double,
// as the CPU is.
#include "tests/cuda/rig.h"
#include "tests/oracle/hrnn.h"

extern "C" {
#include "csrc/optimizer/cuda.h"
}

namespace {

using Numbers = std::vector<std::vector<float>>;

std::vector<std::vector<double>> in_double(const std::vector<std::vector<float>> &v) {
    std::vector<std::vector<double>> out;
    for (const auto &x : v) out.emplace_back(x.begin(), x.end());
    return out;
}

oracle::Optimizer<double> exact_optimizer(const Model &m, bool attention, double init_lr) {
    oracle::Shape shape;
    shape.attention = attention;
    const float *flat = lopt_weights_data(m.weights.p);
    const std::vector<float> weights(flat, flat + lopt_weights_count(m.weights.p));
    return {{shape, weights, [](double x) { return x; }}, in_double(m.params), init_lr};
}

// Root of the mean square error of hidden states, into which everything goes.
double hidden_error(lopt_optimizer *opt, const oracle::Optimizer<double> &exact) {
    State state = state_of(opt);
    double sum = 0.0, n = 0.0;
    for (size_t i = 0; i < exact.tensors.size(); i++) {
        const std::vector<float> &hidden = state["hidden." + std::to_string(i)];
        for (size_t j = 0; j < hidden.size(); j++, n += 1.0) {
            const std::vector<double> &h = exact.tensors[i].p[j / size_t(exact.w.shape.P)].h;
            sum += std::pow(double(hidden[j]) - h[j % h.size()], 2);
        }
    }
    return std::sqrt(sum / n);
}

// Without tensor cores, as where a model has no fragments for them.
void multiply_adds_alone(lopt_optimizer *opt) { reinterpret_cast<cuda_optimizer *>(opt)->model.fragments = nullptr; }

class Fp32OnDevice : public OnDevice {};

TEST_P(Fp32OnDevice, BothWaysAreAsGoodAsTheCpu) {
    const std::vector<size_t> sizes = {1, 40, 300};
    for (bool attention : {true, false}) {
        const char *weights = attention ? "attention=1" : "attention=0";
        Model cpu(sizes, weights), a(sizes, weights), b(sizes, weights);
        Rig split(gpu, a), plain(gpu, b);
        lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
        o.init_lr_min = o.init_lr_max = 1e-2;
        oracle::Optimizer<double> exact = exact_optimizer(cpu, attention, 1e-2);
        ASSERT_EQ(cpu.create(&o), LOPT_OK);
        ASSERT_EQ(split.create(o), LOPT_OK) << lopt_last_error();
        ASSERT_EQ(plain.create(o), LOPT_OK);
        multiply_adds_alone(plain.opt.p);
        for (uint64_t t = 0; t < 50; t++) {
            cpu.run(t, t + 1);
            split.run(t, t + 1);
            plain.run(t, t + 1);
            exact.step(in_double(cpu.grads));
        }
        const double of_cpu = hidden_error(cpu.opt.p, exact); // some 1e-7
        EXPECT_LT(of_cpu, 1e-6);
        EXPECT_LT(hidden_error(split.opt.p, exact), 1.5 * of_cpu) << weights;
        EXPECT_LT(hidden_error(plain.opt.p, exact), 1.5 * of_cpu) << weights;
        EXPECT_LT(distance(split.read(), cpu.params), 1.0) << weights;
        EXPECT_LT(distance(plain.read(), cpu.params), 1.0) << weights;
        EXPECT_NE(split.read(), plain.read()) << "one is the other";
    }
}

// Biases beyond what fp16 can say saturate gates, as they do on the CPU.
TEST_P(Fp32OnDevice, HugeBiasesSaturate) {
    for (const char *state : {"fp32", "mixed"})
        for (float bias : {1e5f, -1e5f}) {
            Model m({70});
            const char *name = nullptr;
            size_t offset = 0, shape[2];
            for (size_t i = 0; lopt_weights_tensor(m.weights.p, i, &name, &offset, shape); i++)
                if (std::string(name) == "param_rnn.gate_bias" || std::string(name) == "param_rnn.candidate_bias")
                    for (size_t j = 0; j < shape[0] * shape[1]; j++) lopt_weights_data(m.weights.p)[offset + j] = bias;
            Rig rig(gpu, m);
            ASSERT_EQ(rig.create(state), LOPT_OK) << lopt_last_error();
            rig.run(0, 3);
            State after = state_of(rig.opt.p);
            for (float h : after["hidden.0"]) ASSERT_TRUE(std::fabs(h) <= 1.0f) << state << " " << bias << ": " << h;
        }
}

INSTANTIATE_TEST_SUITE_P(Devices, Fp32OnDevice, ::testing::Values("Emulated", "Gpu"), device_name);

} // namespace
