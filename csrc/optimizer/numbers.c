#include "csrc/optimizer/optimizer.h"
#include "kernels/cell/half.h"

void numbers_read(number_type type, const void *from, size_t first, size_t n, float *to) {
    const uint16_t *half = (const uint16_t *)from + first;
    switch (type) {
    case NUMBER_FP32: memcpy(to, (const float *)from + first, n * sizeof(float)); break;
    case NUMBER_BF16:
        for (size_t i = 0; i < n; i++) to[i] = bf16_to_float(half[i]);
        break;
    case NUMBER_FP16:
        for (size_t i = 0; i < n; i++) to[i] = fp16_to_float(half[i]);
        break;
    }
}

void numbers_write(number_type type, const float *from, size_t n, void *to, size_t first) {
    uint16_t *half = (uint16_t *)to + first;
    switch (type) {
    case NUMBER_FP32: memcpy((float *)to + first, from, n * sizeof(float)); break;
    case NUMBER_BF16:
        for (size_t i = 0; i < n; i++) half[i] = float_to_bf16(from[i]);
        break;
    case NUMBER_FP16:
        for (size_t i = 0; i < n; i++) half[i] = float_to_fp16(from[i]);
        break;
    }
}
