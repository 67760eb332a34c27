/* A stranger's program: takes the installed weights and some steps on a quadratic, and prints how far it came. */
#include <lopt/lopt.h>
#include <lopt/meta.h>
#include <stdio.h>

int main(void) {
    lopt_weights *w = NULL;
    lopt_optimizer *opt = NULL;
    float x[3] = {1.0f, -2.0f, 3.0f}, g[3];
    float *params[1] = {x};
    const float *grads[1] = {g};
    const size_t counts[1] = {3};
    double first = 0.0, last = 0.0;
    if (lopt_weights_load(WEIGHTS, &w) != LOPT_OK || lopt_optimizer_create(w, NULL, 1, counts, params, NULL, &opt) != LOPT_OK) {
        fprintf(stderr, "%s\n", lopt_last_error());
        return 1;
    }
    for (int t = 0; t < 200; t++) {
        last = 0.0;
        for (int i = 0; i < 3; i++) {
            g[i] = 2.0f * x[i];
            last += (double)x[i] * (double)x[i];
        }
        if (t == 0) first = last;
        if (lopt_optimizer_step(opt, params, grads, NULL) != LOPT_OK) return 1;
    }
    printf("lopt %s, %zu families: loss %.3f to %.3f\n", lopt_version(), lopt_family_count(), first, last);
    lopt_optimizer_free(opt);
    lopt_weights_free(w);
    return last < first ? 0 : 1;
}
