/* What all ranks must know alike. */
#ifndef LOPT_CSRC_COMM_AGREE_H
#define LOPT_CSRC_COMM_AGREE_H

#include "csrc/comm/comm.h"

/* Collective. LOPT_OK if all ranks bring it; otherwise all get the failure of the first rank, by number, that failed, with its sentence.
 * So a rank that fails alone does not leave the others waiting. */
lopt_status comm_agree(lopt_comm *c, lopt_status mine);
/* The second half of that, where it is known who failed with what: that rank's sentence to all. */
lopt_status comm_tell_failure(lopt_comm *c, int rank, lopt_status status);
/* Rank 0's text, malloc'ed, to all; *text is in at rank 0, out at the others. */
lopt_status comm_broadcast_text(lopt_comm *c, char **text);

#endif
