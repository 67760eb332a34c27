// Mixed state's cell on tensor cores: the operation itself, the order of the state, and steps beside the CPU's.
#include <random>

#include "tests/cuda/rig.h"

#include "kernels/cuda/mma.cuh"

namespace {

// ---- The operation, on the CPU, against the tables of the PTX manual (mma.m16n8k16 with .f16 inputs, ldmatrix), read from there once more

struct Matrices {
    uint16_t a[16][16], b[16][8];
    float c[16][8], d[16][8];
    alignas(16) uint32_t rows[16][8]; // a, as ldmatrix finds it
    bool loaded;                      // by it
};

__global__ void multiply(Matrices *m) {
    const unsigned group = threadIdx.x % 32 / 4, in_group = threadIdx.x % 4;
    mma_inputs a = {{0, 0, 0, 0}};
    mma_weights b = {{0, 0}};
    mma_sums c;
    for (unsigned i = 0; i < 8; i++) {
        const unsigned row = i < 2 || (i >= 4 && i < 6) ? group : group + 8, column = in_group * 2 + (i & 1) + (i >= 4 ? 8 : 0);
        a.word[i / 2] |= uint32_t(m->a[row][column]) << (i % 2 ? 16 : 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        b.word[i / 2] |= uint32_t(m->b[in_group * 2 + (i & 1) + (i >= 2 ? 8 : 0)][group]) << (i % 2 ? 16 : 0);
        c.at[i] = m->c[i < 2 ? group : group + 8][in_group * 2 + (i & 1)];
    }
    if (m->loaded) { // matrix i of four: rows and columns of a from 8 (i % 2) and 8 (i / 2) on
        const unsigned i = threadIdx.x / 8, row = threadIdx.x % 8 + i % 2 * 8;
        a = mma_load(m->rows[row] + i / 2 * 4);
    }
    const mma_sums d = mma(a, b, c);
    for (unsigned i = 0; i < 4; i++) m->d[i < 2 ? group : group + 8][in_group * 2 + (i & 1)] = d.at[i];
}

TEST(MmaOperation, IsAProductOfMatrices) {
    std::mt19937 draw(1);
    std::uniform_real_distribution<float> uniform(-2, 2);
    for (bool loaded : {false, true}) {
        Matrices m;
        m.loaded = loaded;
        for (auto &row : m.a)
            for (uint16_t &x : row) x = float_to_fp16(uniform(draw));
        for (auto &row : m.b)
            for (uint16_t &x : row) x = float_to_fp16(uniform(draw));
        for (auto &row : m.c)
            for (float &x : row) x = uniform(draw);
        std::memcpy(m.rows, m.a, sizeof m.a);
        ASSERT_EQ(emulation::launch(nullptr, 1, 32, multiply, &m), 0);
        emulation::stream_wait(nullptr);
        for (int i = 0; i < 16; i++)
            for (int j = 0; j < 8; j++) {
                double sum = double(m.c[i][j]);
                for (int k = 0; k < 16; k++) sum += double(fp16_to_float(m.a[i][k])) * double(fp16_to_float(m.b[k][j]));
                EXPECT_NEAR(double(m.d[i][j]), sum, 4e-6) << i << " " << j;
            }
    }
}

__global__ void leave(Matrices *m) { // of c, rounded
    const unsigned group = threadIdx.x % 32 / 4, in_group = threadIdx.x % 4;
    mma_sums c;
    for (unsigned i = 0; i < 4; i++) c.at[i] = m->c[i < 2 ? group : group + 8][in_group * 2 + (i & 1)];
    const uint32_t rounded[2] = {floats_to_fp16(c.at[0], c.at[1]), floats_to_fp16(c.at[2], c.at[3])};
    const mma_sums left = mma_left(c, rounded, mma_minus_one(threadIdx.x));
    for (unsigned i = 0; i < 4; i++) m->d[i < 2 ? group : group + 8][in_group * 2 + (i & 1)] = left.at[i];
}

TEST(MmaOperation, SaysWhatRoundingLeft) {
    std::mt19937 draw(2);
    std::uniform_real_distribution<float> uniform(-2, 2);
    Matrices m;
    for (auto &row : m.c)
        for (float &x : row) x = uniform(draw);
    ASSERT_EQ(emulation::launch(nullptr, 1, 32, leave, &m), 0);
    emulation::stream_wait(nullptr);
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 8; j++) EXPECT_EQ(m.d[i][j], m.c[i][j] - fp16_to_float(float_to_fp16(m.c[i][j]))) << i << " " << j;
}

// ---- The order of the state

TEST(MmaCell, EveryNumberHasAPlace) {
    const int C = MMA_P + 2 * MMA_S + 1;
    std::vector<int> fp32(GPU_TILE * C), mixed(GPU_TILE * (C + 1)); // of 16 bits, of which the rates take two
    for (unsigned i = 0; i < GPU_TILE; i++) {
        for (int c = 0; c < C; c++) fp32.at(mma_place(i, c))++;
        for (int c = 0; c < C - 1; c++) mixed.at(mma_mixed_place(i, c))++;
        for (unsigned half = 0; half < 2; half++) mixed.at(2 * mma_mixed_rate_place(i) + half)++;
    }
    EXPECT_EQ(fp32, std::vector<int>(fp32.size(), 1));
    EXPECT_EQ(mixed, std::vector<int>(mixed.size(), 1));
}

// ---- Steps

class MixedOnDevice : public OnDevice {};

// Every weight matters and none is small: a number that is multiplied with another's weight shows.
void enlarge(lopt_weights *w) {
    float *data = lopt_weights_data(w);
    for (size_t i = 0; i < lopt_weights_count(w); i++) data[i] += 0.3f * std::fmin(1.0f, std::fmax(-1.0f, noise(5, i, 1)));
}

// What one step may do otherwise than in fp32. `near`: as large as the numbers are that the result is mixed from.
// Inputs and weights are rounded to 11 bits: each product is off by at most 2^-10 of itself, sums of 22 here by 2e-3 at most; a gate by a
// quarter of that, tanh and sigmoid by 2^-11 more. Averages are kept in 8 bits (2^-8), and mixed by decays that are off by 1e-3. Directions, of size
// 1 after division by their RMS, are sums of 14 such products, and wait for that in 8 bits, too.
double allowed(const std::string &part, double want, double near) {
    if (part == "hidden") return 2e-3 + std::fabs(want) * 0x1p-11;
    if (part == "gradient_average") return std::fabs(want) * 0x1p-8 + near * 2e-3;
    if (part == "mean_square") return std::fabs(want) * 0x1p-8 + near * 4e-3;
    if (part == "theta" || part == "attended") return std::fabs(want) * 2e-7 + near * (2e-3 + 0x1p-8);
    return 2e-4; // logarithms of learning rates and, from means over many, states of the other levels
}

// Both from the state before; the largest difference in units of what is allowed.
double step_error(const State &before, const State &got, const State &want, const Model &m, std::string *where) {
    double worst = 0.0;
    for (const auto &[name, x] : want) {
        const std::string part = name.substr(0, name.find('.'));
        const std::vector<float> &old = before.at(name), &y = got.at(name);
        const std::string tensor = name.substr(name.find('.') + 1);
        for (size_t j = 0; j < x.size(); j++) {
            double near = 0.0;
            if (part == "gradient_average" || part == "mean_square") {
                const auto &g = m.grads[std::stoul(tensor)];
                const double gradient = double(g[j % g.size()]);
                near = std::fmax(std::fabs(double(old[j])), part[0] == 'm' ? gradient * gradient : std::fabs(gradient));
            } else if (part == "theta" || part == "attended") {
                const double from = double(before.at("theta." + tensor)[j]);
                near = std::fmax(std::fabs(double(x[j]) - from), std::exp(double(want.at("log_lr." + tensor)[j])));
            }
            const double error = std::fabs(double(y[j]) - double(x[j])) / (allowed(part, double(x[j]), near) + 1e-30);
            if (!(error <= worst)) worst = std::isfinite(error) ? error : 1e30, *where = name + " " + std::to_string(j);
        }
    }
    return worst;
}

State all_of(lopt_optimizer *opt, const std::vector<std::vector<float>> &params) {
    State s = state_of(opt);
    for (size_t i = 0; i < params.size(); i++) s["attended." + std::to_string(i)] = params[i];
    return s;
}

TEST_P(MixedOnDevice, EveryStepIsTheCpusRounded) {
    const std::vector<size_t> sizes = {1, 31, 33, 64, 65, 130, 4097};
    for (const char *weights : {"attention=1", "attention=0"}) {
        Model source(sizes, weights), cpu(sizes, weights);
        enlarge(source.weights.p);
        enlarge(cpu.weights.p);
        Rig rig(gpu, source);
        ScratchDir dir;
        lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
        o.weight_decay = 0.01; // as rigs have
        ASSERT_EQ(rig.create("mixed"), LOPT_OK) << lopt_last_error();
        ASSERT_EQ(cpu.create(&o), LOPT_OK);
        for (uint64_t t = 0; t < 4; t++) {
            std::string where;
            ASSERT_EQ(lopt_optimizer_save(rig.opt.p, (dir / "s").c_str()), LOPT_OK) << lopt_last_error();
            ASSERT_EQ(lopt_optimizer_load(cpu.opt.p, (dir / "s").c_str()), LOPT_OK) << lopt_last_error();
            cpu.params = rig.read();
            const State before = all_of(cpu.opt.p, cpu.params);
            rig.run(t, t + 1);
            cpu.run(t, t + 1);
            const double worst = step_error(before, all_of(rig.opt.p, rig.read()), all_of(cpu.opt.p, cpu.params), cpu, &where);
            EXPECT_LT(worst, 1.0) << weights << ", step " << t << ": " << where;
        }
    }
}

TEST_P(MixedOnDevice, EveryRunHasTheSameBits) {
    Model a({1, 31, 20000, 64}), b({1, 31, 20000, 64});
    Rig one(gpu, a), two(gpu, b);
    ASSERT_EQ(one.create("mixed"), LOPT_OK);
    ASSERT_EQ(two.create("mixed"), LOPT_OK);
    one.run(0, 3);
    two.run(0, 3);
    EXPECT_EQ(one.read(), two.read());
}
INSTANTIATE_TEST_SUITE_P(Devices, MixedOnDevice, ::testing::Values("Emulated", "Gpu"), device_name);

} // namespace
