#include "signals.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>

static volatile int stop;
static volatile sig_atomic_t caught;

static void on_signal(int number) {
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
    if (sigaction(SIGINT, &action, NULL) != 0 || sigaction(SIGTERM, &action, NULL) != 0) return NULL;
    return &stop;
}

int signals_caught(void) { return caught; }

const char *signals_name(void) { return caught == SIGINT ? "Ctrl-C (SIGINT)" : "SIGTERM"; }
