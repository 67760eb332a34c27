/* metrics.jsonl: one JSON object per meta-iteration. */
#ifndef LOPT_TRAIN_METRICS_H
#define LOPT_TRAIN_METRICS_H

#include <stdio.h>

#include "csrc/train/trainer.h"

/* Opens for appending; lines of later meta-iterations than `iteration` (a stopped process may have left them) are dropped first. */
lopt_status metrics_open(const char *path, uint64_t iteration, FILE **out);
/* Appends what has just been done. seconds: since the process began. */
lopt_status metrics_write(FILE *f, const trainer *t, const iteration_report *r, double seconds);
/* Waits until all is on the disk. */
lopt_status metrics_sync(FILE *f);
/* Makes sure that all is on its way to the disk; f is closed in any case. */
lopt_status metrics_close(FILE *f);

#endif
