// Rows of a minibatch found side by side are those found one after the other.
#include <gtest/gtest.h>

#include <vector>

#define BATCH_LANES 64 // as with AVX2 and AVX-512; this file itself is compiled without

extern "C" {
#include "tasks/families/batch.h"
}

namespace {

TEST(BatchRows, AreThoseOfOneAfterTheOther) {
    for (uint32_t rows : {1u, 2u, 5u, 200u, 1000u, 1025u, 65536u})
        for (uint32_t batch : {1u, 3u, 63u, 64u, 65u, 200u}) {
            if (batch > rows) continue;
            for (uint64_t step :
                 {uint64_t(0), uint64_t(rows / batch - 1), uint64_t(7)}) { // the last of an epoch ends at the last place
                const task_draw draw = {11, step};
                const batch_order order = batch_begin(&draw, rows, batch);
                std::vector<uint32_t> got(batch + 1, 77);
                batch_rows(&order, 0, batch, got.data());
                for (uint32_t i = 0; i < batch; i++) ASSERT_EQ(got[i], batch_row(&order, i)) << rows << " " << batch << " " << i;
                EXPECT_EQ(got[batch], 77u); // nothing beyond
                const uint32_t from = batch / 2;
                batch_rows(&order, from, batch - from, got.data());
                for (uint32_t i = from; i < batch; i++) ASSERT_EQ(got[i - from], batch_row(&order, i));
            }
        }
}

} // namespace
