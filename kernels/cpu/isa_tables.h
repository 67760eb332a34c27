/* The per-ISA functions behind cpu_kernels, named once for the files that define them. */
#ifndef LOPT_KERNELS_CPU_ISA_TABLES_H
#define LOPT_KERNELS_CPU_ISA_TABLES_H

#include "kernels/cpu/adjoint.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/prepared_view.h"

#ifdef LOPT_ISA_SUFFIX
void ISA_SYMBOL(kernel_step_forward)(const prepared_weights *w, const step_forward_args *a);
void ISA_SYMBOL(kernel_step_backward)(const prepared_weights *w, const step_backward_args *a);
void ISA_SYMBOL(kernel_step_apply)(const step_apply_args *a);
double ISA_SYMBOL(kernel_sum_log_lr)(lopt_dims dims, const float *state, size_t n);
int ISA_SYMBOL(kernel_all_finite)(const float *grad, size_t n);
double ISA_SYMBOL(kernel_dot)(const float *a, const float *b, size_t n);
double ISA_SYMBOL(kernel_fma_probe)(long rounds);
void ISA_SYMBOL(kernel_biases)(const prepared_weights *w, const float *u, const float *v, float *bias_param, float *bias_tensor);
void ISA_SYMBOL(kernel_tensor_rnn)(const prepared_weights *w, const float *mean, const float *u_in, const float *bias_tensor,
                                   float *u_out, const gru_tape *tape);
void ISA_SYMBOL(kernel_global_rnn)(const prepared_weights *w, const float *mean, const float *v_in, float *v_out,
                                   const gru_tape *tape);
void ISA_SYMBOL(kernel_tensor_rnn_backward)(const prepared_weights *w, const gru_backward_args *a);
void ISA_SYMBOL(kernel_global_rnn_backward)(const prepared_weights *w, const gru_backward_args *a);
void ISA_SYMBOL(kernel_biases_backward)(const prepared_weights *w, const biases_backward_args *a);
void ISA_SYMBOL(kernel_collect)(const prepared_weights *w, const gradient_sums *g, float *gradient);

/* Calls f(d, ...) with sizes and flags that the compiler sees as constants where they are the defaults, attention on or off;
 * every other shape runs the same source with the sizes as variables. Tensor and global sizes do not matter to the cell. */
#define WITH_CELL_DIMS(d, f, ...)                                     \
    do {                                                              \
        const lopt_dims with_ = (d);                                  \
        const int default_ = dims_default_cell(with_);                \
        if (default_ && with_.attention) {                            \
            const lopt_dims attending_ = {10, 30, 20, 4, 1, 1, 1, 1}; \
            f(attending_, __VA_ARGS__);                               \
        } else if (default_) {                                        \
            const lopt_dims plain_ = {10, 30, 20, 4, 0, 1, 1, 1};     \
            f(plain_, __VA_ARGS__);                                   \
        } else {                                                      \
            f(with_, __VA_ARGS__);                                    \
        }                                                             \
    } while (0)
#endif

#endif
