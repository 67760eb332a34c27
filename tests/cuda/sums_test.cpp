// The sums between the phases: of chunks, spans and tensors, against sums in double over what the state says; and the same bits after loading.
#include "tests/cuda/support.h"

#include "kernels/cell/dense_gru.h"
#include "kernels/cell/readout.h"

extern "C" {
#include "csrc/optimizer/cuda.h"
}

namespace {

struct Sums : OnGpu {};

// A model with its memory, on the host.
class HostCopy {
public:
    explicit HostCopy(const DeviceModel<> &m) {
        const auto *opt = reinterpret_cast<const cuda_optimizer *>(m.opt.p);
        const auto *end = reinterpret_cast<const uint64_t *>(opt->staging + CUDA_STAGING); // it stands last
        memory_.resize(size_t(end - static_cast<const uint64_t *>(opt->memory)));
        EXPECT_EQ(device()->wait(0), LOPT_OK);
        EXPECT_EQ(device()->download(0, memory_.data(), opt->memory, memory_.size() * sizeof(uint64_t), nullptr), LOPT_OK);
        model = opt->model;
        turn(opt->memory, &model, sizeof model);
        turn(opt->memory, const_cast<gpu_weights *>(model.weights), sizeof *model.weights);
    }
    HostCopy(const HostCopy &) = delete;
    gpu_model model;

private:
    // Pointers of a structure that go into the device's memory: to the copy.
    void turn(const void *from, void *structure, size_t bytes) {
        const uint64_t first = reinterpret_cast<uintptr_t>(from);
        for (uint64_t *word = static_cast<uint64_t *>(structure); bytes >= sizeof *word; word++, bytes -= sizeof *word)
            if (*word - first < memory_.size() * sizeof(uint64_t)) *word += reinterpret_cast<uintptr_t>(memory_.data()) - first;
    }
    std::vector<uint64_t> memory_;
};

// What parameter j of tensor i adds to the sums, from the state after the step and its learning rate before.
void contribution(const gpu_model &m, const State &after, const std::string &tensor, size_t j, float rho, double *out) {
    const lopt_dims d = m.dims;
    const cell_weights &w = m.weights->cell;
    const size_t n = after.at("log_lr." + tensor).size();
    float h[PARAM_SIZE_MAX], gbar[SCALES_MAX], lam[SCALES_MAX], x[FEATURES_MAX];
    for (int c = 0; c < d.param; c++) h[c] = after.at("hidden." + tensor)[j * size_t(d.param) + size_t(c)];
    for (int s = 0; s < d.scales; s++) {
        gbar[s] = after.at("gradient_average." + tensor)[size_t(s) * n + j];
        lam[s] = after.at("mean_square." + tensor)[size_t(s) * n + j];
    }
    features_forward(d, gbar, lam, rho, x);
    const double direction = double(readout_direction(d, w.update, w.update_gradient, h, x));
    const double attention = d.attention ? double(readout_direction(d, w.attention, w.attention_gradient, h, x)) : 0.0;
    for (int c = 0; c < d.param; c++) *out++ = double(h[c]);
    for (int f = 0; f < dims_features(d); f++) *out++ = double(x[f]);
    *out++ = direction * direction;
    *out++ = attention * attention;
    *out = double(after.at("log_lr." + tensor)[j]);
}

struct Column {
    double sum = 0.0, size = 0.0;
    void add(double a, double at_least = 0.0) { sum += a, size += std::fmax(std::fabs(a), at_least); }
};
using Columns = std::vector<Column>;

double relative(double got, const Column &want) { return std::fabs(got - want.sum) / (want.size + 1e-30); }

// The sums of every chunk, in double.
std::vector<Columns> reference(const gpu_model &m, const State &before, const State &after) {
    std::vector<Columns> out;
    double mean = 0.0, count = 0.0;
    for (uint64_t i = 0; i < m.num_tensors; i++)
        for (float a : before.at("log_lr." + std::to_string(i))) mean += double(a), count += 1.0;
    mean /= count;
    for (uint64_t k = 0; k < m.num_chunks; k++) {
        const gpu_chunk c = m.chunks[k];
        const std::string tensor = std::to_string(c.tensor);
        const std::vector<float> &rates = before.at("log_lr." + tensor);
        Columns sums(size_t(gpu_sums(m.dims)));
        std::vector<double> one(sums.size());
        for (size_t j = c.band; j < c.band + c.band_n; j++) {
            if ((j - c.band) / GPU_BLOCK % c.chunks != c.place) continue;
            contribution(m, after, tensor, j, rates[j] - float(mean), one.data());
            for (size_t q = 0; q < sums.size(); q++) // features are logarithms: a GPU's may be off by 1e-6, however small they are
                sums[q].add(one[q], q >= size_t(m.dims.param) && q + 3 < sums.size() ? 0.25 : 0.0);
        }
        out.push_back(sums);
    }
    return out;
}

// Rule 13 by hand: the tensor's RNN on the means.
__global__ void tensor_level(gpu_model m, const float *mean, float *u) {
    static dense_gru_scratch scratch;
    const dense_gru level = {&m.weights->dense[DENSE_TENSOR_GATE], &m.weights->dense[DENSE_TENSOR_CANDIDATE],
                             m.dims.param + dims_features(m.dims), m.dims.tensor};
    dense_gru_forward(level, mean, u, m.bias_tensor, u, NULL, &scratch);
}

void expect_tensor(const gpu_model &m, uint64_t i, const std::vector<Columns> &chunks, const std::vector<float> &u_before,
                   double tolerance) {
    const gpu_tensor t = m.tensors[i];
    const size_t inputs = size_t(m.dims.param + dims_features(m.dims)), columns = size_t(gpu_sums(m.dims));
    const double n = double(t.count);
    Columns total(columns), exact(columns); // of the reference, of the kernels' own chunks
    for (uint64_t k = t.chunk_at; k < t.chunk_end; k++)
        for (size_t q = 0; q < columns; q++) {
            total[q].sum += chunks[k][q].sum, total[q].size += chunks[k][q].size;
            exact[q].add(double(m.sums[k * columns + q]));
        }
    EXPECT_LT(relative(m.log_lr[i], exact.back()), 1e-14) << i;
    EXPECT_NEAR(double(m.inverse_rms[2 * i]) * std::sqrt(total[inputs].sum / n + 1e-16), 1.0, tolerance) << i;
    if (m.dims.attention) {
        EXPECT_NEAR(double(m.inverse_rms[2 * i + 1]) * std::sqrt(total[inputs + 1].sum / n + 1e-16), 1.0, tolerance) << i;
    }
    std::vector<float> mean, u = u_before;
    for (size_t q = 0; q < inputs; q++) mean.push_back(float(total[q].sum / n));
    ASSERT_EQ(emulation::launch(nullptr, 1, unsigned(GPU_BLOCK), tensor_level, m, mean.data(), u.data()), 0);
    emulation::stream_wait(nullptr);
    for (size_t j = 0; j < u.size(); j++) EXPECT_NEAR(m.u[i * padded(m.dims.tensor) + j], u[j], tolerance) << i << " " << j;
}

void expect_sums(const char *weights, std::vector<size_t> sizes, const char *state, uint64_t steps, double tolerance) {
    Model source(std::move(sizes), weights);
    DeviceModel<> gpu(source);
    lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
    o.state_dtype = state;
    ASSERT_EQ(gpu.create(o), LOPT_OK) << lopt_last_error();
    gpu.run(0, steps - 1);
    const State before = state_of(gpu.opt.p);
    gpu.run(steps - 1, steps);
    const State after = state_of(gpu.opt.p);
    const HostCopy copy(gpu);
    const gpu_model &m = copy.model;
    const std::vector<Columns> chunks = reference(m, before, after);
    const size_t columns = size_t(gpu_sums(m.dims));
    for (uint64_t k = 0; k < m.num_chunks; k++)
        for (size_t q = 0; q < columns; q++)
            ASSERT_LT(relative(double(m.sums[k * columns + q]), chunks[k][q]), tolerance) << "chunk " << k << ", column " << q;
    for (uint64_t s = 0; s < m.num_spans; s++)
        for (size_t q = 0; q < columns; q++) {
            Column exact;
            for (uint64_t k = m.spans[s].chunk_at; k < m.spans[s].chunk_end; k++) exact.add(double(m.sums[k * columns + q]));
            ASSERT_LT(relative(m.span_sums[s * columns + q], exact), 1e-14) << "span " << s << ", column " << q;
        }
    for (uint64_t i = 0; i < m.num_tensors; i++)
        expect_tensor(m, i, chunks, before.at("tensor_state." + std::to_string(i)), tolerance);
}

// In fp32 a sum of a chunk goes through some four additions for each tile of a warp, five among its lanes and three among warps; its terms are made again
// here, by the same functions.
TEST_F(Sums, AreThoseOfTheState) {
    expect_sums("attention=1", {1, 31, 5000, 33}, "fp32", 3, 4e-6);
    expect_sums("attention=0", {65 * GPU_CHUNK_MIN + 33, 7}, "fp32", 2, 4e-6);
    expect_sums("param=7,scales=3,tensor=9", {1, 31, 5000, 33}, "fp32", 3, 4e-6);
}

// There the state has been rounded since.
TEST_F(Sums, AreThoseOfTheStateBeforeItWasRounded) {
    for (const char *weights : {"attention=1", "attention=0"}) expect_sums(weights, {1, 31, 5000, 33}, "mixed", 3, 5e-3);
}

// A learning rate's sum goes into the next step, so that what adds it up after loading must add in the order in which a step does.
TEST_F(Sums, OfLearningRatesHaveTheSameBitsAfterLoading) {
    for (const char *state : {"fp32", "mixed"})
        for (const std::vector<size_t> &sizes :
             {std::vector<size_t>{9000, 4097, 40, 1}, std::vector<size_t>{65 * GPU_CHUNK_MIN + 33, 7}}) {
            Model a(sizes, "attention=0"), b(sizes, "attention=0");
            DeviceModel<> first(a), second(b);
            ScratchDir dir;
            lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
            o.state_dtype = state;
            ASSERT_EQ(first.create(o), LOPT_OK) << lopt_last_error();
            first.run(0, 2);
            ASSERT_EQ(lopt_optimizer_save(first.opt.p, (dir / "s").c_str()), LOPT_OK) << lopt_last_error();
            o.seed = 99;
            ASSERT_EQ(second.create(o), LOPT_OK);
            ASSERT_EQ(lopt_optimizer_load(second.opt.p, (dir / "s").c_str()), LOPT_OK) << lopt_last_error();
            const HostCopy of_first(first), of_second(second);
            const gpu_model &m = of_first.model, &n = of_second.model;
            const size_t columns = size_t(gpu_sums(m.dims));
            for (uint64_t k = 0; k < m.num_chunks; k++)
                ASSERT_EQ(n.sums[(k + 1) * columns - 1], m.sums[(k + 1) * columns - 1]) << state << ", chunk " << k;
            for (uint64_t s = 0; s < m.num_spans; s++)
                ASSERT_EQ(n.span_sums[(s + 1) * columns - 1], m.span_sums[(s + 1) * columns - 1]) << s;
            for (uint64_t i = 0; i < m.num_tensors; i++) EXPECT_EQ(n.log_lr[i], m.log_lr[i]) << state << ", tensor " << i;
        }
}

} // namespace
