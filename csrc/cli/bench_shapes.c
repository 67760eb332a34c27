#include "bench_shapes.h"

#include <stdio.h>

static void add(bench_shape *s, size_t count) { s->counts[s->num_tensors++] = count; }

/* A convolution and its batch normalisation. */
static void add_convolution(bench_shape *s, size_t from, size_t to, size_t side) {
    add(s, from * to * side * side);
    add(s, to);
    add(s, to);
}

/* He et al. 2015: bottleneck blocks, 3, 4, 6 and 3 of them. */
static void resnet_50(bench_shape *s) {
    static const size_t blocks[4] = {3, 4, 6, 3};
    size_t in = 64;
    add_convolution(s, 3, 64, 7);
    for (size_t stage = 0, width = 64; stage < 4; stage++, width *= 2)
        for (size_t b = 0; b < blocks[stage]; b++) {
            add_convolution(s, in, width, 1);
            add_convolution(s, width, width, 3);
            add_convolution(s, width, 4 * width, 1);
            if (b == 0) add_convolution(s, in, 4 * width, 1);
            in = 4 * width;
        }
    add(s, 2048 * 1000);
    add(s, 1000);
}

static void add_linear(bench_shape *s, size_t from, size_t to) {
    add(s, from * to);
    add(s, to);
}

/* Radford et al. 2019, the smallest: 12 layers of width 768, head tied to the embedding. */
static void gpt_2(bench_shape *s) {
    const size_t width = 768;
    add(s, 50257 * width);
    add(s, 1024 * width);
    for (int layer = 0; layer < 12; layer++) {
        add(s, width), add(s, width);
        add_linear(s, width, 3 * width);
        add_linear(s, width, width);
        add(s, width), add(s, width);
        add_linear(s, width, 4 * width);
        add_linear(s, 4 * width, width);
    }
    add(s, width), add(s, width);
}

int bench_shape_at(size_t index, bench_shape *out) {
    static const char *const names[] = {"1M", "ResNet-50", "GPT-2", "1B"};
    if (index >= sizeof names / sizeof names[0]) return 0;
    snprintf(out->name, sizeof out->name, "%s", names[index]);
    out->num_tensors = 0;
    switch (index) {
    case 0: add(out, 1000000); break;
    case 1: resnet_50(out); break;
    case 2: gpt_2(out); break;
    default: add(out, 1000000000); break;
    }
    return 1;
}

size_t bench_shape_total(const bench_shape *s) {
    size_t total = 0;
    for (size_t i = 0; i < s->num_tensors; i++) total += s->counts[i];
    return total;
}
