// How a model is cut: into chunks, which phase 1 takes by bands, and into the work of a step in one launch.
#include "tests/cuda/support.h"

extern "C" {
#include "csrc/optimizer/cuda.h"
}

namespace {

const std::vector<std::vector<uint64_t>> lists = {{1},
                                                  {70 * 256, 1, 5000, 300},
                                                  std::vector<uint64_t>(40, 1000),
                                                  {38597376, 786432, 2304, 1769472, 768},
                                                  std::vector<uint64_t>(500, 4097)};
const uint32_t chunk_sizes[] = {256, 384, 1024, 1920, 2176, 4096, 8192};

// Tensors of these sizes, and their chunks.
std::vector<gpu_tensor> cut(const std::vector<uint64_t> &sizes, uint32_t chunk_size) {
    std::vector<gpu_tensor> tensors;
    uint64_t at = 0;
    for (uint64_t n : sizes) {
        const uint64_t end = at + (n + chunk_size - 1) / chunk_size;
        tensors.push_back({n, 0, at, end, 0, 0});
        at = end;
    }
    return tensors;
}
std::vector<gpu_chunk> chunks_of(const std::vector<gpu_tensor> &tensors, uint32_t chunk_size) {
    std::vector<gpu_chunk> chunks;
    for (uint32_t i = 0; i < tensors.size(); i++)
        for (uint64_t k = tensors[i].chunk_at; k < tensors[i].chunk_end; k++)
            chunks.push_back(cuda_chunk_at(tensors.data(), i, k, chunk_size));
    return chunks;
}

// Runs of a block's tiles that phase 1 of a chunk takes; each must be there in one chunk, and chunks of a band must be as long as each other, but for one.
void expect_bands(const std::vector<uint64_t> &sizes, uint32_t chunk_size) {
    std::vector<std::vector<int>> taken;
    for (uint64_t n : sizes) taken.emplace_back((n + GPU_BLOCK - 1) / GPU_BLOCK);
    std::vector<uint64_t> next(sizes.size());
    for (const gpu_chunk &c : chunks_of(cut(sizes, chunk_size), chunk_size)) {
        ASSERT_EQ(c.first, next[c.tensor]);
        ASSERT_EQ(c.n, std::min(uint64_t(chunk_size), sizes[c.tensor] - c.first));
        next[c.tensor] += c.n;
        ASSERT_EQ(c.band % GPU_BLOCK, 0u);
        ASSERT_LE(c.band + c.band_n, sizes[c.tensor]);
        uint32_t runs = 0;
        for (uint32_t i = gpu_chunk_begin(&c); i < c.band_n; i += gpu_chunk_apart(&c), runs++)
            taken[c.tensor].at((c.band + i) / GPU_BLOCK)++;
        const uint32_t all = (c.band_n + GPU_BLOCK - 1) / GPU_BLOCK;
        ASSERT_GE(runs, all / c.chunks);
        ASSERT_LE(runs, std::min((all + c.chunks - 1) / c.chunks, chunk_size / GPU_BLOCK));
        ASSERT_TRUE(c.chunks == 1 || gpu_chunk_begin(&c) + GPU_BLOCK <= c.band_n)
            << "all warps of its block have work, as busy_warps says";
    }
    for (size_t i = 0; i < sizes.size(); i++) {
        ASSERT_EQ(next[i], sizes[i]);
        for (int times : taken[i]) ASSERT_EQ(times, 1);
    }
}

TEST(Plan, PhaseOneTakesEachParameterOnce) {
    for (const auto &sizes : lists)
        for (uint32_t chunk_size : chunk_sizes) expect_bands(sizes, chunk_size);
    for (uint64_t n :
         {1u, 127u, 128u, 129u, 256u, 257u, 16u * 256u, 16u * 256u + 1u, 17u * 256u - 1u, 31u * 256u + 200u, 33u * 256u})
        expect_bands({n}, 256);
}

// The work of tensors that are cut into chunks of a size, on a GPU. Work that waits for what stands behind it would stop a GPU for ever; and each
// parameter must be there once for each phase.
void expect_work(const std::vector<uint64_t> &sizes, uint32_t chunk_size, unsigned multiprocessors) {
    const std::vector<gpu_tensor> tensors = cut(sizes, chunk_size);
    const std::vector<gpu_chunk> chunks = chunks_of(tensors, chunk_size);
    std::vector<uint32_t> work(2 * chunks.size());
    work.resize(cuda_work_order(tensors.data(), chunks.size(), chunk_size, multiprocessors, work.data()));
    uint32_t advanced = 0, tensor = 0;
    uint64_t applied = 0; // parameters of the tensor
    for (uint32_t w : work) {
        if ((w & GPU_WORK_APPLY) == 0) {
            ASSERT_EQ(w, advanced++);
            continue;
        }
        const gpu_chunk &c = chunks.at(w & ~GPU_WORK_APPLY);
        ASSERT_GE(advanced, tensors[c.tensor].chunk_end);
        ASSERT_EQ(c.tensor, tensor);
        ASSERT_EQ(c.first, applied);
        applied += std::min(uint64_t(gpu_piece_chunks(chunk_size)) * chunk_size, tensors[tensor].count - applied);
        if (applied == tensors[tensor].count) tensor++, applied = 0;
    }
    EXPECT_EQ(advanced, chunks.size());
    EXPECT_EQ(tensor, sizes.size());
}

TEST(Plan, WorkWaitsOnlyForWhatStandsBefore) {
    for (const auto &sizes : lists)
        for (uint32_t chunk_size : chunk_sizes)
            for (unsigned multiprocessors : {1u, 132u}) expect_work(sizes, chunk_size, multiprocessors);
}

} // namespace
