/* In place of the MPI communicator where the build has none. */
#include "base/status.h"
#include "csrc/comm/comm.h"
#include "csrc/comm/launch.h"

lopt_status comm_mpi_open(lopt_comm **out) {
    if (launch_by_mpi() && launch_size() == 1) return comm_self_open(out);
    return lopt_fail(LOPT_ERR_UNSUPPORTED,
                     "MPI is not in this build: install it (Debian: libopenmpi-dev), then configure and build again");
}

comm_watch *comm_mpi_watch(lopt_comm *c) {
    (void)c;
    return NULL;
}
