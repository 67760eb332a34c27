// Random shapes and weights for the comparisons, reproducible by a case number that failures print.
#pragma once
#include <random>

#include "tests/oracle/hrnn.h"
#include "tests/support/golden.h"

struct OracleCase {
    oracle::Shape shape;
    ::Weights weights;
    std::mt19937_64 random;

    explicit OracleCase(unsigned number, bool defaults = false) : random(number * 7919u + 13u) {
        if (!defaults) {
            shape.P = 1 + int(random() % 17), shape.T = 1 + int(random() % 20), shape.G = 1 + int(random() % 20),
            shape.S = 1 + int(random() % 6);
            shape.products = random() % 2, shape.relative = random() % 2, shape.shortcut = random() % 2;
        }
        shape.attention = random() % 2;
        char options[200];
        snprintf(options, sizeof options,
                 "param=%d,tensor=%d,global=%d,scales=%d,attention=%d,grad_products=%d,relative_lr=%d,gradient_shortcut=%d",
                 shape.P, shape.T, shape.G, shape.S, shape.attention, shape.products, shape.relative, shape.shortcut);
        EXPECT_EQ(lopt_weights_init(options, number, &weights.p), LOPT_OK) << lopt_last_error();
        for (size_t i = 0; i < lopt_weights_count(weights.p); i++) lopt_weights_data(weights.p)[i] += float(0.1 * normal());
    }
    double uniform() { return double(random() >> 11) * 0x1p-53; }
    double normal() { return std::sqrt(-2 * std::log(1 - uniform())) * std::cos(6.283185307179586 * uniform()); }
    std::vector<float> flat() const {
        return {lopt_weights_data(weights.p), lopt_weights_data(weights.p) + lopt_weights_count(weights.p)};
    }
};
