// Weights that raise every learning rate by a constant factor a step, whatever the gradients: what the guard is there for.
#pragma once
#include "tests/support/golden.h"

inline void set_weights(lopt_weights *w, const std::string &name, float value) {
    const char *found = nullptr;
    size_t offset = 0, shape[2];
    for (size_t i = 0; lopt_weights_tensor(w, i, &found, &offset, shape); i++)
        if (name == found) {
            for (size_t j = 0; j < shape[0] * shape[1]; j++) lopt_weights_data(w)[offset + j] = value;
            return;
        }
    ADD_FAILURE() << "no weights " << name;
}

inline void raise_rates(lopt_weights *w, float log_factor) {
    set_weights(w, "learning_rate.kernel", 0.0f);
    set_weights(w, "learning_rate.bias", log_factor);
    set_weights(w, "learning_rate.momentum_logit", -30.0f); // alpha' = a'
}
