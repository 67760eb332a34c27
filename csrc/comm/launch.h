/* What the environment says of how this process was started. */
#ifndef LOPT_CSRC_COMM_LAUNCH_H
#define LOPT_CSRC_COMM_LAUNCH_H

/* 1: MPI's launcher has started this process (mpirun, or srun with PMIx or PMI). */
int launch_by_mpi(void);
/* Processes that the launcher has started, as far as it says so; else 1. */
int launch_size(void);
/* WORLD_SIZE, as torchrun and many batch scripts set it; 1 if there is none; -1 if it is no number of ranks. */
int launch_world_size(void);
/* RANK, 0 if there is none. */
int launch_rank(void);
/* The rank's number among those of its host, as the launcher gives it; otherwise `rank`. */
int launch_local_rank(int rank);

#endif
