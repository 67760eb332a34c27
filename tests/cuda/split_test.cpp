// fp32 state on tensor cores, whose operands are sums of two fp16 numbers, and by multiply-adds: both as close to the oracle, which computes in double,
// as the CPU is.
#include "tests/cuda/rig.h"
#include "tests/oracle/hrnn.h"
#include "tests/support/rising_rates.h"

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
void multiply_adds_alone(lopt_optimizer *opt) {
    reinterpret_cast<cuda_optimizer *>(opt)->model.fragments = nullptr;
    cuda_set_fused(opt, 0);
}

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

// Biases beyond what fp16 can say saturate gates and rates, as they do on the CPU.
TEST_P(Fp32OnDevice, HugeBiasesSaturate) {
    for (const char *state : {"fp32", "mixed"})
        for (float bias : {1e5f, -1e5f}) {
            Model m({70}), fast({70});
            set_weights(m.weights.p, "param_rnn.gate_bias", bias);
            set_weights(m.weights.p, "param_rnn.candidate_bias", bias);
            raise_rates(fast.weights.p, bias);
            Rig gates(gpu, m), rates(gpu, fast);
            ASSERT_EQ(gates.create(state), LOPT_OK) << lopt_last_error();
            ASSERT_EQ(rates.create(state), LOPT_OK) << lopt_last_error();
            gates.run(0, 3);
            rates.run(0, 1);
            State of_gates = state_of(gates.opt.p), of_rates = state_of(rates.opt.p);
            for (float h : of_gates["hidden.0"]) ASSERT_TRUE(std::fabs(h) <= 1.0f) << state << " " << bias << ": " << h;
            for (float a : of_rates["log_lr.0"]) ASSERT_EQ(a, std::copysign(33.0f, bias)) << state; // rule 11
        }
}

// The largest number, and the largest difference from what is wanted.
std::pair<float, float> largest(const std::vector<float> &got, const std::vector<float> &want) {
    std::pair<float, float> most = {0.0f, 0.0f};
    for (size_t i = 0; i < want.size(); i++) {
        most.first = std::fmax(most.first, std::fabs(want[i]));
        const float error = std::fabs(got[i] - want[i]);
        most.second = error <= most.second ? most.second : error; // a NaN stays
    }
    return most;
}

// Where decays are all but 0 or 1, a first step knows of none, averages forget at once or never, and mean squares never are below 0.
TEST_P(Fp32OnDevice, DecaysMayBeAtTheirEnds) {
    for (const char *state : {"fp32", "mixed"})
        for (float bias : {45.0f, -45.0f}) {
            Model m({70}), same({70});
            for (Model *x : {&m, &same}) {
                set_weights(x->weights.p, "scale_decay.bias", bias);
                set_weights(x->weights.p, "input_decay.bias", bias);
            }
            Rig rig(gpu, m);
            ASSERT_EQ(rig.create(state), LOPT_OK) << lopt_last_error();
            ASSERT_EQ(same.create(), LOPT_OK);
            rig.run(0, 1);
            same.run(0, 1);
            std::map<std::string, float> size = {{"gradient_average.0", 0.0f}, {"mean_square.0", 0.0f}};
            const float exact = std::string(state) == "fp32" ? 1e-6f : 0x1p-8f;
            for (int step = 0; step < 3; step++) {
                State got = state_of(rig.opt.p), want = state_of(same.opt.p);
                for (auto &[part, most] : size) { // so far: what is forgotten leaves a rounding of itself
                    const auto [now, error] = largest(got[part], want[part]);
                    most = std::fmax(most, now);
                    ASSERT_LE(error, most * exact) << state << " " << bias << ", step " << step << ", " << part;
                }
                for (float x : got["mean_square.0"]) ASSERT_GE(x, 0.0f) << state << " " << bias << ", step " << step;
                for (Model *x : {&m, &same}) x->grads[0].assign(70, 0.0f);
                rig.write(rig.grads, m.grads);
                ASSERT_EQ(rig.step(), LOPT_OK);
                ASSERT_EQ(same.step(), LOPT_OK);
            }
        }
}

INSTANTIATE_TEST_SUITE_P(Devices, Fp32OnDevice, ::testing::Values("Emulated", "Gpu"), device_name);

} // namespace
