#include <gtest/gtest.h>

#include <cmath>
#include <vector>

extern "C" {
#include "csrc/eval/statistics.h"
}

namespace {

constexpr double kNan = NAN;

TEST(Grid, IsEveryStepOfAShortRunAndEvenlySpacedOnALongOne) {
    eval_grid three = eval_grid_make(3);
    ASSERT_EQ(three.count, 4u);
    for (size_t i = 0; i < 4; i++) EXPECT_EQ(eval_grid_step(three, i), i);
    for (size_t steps : {200u, 201u, 1000u, 1234u, 100000u}) {
        eval_grid grid = eval_grid_make(steps);
        ASSERT_EQ(grid.count, 201u);
        EXPECT_EQ(eval_grid_step(grid, 0), 0u);
        EXPECT_EQ(eval_grid_step(grid, 200), steps);
        for (size_t i = 1; i < grid.count; i++) EXPECT_GT(eval_grid_step(grid, i), eval_grid_step(grid, i - 1));
    }
}

TEST(Grid, RatesAreHalfDecades) {
    for (size_t i = 0; i < EVAL_RATE_COUNT; i++) {
        EXPECT_NEAR(std::log10(eval_rate(i)), -7.0 + 0.5 * (double)i, 1e-12);
        EXPECT_NEAR(atof(eval_rate_name(i)) / eval_rate(i), 1.0, 0.02);
    }
    EXPECT_EQ(eval_rate(EVAL_RATE_DEFAULT), 1e-3);
}

TEST(Grid, SeedsDifferByTaskIndexAndPurpose) {
    eval_seeds a = eval_seeds_make(1, "bowl", 0), b = eval_seeds_make(1, "bowl", 1), c = eval_seeds_make(1, "booth", 0),
               d = eval_seeds_make(2, "bowl", 0), again = eval_seeds_make(1, "bowl", 0);
    EXPECT_EQ(a.instance, again.instance);
    EXPECT_NE(a.instance, b.instance);
    EXPECT_NE(a.instance, c.instance);
    EXPECT_NE(a.instance, d.instance);
    EXPECT_NE(a.instance, a.start);
    EXPECT_NE(a.start, a.batch);
    EXPECT_NE(a.batch, a.optimizer);
}

TEST(Mean, OfAnythingNotFiniteIsNan) {
    const double good[] = {1, 2, 6}, bad[] = {1, kNan, 6}, infinite[] = {1, INFINITY};
    EXPECT_EQ(stat_mean(good, 3), 3.0);
    EXPECT_TRUE(std::isnan(stat_mean(bad, 3)));
    EXPECT_TRUE(std::isnan(stat_mean(infinite, 2)));
    EXPECT_TRUE(std::isnan(stat_mean(good, 0)));
}

TEST(Spread, CountsDivergedRunsAsTheWorst) {
    const double values[] = {kNan, 1, 3};
    stat_spread s = stat_spread_of(values, 3);
    EXPECT_EQ(s.median, 3);
    EXPECT_EQ(s.low, 1);
    EXPECT_TRUE(std::isnan(s.high));
    const double most[] = {kNan, 1, kNan};
    EXPECT_TRUE(std::isnan(stat_spread_of(most, 3).median));
    const double even[] = {4, 1, 2, 8};
    EXPECT_EQ(stat_spread_of(even, 4).median, 3);
}

TEST(Iqm, LeavesOutTheOuterQuarters) {
    double scratch[8];
    const double eight[] = {100, 1, 2, 3, 4, -50, 5, 1000}; /* sorted: -50 1 | 2 3 4 5 | 100 1000 */
    EXPECT_EQ(stat_iqm(eight, 8, scratch), 3.5);
    const double three[] = {1, 2, 9};
    EXPECT_EQ(stat_iqm(three, 3, scratch), 4.0);
    const double one[] = {7};
    EXPECT_EQ(stat_iqm(one, 1, scratch), 7.0);
}

TEST(Bootstrap, IsAFunctionOfTheSeedAndHoldsTheMean) {
    std::vector<double> values;
    for (int i = 0; i < 20; i++) values.push_back(std::fmod(7.3 * i, 5.0));
    double scratch[20], low = 0, high = 0, low2 = 0, high2 = 0, low3 = 0, high3 = 0;
    ASSERT_EQ(stat_iqm_interval(values.data(), 20, 5, &low, &high), LOPT_OK);
    ASSERT_EQ(stat_iqm_interval(values.data(), 20, 5, &low2, &high2), LOPT_OK);
    ASSERT_EQ(stat_iqm_interval(values.data(), 20, 6, &low3, &high3), LOPT_OK);
    EXPECT_EQ(low, low2);
    EXPECT_EQ(high, high2);
    EXPECT_TRUE(low != low3 || high != high3);
    double iqm = stat_iqm(values.data(), 20, scratch);
    EXPECT_LT(low, iqm);
    EXPECT_GT(high, iqm);
    /* Width of a normal interval for this spread (std 1.45 over the middle, n 20): 2 x 1.96 x std/sqrt(n), within a factor of two.
     */
    EXPECT_GT(high - low, 0.6);
    EXPECT_LT(high - low, 3.0);
}

TEST(Bootstrap, OfEqualValuesIsThatValue) {
    const double values[] = {2, 2, 2, 2, 2};
    double low = 0, high = 0;
    ASSERT_EQ(stat_iqm_interval(values, 5, 0, &low, &high), LOPT_OK);
    EXPECT_EQ(low, 2);
    EXPECT_EQ(high, 2);
}

TEST(SpeedUp, IsStepsGivenOverStepsNeeded) {
    eval_grid grid = eval_grid_make(10);
    const double falling[] = {10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0.5};
    EXPECT_EQ(stat_steps_to_reach(grid, falling, 5), 5u);
    EXPECT_EQ(stat_speed_up(grid, falling, 5), 2.0);
    EXPECT_EQ(stat_speed_up(grid, falling, 0.5), 1.0);
    EXPECT_EQ(stat_speed_up(grid, falling, 0.4), 0.0);  /* never reached */
    EXPECT_EQ(stat_speed_up(grid, falling, 100), 10.0); /* at the first step, not before it */
    EXPECT_EQ(stat_speed_up(grid, falling, kNan), 0.0);
}

TEST(SpeedUp, IsZeroForWhatDivergesEvenAfterReachingTheTarget) {
    eval_grid grid = eval_grid_make(4);
    const double later[] = {10, 1, 0.1, kNan, kNan}, between[] = {10, kNan, 5, 1, 1}, always[] = {kNan, kNan, kNan, kNan, kNan};
    EXPECT_EQ(stat_speed_up(grid, later, 1), 0.0);
    EXPECT_EQ(stat_speed_up(grid, always, 1), 0.0);
    EXPECT_EQ(stat_speed_up(grid, between, 5), 2.0);
}

TEST(SpeedUp, TreatsTargetsBelowTheFloorAsTheFloor) {
    eval_grid grid = eval_grid_make(2);
    const double losses[] = {1, 1e-11, 1e-12};
    EXPECT_EQ(stat_speed_up(grid, losses, 1e-30), 2.0);
    EXPECT_EQ(stat_speed_up(grid, losses, 0.0), 2.0);
}

TEST(Win, KnowsTiesAndDivergence) {
    EXPECT_EQ(stat_win(1, 2), 1.0);
    EXPECT_EQ(stat_win(2, 1), 0.0);
    EXPECT_EQ(stat_win(2, 2), 0.5);
    EXPECT_EQ(stat_win(1e-12, 1e-20), 0.5);
    EXPECT_EQ(stat_win(kNan, 2), 0.0);
    EXPECT_EQ(stat_win(2, kNan), 1.0);
    EXPECT_EQ(stat_win(kNan, kNan), 0.0);
}

TEST(MeanRank, IsNotMovedByOneTaskOfLargeLosses) {
    const double losses[] = {/* task 1 */ 3, 2, 1, /* task 2 */ 3, 1, 2, /* task 3 */ 1, 2, 1e6};
    EXPECT_EQ(stat_best_mean_rank(losses, 3, 3), 1u);
}

TEST(MeanRank, PutsDivergedLastAndTakesTheFirstOfEquals) {
    const double diverged[] = {kNan, 5, 6, kNan, 5, 6};
    EXPECT_EQ(stat_best_mean_rank(diverged, 2, 3), 1u);
    const double equal[] = {1, 1, kNan, kNan};
    EXPECT_EQ(stat_best_mean_rank(equal, 1, 4), 0u);
}

} // namespace
