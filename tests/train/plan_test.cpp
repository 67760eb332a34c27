// Who advances which particle, and what is known of the costs: plans for nothing, plans that pay, and the same ones everywhere.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

extern "C" {
#include "csrc/train/costs.h"
#include "csrc/train/plan.h"
}

namespace {

using Items = std::vector<plan_item>;
constexpr int none = PLAN_NO_HOME;

struct Plan {
    plan p = {};
    size_t moved = 0;
    Plan(const Items &items, int ranks, double least_gain = 0.0) {
        EXPECT_EQ(plan_create(items.size(), ranks, &p), LOPT_OK);
        make(items, least_gain);
    }
    void make(const Items &items, double least_gain = 0.0) {
        std::copy(items.begin(), items.end(), p.item);
        moved = plan_make(&p, least_gain);
    }
    Plan(const Plan &) = delete;
    ~Plan() { plan_free(&p); }
    std::vector<int> owners() const { return {p.owner, p.owner + p.n}; }
    std::vector<double> loads() const { return {p.load, p.load + p.ranks}; }
};

using Owners = std::vector<int>;
using Loads = std::vector<double>;

TEST(Plan, WhatBeginsGoesToTheIdlestRankForNothing) {
    const Plan a({{10, 9, 0}, {1, 9, 1}, {3, 1, none}, {2, 0.5, none}}, 2, 0.1);
    EXPECT_EQ(a.owners(), (Owners{0, 1, 1, 1}));
    EXPECT_EQ(a.moved, 0u);
    EXPECT_EQ(a.loads(), (Loads{10, 7.5})) << "a set-up is paid where something begins, and only there";
    // the dearest first, its set-up included
    const Plan b({{1, 0, none}, {1, 0, none}, {1, 2, none}}, 2);
    EXPECT_EQ(b.owners(), (Owners{1, 1, 0}));
    // however dear it is to set up
    const Plan c({{1, 100, none}, {1, 100, none}, {1, 100, none}}, 3);
    EXPECT_EQ(c.owners(), (Owners{0, 1, 2}));
}

TEST(Plan, WhatRunsMovesOnlyIfThatPaysAtOnce) {
    // rank 0 has 6, rank 1 nothing: moving 2 of it is worth 2 minus what is above that on rank 1
    for (double setup : {0.0, 1.0, 1.9, 2.1, 3.9, 4.1, 50.0}) {
        const Plan a({{4, 100, 0}, {2, setup, 0}}, 2, 0.0);
        EXPECT_EQ(a.moved, setup < 4 ? 1u : 0u) << setup;
        EXPECT_EQ(a.owners(), (Owners{0, setup < 4 ? 1 : 0})) << setup;
        EXPECT_EQ(a.loads(), setup < 4 ? (Loads{4, 2 + setup}) : (Loads{6, 0})) << setup;
    }
    // both are ready at 4 instead of 6, so more than a gain of 2 is not to be had
    EXPECT_EQ(Plan({{4, 100, 0}, {2, 1, 0}}, 2, 1.9).moved, 1u);
    EXPECT_EQ(Plan({{4, 100, 0}, {2, 1, 0}}, 2, 2.1).moved, 0u);
    // nothing is better than where it is: what is largest decides
    EXPECT_EQ(Plan({{6, 0, 0}, {1, 0, 1}, {1, 0, 1}}, 2).moved, 0u);
}

TEST(Plan, OfWhatRunsTheCheapestToSetUpMoves) {
    EXPECT_EQ(Plan({{3, 2, 0}, {3, 0.5, 0}, {3, 1, 0}, {1, 0, 1}}, 2).owners(), (Owners{0, 1, 0, 1}));
    // a smaller one that evens out better comes before a large one
    EXPECT_EQ(Plan({{5, 0, 0}, {2, 0, 0}, {1, 0, 0}, {3, 0, 1}}, 2).owners(), (Owners{0, 1, 0, 1}));
    // what has moved stays: it is not carried on to a third rank
    const Plan a({{4, 0, 0}, {4, 0, 0}, {4, 0, 0}, {4, 0, 0}, {4, 0, 0}, {4, 0, 0}}, 3);
    EXPECT_EQ(a.moved, 4u);
    EXPECT_EQ(a.loads(), (Loads{8, 8, 8}));
}

Items drawn(size_t n, int ranks, unsigned seed, double beginning) {
    std::mt19937 g(seed);
    std::lognormal_distribution<double> window(0, 1.5), setup(-2, 1.5);
    std::uniform_real_distribution<double> u;
    Items items;
    for (size_t i = 0; i < n; i++) items.push_back({window(g), setup(g), u(g) < beginning ? none : (int)(u(g) * ranks)});
    return items;
}

TEST(Plan, LoadsAreWhatTheItemsSayAndEven) {
    for (unsigned seed = 0; seed < 200; seed++) {
        const int ranks = 2 + (int)seed % 7;
        const double least = seed % 2 ? 0.0 : 0.05;
        const Items items = drawn(5 + seed, ranks, seed, 0.1 * (seed % 11));
        const Plan a(items, ranks, least);
        std::vector<double> load(ranks, 0.0);
        double largest = 0;
        size_t moved = 0;
        for (size_t i = 0; i < items.size(); i++) {
            const int owner = a.p.owner[i], home = items[i].home;
            ASSERT_TRUE(owner >= 0 && owner < ranks);
            moved += home != none && home != owner;
            load[owner] += items[i].window + (home == owner ? 0 : items[i].setup);
            largest = std::max(largest, items[i].window + items[i].setup);
        }
        EXPECT_EQ(a.moved, moved);
        for (int r = 0; r < ranks; r++) EXPECT_NEAR(a.p.load[r], load[r], 1e-9 * (1 + load[r]));
        const auto ends = std::minmax_element(load.begin(), load.end());
        EXPECT_LE(*ends.second - *ends.first, largest + least + 1e-9) << seed;
        // many small ones: as good as even
        if (items.size() > 100 && ranks < 4) {
            double sum = 0;
            for (double l : load) sum += l;
            EXPECT_LT(*ends.second, 1.05 * std::max(sum / ranks, largest) + least) << seed;
        }
    }
}

TEST(Plan, IsTheSameFromTheSameItems) {
    Plan used(drawn(80, 4, 99, 0.5), 4);
    for (unsigned seed = 0; seed < 20; seed++) {
        const Items items = drawn(80, 4, seed, 0.2);
        const Plan fresh(items, 4, 0.01);
        used.make(items, 0.01); // whatever it has planned before
        EXPECT_EQ(used.owners(), fresh.owners());
        EXPECT_EQ(used.loads(), fresh.loads());
        EXPECT_EQ(used.moved, fresh.moved);
    }
    // equals are told apart by their numbers
    EXPECT_EQ(Plan(Items(5, {1, 1, none}), 2).owners(), (Owners{0, 1, 0, 1, 0}));
}

TEST(Plan, ManyRanksForFewParticlesAndOneForAll) {
    EXPECT_EQ(Plan({{2, 1, none}, {1, 1, none}}, 5).owners(), (Owners{0, 1}));
    EXPECT_EQ(Plan({{2, 1, 0}, {1, 1, none}, {3, 1, 0}}, 1).owners(), (Owners{0, 0, 0}));
    const Plan all(Items(64, {1, 0, none}), 5); // as before anything is known
    for (double l : all.loads()) EXPECT_TRUE(l == 12 || l == 13) << l;
}

struct Costs {
    std::vector<char *> specs;
    std::vector<const char *> families;
    corpus tasks;
    costs c;
    Costs() {
        static char q[] = "quadratic:n=5", r[] = "quadratic:n=9", m[] = "mlp", b[] = "booth";
        specs = {q, r, m, q, b};
        families = {"quadratic", "quadratic", "mlp", "quadratic", "booth"};
        tasks = {specs.data(), families.data(), specs.size()};
        EXPECT_EQ(costs_create(&tasks, &c), LOPT_OK);
    }
    ~Costs() { costs_free(&c); }
    void learn(size_t spec, double setup, double seconds, size_t steps) {
        particle_report r = {};
        r.spec = spec;
        r.setup = setup;
        r.seconds = seconds;
        costs_learn(&c, &r, steps);
    }
};

TEST(Costs, OfStepsAndOfSetUpsAreLearntApart) {
    Costs c;
    c.learn(0, 7, 10, 5);
    EXPECT_EQ(costs_step(&c.c, 0, 99), 2);
    EXPECT_EQ(costs_setup(&c.c, 0, 99), 7);
    c.learn(0, 0, 8, 2); // a window in which nothing was set up says nothing of that
    EXPECT_EQ(costs_step(&c.c, 0, 99), 3);
    EXPECT_EQ(costs_setup(&c.c, 0, 99), 7);
    c.learn(0, 5, 3, 1);
    EXPECT_EQ(costs_setup(&c.c, 0, 99), 6);
}

TEST(Costs, OfWhatHasNotBeenSeenAreThoseOfItsLike) {
    Costs c;
    EXPECT_EQ(costs_step(&c.c, 3, 99), 99);
    EXPECT_EQ(costs_setup(&c.c, 3, 0), 0);
    c.learn(2, 1, 40, 1);
    EXPECT_EQ(costs_step(&c.c, 3, 99), 40) << "of all";
    c.learn(1, 1, 10, 1);
    EXPECT_EQ(costs_step(&c.c, 3, 99), 10) << "of its family";
    EXPECT_EQ(costs_step(&c.c, 4, 99), 25) << "of all";
    c.learn(0, 1, 4, 1);
    EXPECT_EQ(costs_step(&c.c, 3, 99), 4) << "of the same spec";
    c.learn(3, 1, 6, 1);
    EXPECT_EQ(costs_step(&c.c, 3, 99), 6) << "its own";
}

} // namespace
