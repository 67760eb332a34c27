/* Weights made ready for the kernels: the flat vector's parts found by name, dense layers padded to whole vectors. */
#ifndef LOPT_KERNELS_CPU_PREPARED_H
#define LOPT_KERNELS_CPU_PREPARED_H

#include "kernels/layout.h"

typedef struct prepared_weights prepared_weights;

/* flat [layout->count] is copied. LOPT_ERR_MEMORY at worst. */
lopt_status prepared_create(const weight_layout *layout, const float *flat, prepared_weights **out);
/* New values of the same shape. */
void prepared_set(prepared_weights *w, const float *flat);
void prepared_free(prepared_weights *w);
const weight_layout *prepared_layout(const prepared_weights *w);
const float *prepared_flat(const prepared_weights *w); /* [layout->count], the values that were set */
size_t prepared_bytes(const prepared_weights *w);      /* that it holds */
/* Initial states, h [P], u [T], v [G]. */
const float *prepared_initial(const prepared_weights *w, weight_id id);

#endif
