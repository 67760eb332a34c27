/* Ctrl-C and SIGTERM: the first asks the running job to save and stop, the second ends the process at once. */
#ifndef LOPT_CLI_SIGNALS_H
#define LOPT_CLI_SIGNALS_H

/* Installs the handlers. Returns the flag that they set; NULL if the system refused. */
const volatile int *signals_catch(void);
/* The signal that came, or 0. */
int signals_caught(void);
/* Its name for people: "Ctrl-C (SIGINT)" or "SIGTERM". */
const char *signals_name(void);

#endif
