/* The table of this instruction set's kernels. */
#include "kernels/cpu/isa_tables.h"

extern const cpu_kernels ISA_SYMBOL(cpu_kernels);
const cpu_kernels ISA_SYMBOL(cpu_kernels) = {
    .lanes = VF_LANES,
    .biases = ISA_SYMBOL(kernel_biases),
    .step_forward = ISA_SYMBOL(kernel_step_forward),
    .step_apply = ISA_SYMBOL(kernel_step_apply),
    .sum_log_lr = ISA_SYMBOL(kernel_sum_log_lr),
    .tensor_rnn = ISA_SYMBOL(kernel_tensor_rnn),
    .global_rnn = ISA_SYMBOL(kernel_global_rnn),
    .all_finite = ISA_SYMBOL(kernel_all_finite),
    .dot = ISA_SYMBOL(kernel_dot),
    .step_backward = ISA_SYMBOL(kernel_step_backward),
    .tensor_rnn_backward = ISA_SYMBOL(kernel_tensor_rnn_backward),
    .global_rnn_backward = ISA_SYMBOL(kernel_global_rnn_backward),
    .biases_backward = ISA_SYMBOL(kernel_biases_backward),
    .collect = ISA_SYMBOL(kernel_collect),
    .fma_probe = ISA_SYMBOL(kernel_fma_probe),
};
