// What is the caller's in CUDA's library stays so: the current device, the last error, the mode of captures. Whatever becomes of the call.
#include "tests/cuda/support.h"
#include "tests/ptx/gpus.h"

extern "C" { // CUDA's headers and the other emulation's words do not go together
int cudaGetLastError(void);
int cudaGetDevice(int *device);
int cudaSetDevice(int device);
int cudaThreadExchangeStreamCaptureMode(int *mode);
}

namespace {

struct PtxCaller : TwoStreams {
    Model source{{33, 70}};
    DeviceModel<> gpu{source};
    ScratchDir dir;
    std::vector<float *> p = DeviceModel<>::pointers(gpu.params), g = DeviceModel<>::pointers(gpu.grads),
                         bad = {p[0], source.params[1].data()};
    PtxCaller() {
        source.gradients(0);
        gpu.write_grads();
        gpu.write_params();
        cudaSetDevice(1); // optimizers are on 0
    }
    ~PtxCaller() override { cudaSetDevice(0); }
    static void expect(lopt_status got, lopt_status want, const char *what) {
        int now = -1, mode = 0;
        EXPECT_EQ(got, want) << what << ": " << lopt_last_error();
        EXPECT_EQ(cudaGetLastError(), 0) << what;
        EXPECT_EQ(cudaGetDevice(&now), 0);
        EXPECT_EQ(now, 1) << what;
        cudaThreadExchangeStreamCaptureMode(&mode);
        EXPECT_EQ(mode, 0) << what; // global, as at the start of a thread
        cudaThreadExchangeStreamCaptureMode(&mode);
    }
    lopt_status create(float *const *params, void *stream) {
        lopt_optimizer_options o = LOPT_OPTIMIZER_OPTIONS_INIT;
        o.device = "cuda:0";
        return lopt_optimizer_create(source.weights.p, &o, 2, source.counts.data(), params, stream, &gpu.opt.p);
    }
    lopt_status step(float *const *params, void *stream) {
        return lopt_optimizer_step(gpu.opt.p, params, const_cast<const float *const *>(g.data()), stream);
    }
};

TEST_F(PtxCaller, KeepsItsDeviceAndSeesNoErrors) {
    emulation::machine.memory_left = 10;
    expect(create(p.data(), a), LOPT_ERR_MEMORY, "create without memory");
    emulation::machine.memory_left = size_t(1) << 40;
    emulation::machine.fail_launches = 700;
    expect(create(p.data(), a), LOPT_ERR_DEVICE, "create whose launches fail");
    emulation::machine.fail_launches = 0;
    expect(create(bad.data(), a), LOPT_ERR_ARGUMENT, "create of host memory");
    expect(create(p.data(), a), LOPT_OK, "create");
    expect(lopt_optimizer_set_scaler(gpu.opt.p, p[0], nullptr), LOPT_OK, "set_scaler");
    expect(lopt_optimizer_set_scaler(gpu.opt.p, nullptr, nullptr), LOPT_OK, "set_scaler of none");
    for (void *stream : {a, static_cast<void *>(nullptr)}) {
        expect(step(p.data(), stream), LOPT_OK, "step");
        expect(step(bad.data(), stream), LOPT_ERR_ARGUMENT, "step of host memory");
        emulation::machine.fail_launches = 700;
        expect(step(p.data(), stream), LOPT_ERR_DEVICE, "step whose launches fail");
        expect(lopt_optimizer_save(gpu.opt.p, (dir / "s").c_str()), LOPT_ERR_DEVICE, "save whose launches fail");
        emulation::machine.fail_launches = 0;
        expect(lopt_optimizer_swap(gpu.opt.p, p.data(), stream), LOPT_OK, "swap");
        expect(lopt_optimizer_swap(gpu.opt.p, p.data(), stream), LOPT_OK, "swap back");
        expect(lopt_optimizer_set_rates(gpu.opt.p, 1, 0, stream), LOPT_OK, "set_rates");
        expect(lopt_optimizer_true_params(gpu.opt.p, p.data(), stream), LOPT_OK, "true_params");
        ASSERT_EQ(device()->wait(0), LOPT_OK); // before another stream
    }
    expect(step(p.data(), &bad), LOPT_ERR_DEVICE, "step in what is no stream");
    expect(lopt_optimizer_save(gpu.opt.p, (dir / "s").c_str()), LOPT_OK, "save");
    expect(lopt_optimizer_load(gpu.opt.p, (dir / "s").c_str()), LOPT_OK, "load");
    EXPECT_EQ(lopt_optimizer_skipped(gpu.opt.p), 0u);
    ASSERT_EQ(device()->capture_begin(0, a), LOPT_OK);
    expect(step(p.data(), a), LOPT_OK, "captured step");
    expect(lopt_optimizer_swap(gpu.opt.p, p.data(), a), LOPT_ERR_ARGUMENT, "captured swap");
    expect(lopt_optimizer_save(gpu.opt.p, (dir / "s").c_str()), LOPT_ERR_ARGUMENT, "save beside a capture");
    void *graph = nullptr;
    EXPECT_EQ(device()->capture_end(0, a, &graph), LOPT_ERR_DEVICE);
    lopt_optimizer_free(gpu.opt.p);
    gpu.opt.p = nullptr;
    expect(LOPT_OK, LOPT_OK, "free");
}

} // namespace
