#include "csrc/comm/agree.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"

enum { SENTENCE_MAX = 512 };

lopt_status comm_tell_failure(lopt_comm *c, int rank, lopt_status status) {
    char sentence[SENTENCE_MAX] = "";
    if (rank == c->rank) snprintf(sentence, sizeof sentence, "%s", lopt_last_error());
    if (c->size == 1) return status;
    LOPT_TRY(lopt_comm_broadcast(c, sentence, sizeof sentence, rank));
    return rank == 0 ? lopt_fail(status, "%s", sentence) : lopt_fail(status, "rank %d: %s", rank, sentence);
}

lopt_status comm_agree(lopt_comm *c, lopt_status mine) {
    void *memory = NULL;
    if (c->size == 1 || mine == LOPT_ERR_COMM) return mine; /* without a communicator nothing can be agreed on */
    const int32_t word = (int32_t)mine;
    LOPT_TRY(comm_alone(c, memory_alloc((size_t)c->size, sizeof(size_t) + sizeof(int32_t), "an agreement", &memory)));
    size_t *bytes = memory;
    int32_t *all = (int32_t *)(bytes + c->size);
    for (int r = 0; r < c->size; r++) bytes[r] = sizeof word;
    lopt_status status = lopt_comm_allgather(c, &word, bytes, all);
    for (int r = 0; r < c->size && status == LOPT_OK; r++)
        if (all[r] != LOPT_OK) status = comm_tell_failure(c, r, (lopt_status)all[r]);
    free(memory);
    return status;
}

lopt_status comm_broadcast_text(lopt_comm *c, char **text) {
    uint64_t size = c->rank == 0 ? strlen(*text) + 1 : 0;
    void *memory = NULL;
    LOPT_TRY(lopt_comm_broadcast(c, &size, sizeof size, 0));
    if (c->rank != 0) LOPT_TRY(comm_alone(c, memory_alloc(size, 1, "a text", &memory)));
    LOPT_TRY(lopt_comm_broadcast(c, c->rank == 0 ? *text : memory, size, 0));
    if (c->rank != 0) *text = memory;
    return LOPT_OK;
}
