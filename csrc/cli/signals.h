/* Ctrl-C, SIGTERM, SIGUSR1 (which mpirun and Slurm hand on) and, unless nohup has it ignored, SIGHUP: the first asks the running job to save
 * and stop, the second ends the process at once. */
#ifndef LOPT_CLI_SIGNALS_H
#define LOPT_CLI_SIGNALS_H

/* Installs the handlers. Returns the flag that they set; NULL if the system refused. */
const volatile int *signals_catch(void);
/* From now on further ones count for nothing: a launcher and a batch system may each send their own. */
void signals_ignore_repeats(void);
/* The signal that came, or 0. */
int signals_caught(void);
void signals_set_caught(int number); /* of another process of the job */
/* Its name for people: "Ctrl-C (SIGINT)", "SIGTERM", ... */
const char *signals_name(void);

#endif
