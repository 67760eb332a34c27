/* lopt info */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "cli.h"
#include "console.h"
#include "lopt/meta.h"

static const struct argp_option options[] = {{0}};

static const cli_syntax syntax = {"lopt info", options, "[FILE...]",
                                  "Show what is in a weights file, or, without one, what this build and machine can do.\v"
                                  "Examples:\n"
                                  "  lopt info\n"
                                  "  lopt info runs/first/weights.safetensors\n"};

static const char *const option_names[] = {
    "param", "tensor", "global", "scales", "attention", "grad_products", "relative_lr", "gradient_shortcut", "guard"};
enum { OPTION_NAMES = sizeof option_names / sizeof option_names[0], PROVENANCE_SHOWN = 600 };

typedef struct info_job {
    const char **files; /* [as many as arguments] */
    size_t count;
} info_job;

static int take(void *self, int key, const char *value) {
    info_job *job = self;
    (void)key;
    job->files[job->count++] = value;
    return 0;
}

/* Whole but for what is very long, as a configuration with its list of tasks may be. */
static void show_provenance(const char *key, const char *value) {
    size_t shown = strlen(value), length = shown;
    if (length > PROVENANCE_SHOWN) shown = PROVENANCE_SHOWN;
    while (shown < length && ((unsigned char)value[shown] & 0xc0) == 0x80) shown--; /* whole characters of UTF-8 */
    printf("  %-18s %.*s", key, (int)shown, value);
    if (shown < length) printf(" ... (%zu characters more, in the file's metadata)", length - shown);
    printf("\n");
}

static int show_file(const char *path) {
    lopt_weights *w = NULL;
    const char *name;
    char count[CONSOLE_NUMBER_MAX];
    size_t offset, shape[2];
    const int failed = cli_library_status(lopt_weights_load(path, &w));
    if (failed) return failed;
    printf("%s: a learned optimizer of %s weights; shapes are right, and the checksum if it has one\n", path,
           console_grouped(lopt_weights_count(w), count));
    for (size_t i = 0; i < OPTION_NAMES; i++) printf("  %-18s %d\n", option_names[i], lopt_weights_option(w, option_names[i]));
    json_t *provenance = json_loads(lopt_weights_provenance(w) ? lopt_weights_provenance(w) : "{}", 0, NULL);
    const char *key;
    json_t *value;
    json_object_foreach(provenance, key, value) show_provenance(key, json_string_value(value));
    json_decref(provenance);
    printf("  tensors:\n");
    for (size_t i = 0; lopt_weights_tensor(w, i, &name, &offset, shape); i++) {
        const float *x = lopt_weights_data(w) + offset;
        double largest = 0.0;
        for (size_t j = 0; j < shape[0] * shape[1]; j++) largest = x[j] > largest ? x[j] : (-x[j] > largest ? -x[j] : largest);
        printf("    %-32s %4zu x %-4zu largest %.3g\n", name, shape[0], shape[1], largest);
    }
    lopt_weights_free(w);
    return CLI_DONE;
}

/* Bytes per parameter that an optimizer holds for `tensors` tensors of n / tensors parameters; 0 on failure. */
static double bytes_per_parameter(const char *weights_options, size_t n, size_t tensors) {
    lopt_weights *w = NULL;
    lopt_optimizer *opt = NULL;
    double bytes = 0.0;
    size_t *counts = calloc(tensors, sizeof *counts);
    float **params = calloc(tensors, sizeof *params), *buffer = calloc(n / tensors, sizeof *buffer);
    for (size_t i = 0; counts && params && i < tensors; i++) {
        counts[i] = n / tensors;
        params[i] = buffer; /* only read here */
    }
    if (counts && params && buffer && lopt_weights_init(weights_options, 0, &w) == LOPT_OK &&
        lopt_optimizer_create(w, NULL, tensors, counts, params, NULL, &opt) == LOPT_OK)
        bytes = (double)lopt_optimizer_memory(opt) / (double)n;
    lopt_optimizer_free(opt);
    lopt_weights_free(w);
    free(buffer);
    free(params);
    free(counts);
    return bytes;
}

static int show_build(void) {
    const size_t n = 4000000;
    printf("lopt %s\n", lopt_version());
    printf("  instruction set    %s (LOPT_ISA=avx2 or baseline takes a lesser one)\n", lopt_isa());
    printf("  threads            %d (OMP_NUM_THREADS)\n", cli_threads());
    const int gpu = lopt_device_available("cuda") == LOPT_OK;
    printf("  devices            cpu; cuda: %s\n", gpu ? "yes" : lopt_last_error());
    printf("  communicators      %s\n", lopt_comm_kinds());
    printf("  task families      %zu\n", lopt_family_count());
    printf("  memory of an optimizer, bytes per parameter, measured for 4 M parameters with fp32 state:\n");
    printf("    %-44s %.2f\n", "attention, one tensor", bytes_per_parameter("attention=1", n, 1));
    printf("    %-44s %.2f\n", "attention, 16 tensors", bytes_per_parameter("attention=1", n, 16));
    printf("    %-44s %.2f\n", "no attention, one tensor", bytes_per_parameter("attention=0", n, 1));
    return CLI_DONE;
}

int command_info(int argc, char **argv) {
    info_job job = {calloc((size_t)argc, sizeof(char *)), 0};
    int status = CLI_DONE;
    if (job.files == NULL) return cli_error(CLI_FAILED, "no memory for the command line");
    if (cli_parse(&syntax, argc, argv, take, &job, &status)) {
        status = job.count == 0 ? show_build() : CLI_DONE;
        for (size_t i = 0; i < job.count; i++) {
            int shown = show_file(job.files[i]);
            if (shown != CLI_DONE) status = shown;
        }
        status = cli_finish_output(status);
    }
    free(job.files);
    return status;
}
