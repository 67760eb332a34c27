/* A plugin's life: the library is opened, works on several threads, and is closed while those wait for more. Before that, what has needed no threads
 * works in a child too. Usage: reload LIBLOPT.SO */
#include <dlfcn.h>
#include <lopt/lopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SMALL = 3, LARGE = 100000 };
static float x[LARGE];

/* A function of the library, which cannot be given back as what it is in ISO C. */
static void find(void *library, const char *name, void *function) {
    *(void **)function = dlsym(library, name);
    if (*(void **)function == NULL) exit(3);
}

static int make(void *library, size_t n) {
    lopt_status (*init)(const char *, uint64_t, lopt_weights **);
    lopt_status (*create)(const lopt_weights *, const lopt_optimizer_options *, size_t, const size_t *, float *const *, void *,
                          lopt_optimizer **);
    void (*release)(lopt_optimizer *);
    float *params[] = {x};
    lopt_weights *w = NULL;
    lopt_optimizer *opt = NULL;
    find(library, "lopt_weights_init", &init);
    find(library, "lopt_optimizer_create", &create);
    find(library, "lopt_optimizer_free", &release);
    if (init(NULL, 1, &w) || create(w, NULL, 1, &n, params, NULL, &opt)) return 1;
    release(opt);
    return 0;
}

int main(int argc, char **argv) {
    for (int i = 0; i < 3; i++) {
        void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
        if (library == NULL) return fprintf(stderr, "%s\n", dlerror()), 2;
        if (make(library, SMALL)) return 1;
        if (i == 0) {
            int status = 0;
            const pid_t child = fork();
            if (child == 0) {
                alarm(20); /* ends it, should it wait for threads that are not there */
                _exit(make(library, SMALL));
            }
            if (waitpid(child, &status, 0) != child || status != 0) return 4;
        }
        if (make(library, LARGE)) return 1;
        dlclose(library);
        usleep(50000);
    }
    return 0;
}
