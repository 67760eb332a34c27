/* The gated recurrent unit of the tensor and global levels (rules 13 and 14), for a team: one thread on the CPU, a block on CUDA. */
#ifndef LOPT_CELL_DENSE_GRU_H
#define LOPT_CELL_DENSE_GRU_H

#include "kernels/cell/dense.h"

enum { DENSE_INPUTS_MAX = 528, DENSE_GATES_MAX = 512 }; /* whole vectors and more than any level needs */

/* Two matrices whose rows are inputs, then state. */
typedef struct dense_gru {
    const dense_matrix *gate, *candidate;
    int inputs, size;
} dense_gru;

/* What an adjoint needs of the forward pass: buffers of the caller, inputs + size and gru_gates_floats(size) floats. */
typedef struct gru_tape {
    float *input; /* [inputs + size]: mean, then the old state */
    float *gates; /* r, z [2 size, padded], then c [size, padded] */
} gru_tape;

/* Where the team works; shared by it. */
typedef struct dense_gru_scratch {
    float input[DENSE_INPUTS_MAX], rz[DENSE_GATES_MAX], c[DENSE_GATES_MAX];
} dense_gru_scratch;

/* to [total]: `from` [n], then zeros. */
CELL_FN void dense_copy_padded(float *to, const float *from, int n, int total) {
    TEAM_FOR(j, total) to[j] = (int)j < n ? from[j] : 0.0f;
}

/* state_out may be state_in. bias [3 size]. tape NULL: not kept. */
CELL_FN void dense_gru_forward(dense_gru g, const float *in, const float *state_in, const float *bias, float *state_out,
                               const gru_tape *tape, dense_gru_scratch *s) {
    const int n = g.inputs, size = g.size;
    TEAM_FOR(j, n) s->input[j] = in[j];
    TEAM_FOR(j, size) s->input[n + (int)j] = state_in[j];
    dense_copy_padded(s->rz, bias, 2 * size, g.gate->ld);
    dense_copy_padded(s->c, bias + 2 * size, size, g.candidate->ld);
    team_sync();
    if (tape) memcpy(tape->input, s->input, (size_t)(n + size) * sizeof(float));
    dense_forward(g.gate, s->input, s->rz);
    team_sync();
    TEAM_FOR_BLOCKS(j, g.gate->ld) vf_store(s->rz + j, vf_sigmoid(vf_load(s->rz + j)));
    team_sync();
    TEAM_FOR(j, size) s->input[n + (int)j] *= s->rz[j];
    team_sync();
    dense_forward(g.candidate, s->input, s->c);
    team_sync();
    TEAM_FOR_BLOCKS(j, g.candidate->ld) vf_store(s->c + j, vf_tanh_fine(vf_load(s->c + j)));
    team_sync();
    TEAM_FOR(j, size) state_out[j] = s->c[j] + s->rz[size + (int)j] * (state_in[j] - s->c[j]);
    if (tape) {
        memcpy(tape->gates, s->rz, (size_t)g.gate->ld * sizeof(float));
        memcpy(tape->gates + g.gate->ld, s->c, (size_t)g.candidate->ld * sizeof(float));
    }
    team_sync();
}

/* Biases for what is below: out [ld] = own [columns] + the states of one or two levels above through their matrices; b NULL: one. */
CELL_FN void dense_bias(const float *own, const dense_matrix *a, const float *state_a, const dense_matrix *b, const float *state_b,
                        float *out) {
    dense_copy_padded(out, own, a->columns, a->ld);
    team_sync();
    dense_forward(a, state_a, out);
    if (b) dense_forward(b, state_b, out);
    team_sync();
}

#endif
