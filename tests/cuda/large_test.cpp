// More parameters than 2^31 without their memory: the chunks that are worked on stand far out in their tensor, and every base pointer is moved back as
// far, so that the kernels' own arithmetic has to find what is there. Any of it in 32 bits ends somewhere else.
#include "tests/cuda/support.h"

namespace {

constexpr uint64_t FAR = (uint64_t(1) << 33) + (uint64_t(1) << 31); // parameters; a multiple of this test's chunks, which are small

template <class T> T *back(T *p, uint64_t elements) {
    return reinterpret_cast<T *>(reinterpret_cast<uintptr_t>(p) - elements * sizeof(T));
}

struct FarOut : OnGpu, ::testing::WithParamInterface<const char *> {
    // The model of an optimizer with one tensor, seen from FAR before it.
    gpu_model far_model(const cuda_optimizer *opt) {
        gpu_model m = opt->model;
        auto *chunks = const_cast<gpu_chunk *>(m.chunks);
        std::vector<gpu_chunk> moved(m.num_chunks);
        EXPECT_EQ(device()->download(0, moved.data(), chunks, m.num_chunks * sizeof *chunks, nullptr), LOPT_OK);
        for (gpu_chunk &c : moved) c.first += FAR, c.band += FAR;
        EXPECT_EQ(device()->upload(0, chunks, moved.data(), m.num_chunks * sizeof *chunks, nullptr), LOPT_OK);
        m.state = back(m.state, FAR / GPU_TILE * gpu_tile_floats(m.dims, m.mixed));
        m.theta = back(m.theta, FAR);
        m.move = back(m.move, gpu_moves_of(m.dims, m.mixed) == MOVES_HALVES ? FAR / 2 : FAR);
        if (m.attend) m.attend = back(m.attend, FAR);
        return m;
    }
    static void enqueue(const gpu_model &m, float *params, gpu_exchange what) {
        void *far_params = back(params, FAR);
        gpu_launch l;
        ASSERT_EQ(device()->begin(0, nullptr, &l), LOPT_OK);
        device()->kernels->enter(&l, &m, &far_params, nullptr);
        device()->kernels->exchange(&l, &m, what);
        ASSERT_EQ(device()->end(&l), LOPT_OK) << lopt_last_error();
    }
    // Parameters out to the caller and in, of an optimizer there that is as far as the one here.
    static void exchange_there(DeviceModel<> &there, DeviceModel<> &here, gpu_model m, const std::vector<float> &start,
                               const char *state) {
        m.move = back(reinterpret_cast<cuda_optimizer *>(there.opt.p)->model.move, FAR); // floats, however updates wait
        DeviceArray<float> truth(here.host.counts[0]);
        const auto attended = here.read();
        enqueue(m, truth.data(), GPU_READ_THETA);
        EXPECT_EQ(truth.read(), here.true_params()[0]) << state;
        enqueue(m, there.params[0].data(), GPU_SWAP);
        EXPECT_EQ(there.read(), here.true_params()) << state;
        enqueue(m, there.params[0].data(), GPU_SWAP_BACK);
        EXPECT_EQ(there.read(), attended) << state;
        there.params[0].write(start);
        enqueue(m, there.params[0].data(), GPU_SET);
        enqueue(m, truth.data(), GPU_READ_THETA);
        EXPECT_EQ(truth.read(), start) << state;
    }
    // State by pieces, of a tensor that is as long as it must be then.
    static void pieces_there(DeviceModel<> &here, gpu_model m, uint64_t n, const char *state) {
        const gpu_tensor tensor = {FAR + n, 0, 0, 1, 0, 0};
        const gpu_kernels *k = device()->kernels;
        DeviceArray<gpu_tensor> tensors(std::vector<gpu_tensor>{tensor});
        gpu_launch l;
        m.tensors = tensors.data();
        ASSERT_EQ(device()->begin(0, nullptr, &l), LOPT_OK);
        for (state_part part : {PART_LOG_LR, PART_HIDDEN, PART_SQUARE}) {
            DeviceArray<float> far_part(100), near_part(100);
            const uint64_t P = uint64_t(m.dims.param), in = part == PART_HIDDEN ? P : 1, before = part == PART_SQUARE ? 1 : 0;
            const state_piece far_piece = {part, 0, before * tensor.count + FAR * in, 100}, near_piece = {part, 0, before * n, 100};
            k->pack(&l, &m, &far_piece, far_part.data());
            k->pack(&l, &reinterpret_cast<cuda_optimizer *>(here.opt.p)->model, &near_piece, near_part.data());
            k->unpack(&l, &m, &far_piece, near_part.data());
            EXPECT_EQ(far_part.read(), near_part.read()) << state << part;
        }
        EXPECT_EQ(device()->end(&l), LOPT_OK) << lopt_last_error();
    }
};

TEST_P(FarOut, AStepThereIsAStepHere) {
    for (const auto &[state, fused] : {std::pair("fp32", false), {"mixed", false}, {"fp32", true}, {"mixed", true}}) {
        const size_t n = fused ? GPU_CHUNK_MAX
                               : 3000; /* fused, phase 2 asks the tensor's length, which is too short out there, how much is left */
        Model a({n}, GetParam()), b({n}, GetParam());
        DeviceModel<> here(a), there(b);
        lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
        o.state_dtype = state;
        ASSERT_EQ(here.create(o), LOPT_OK);
        ASSERT_EQ(there.create(o), LOPT_OK);
        gpu_model m = far_model(reinterpret_cast<cuda_optimizer *>(there.opt.p));
        if (!fused) m.work = nullptr;
        const gpu_kernels *k = device()->kernels;
        for (uint64_t t = 0; t < 2; t++) {
            here.run(t, t + 1);
            b.gradients(t);
            there.write_grads();
            void *params = back(there.params[0].data(), FAR);
            const void *grads = back(there.grads[0].data(), FAR);
            gpu_launch l;
            ASSERT_EQ(device()->begin(0, nullptr, &l), LOPT_OK);
            k->enter(&l, &m, &params, &grads);
            k->prepare(&l, &m);
            k->advance(&l, &m);
            if (m.work == nullptr) k->finish(&l, &m), k->apply(&l, &m);
            k->sum_rates(&l, &m);
            EXPECT_EQ(device()->end(&l), LOPT_OK) << lopt_last_error();
            EXPECT_EQ(there.read(), here.read()) << state << t;
        }
        exchange_there(there, here, m, a.params[0], state);
        pieces_there(here, m, n, state);
    }
}
INSTANTIATE_TEST_SUITE_P(Options, FarOut,
                         ::testing::Values("attention=1", "attention=0", "param=5,scales=3", "param=5,scales=3,attention=0"));

} // namespace
