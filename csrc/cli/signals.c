#include "signals.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>

static const struct {
    int number;
    const char *name;
} stopping[] = {
    {SIGINT, "Ctrl-C (SIGINT)"}, {SIGTERM, "SIGTERM"}, {SIGUSR1, "SIGUSR1"}, {SIGHUP, "SIGHUP, as of a terminal that was closed,"}};
enum { STOPPING = sizeof stopping / sizeof *stopping };

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
    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < STOPPING; i++) {
        const int number = stopping[i].number;
        if (sigaction(number, NULL, &before) != 0) return NULL;
        if (number == SIGHUP && before.sa_handler == SIG_IGN) continue; /* nohup */
        if (sigaction(number, &action, NULL) != 0) return NULL;
    }
    return &stop;
}

void signals_ignore_repeats(void) { patient = 1; }

int signals_caught(void) { return caught; }

void signals_set_caught(int number) { caught = number; }

const char *signals_name(void) {
    for (int i = 0; i < STOPPING; i++)
        if (stopping[i].number == caught) return stopping[i].name;
    return "a signal to another process of the job";
}
