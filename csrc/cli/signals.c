#include "signals.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>

static volatile int stop, patient;
static volatile sig_atomic_t caught;

static void on_signal(int number) {
    if (stop && patient) return;
    if (stop) {
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    caught = number;
    stop = 1;
}

const volatile int *signals_catch(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGINT, &action, NULL) != 0 || sigaction(SIGTERM, &action, NULL) != 0 || sigaction(SIGUSR1, &action, NULL) != 0)
        return NULL;
    return &stop;
}

void signals_ignore_repeats(void) { patient = 1; }

int signals_caught(void) { return caught; }

void signals_set_caught(int number) { caught = number; }

const char *signals_name(void) {
    switch (caught) {
    case SIGINT: return "Ctrl-C (SIGINT)";
    case SIGTERM: return "SIGTERM";
    case SIGUSR1: return "SIGUSR1";
    default: return "a signal to another process of the job";
    }
}
