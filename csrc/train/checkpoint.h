/* Checkpoints: everything of a training but its configuration, so that going on gives the same bits as never having stopped.
 * Safetensors, format lopt.train.v2; independent of ranks, threads and instruction set. Both calls are collective: rank 0 alone touches the
 * file, and all ranks get its failure. */
#ifndef LOPT_TRAIN_CHECKPOINT_H
#define LOPT_TRAIN_CHECKPOINT_H

#include "csrc/train/trainer.h"

/* path: rank 0's. */
lopt_status checkpoint_save(trainer *t, const char *path);
/* t: freshly created from the same configuration. After a failure it is not to be used. */
lopt_status checkpoint_load(trainer *t, const char *path);

#endif
