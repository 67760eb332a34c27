/* In place of the NCCL communicator where the build has none. */
#include "base/status.h"
#include "csrc/comm/comm.h"

lopt_status comm_nccl_open(lopt_comm **out) {
    (void)out;
    return lopt_fail(LOPT_ERR_UNSUPPORTED,
                     "NCCL is not in this build: install its headers and CUDA's, then configure and build again");
}
