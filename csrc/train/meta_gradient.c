/* lopt_meta_gradient: one fresh run, one window. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/finite.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/struct_size.h"
#include "csrc/optimizer/optimizer.h"
#include "csrc/optimizer/subnormals.h"
#include "tasks/engine/unroll.h"

static lopt_status check(const lopt_weights *w, const lopt_task *t, const lopt_unroll_options *o, const float *gradient) {
    const optimizer_backend *backend = NULL;
    int index = 0;
    LOPT_TRY(optimizer_device(o->device, &backend, &index));
    LOPT_CHECK(backend == &cpu_backend, LOPT_ERR_UNSUPPORTED, "lopt_meta_gradient: device %.32s only applies optimizers; use cpu",
               o->device);
    LOPT_CHECK(w != NULL && t != NULL, LOPT_ERR_ARGUMENT, "lopt_meta_gradient: weights and task must not be NULL");
    LOPT_CHECK(o->steps > 0, LOPT_ERR_ARGUMENT, "lopt_meta_gradient: steps must be at least 1");
    LOPT_CHECK(isfinite(o->init_lr_min) && isfinite(o->init_lr_max) && o->init_lr_min > 0 && o->init_lr_min <= o->init_lr_max,
               LOPT_ERR_ARGUMENT, "lopt_meta_gradient: 0 < init_lr_min <= init_lr_max must hold, and both be finite");
    LOPT_CHECK(gradient == NULL || !o->second_derivatives || task_has_hvp(t), LOPT_ERR_UNSUPPORTED,
               "task %s has no hvp callback, so there are no second derivatives: set second_derivatives to 0", task_name(t));
    return weights_check_finite(w, LOPT_ERR_ARGUMENT) == LOPT_OK ? LOPT_OK
                                                                 : lopt_fail_prefix(LOPT_ERR_ARGUMENT, "lopt_meta_gradient");
}

lopt_status lopt_meta_gradient(const lopt_weights *w, lopt_task *t, const lopt_unroll_options *options, double *meta_loss,
                               float *gradient) {
    lopt_status status = LOPT_OK;
    lopt_unroll_options o = LOPT_UNROLL_OPTIONS_INIT;
    prepared_weights *prepared = NULL;
    unroll_run *run = NULL;
    unroll_workspace *ws = NULL;
    unroll_result result;
    float *own = NULL; /* so that the caller's stays untouched if a callback fails half-way */
    LOPT_CHECK(meta_loss != NULL, LOPT_ERR_ARGUMENT, "lopt_meta_gradient: meta_loss is NULL");
    if (options) {
        LOPT_CHECK(STRUCT_SIZE_FITS(lopt_unroll_options, options->struct_size), LOPT_ERR_ARGUMENT,
                   "lopt_meta_gradient: struct_size %zu is absurd; start from LOPT_UNROLL_OPTIONS_INIT", options->struct_size);
        memcpy(&o, options, options->struct_size < sizeof o ? options->struct_size : sizeof o);
    }
    LOPT_TRY(check(w, t, &o, gradient));
    const unsigned mode = subnormals_on();
    LOPT_TRY_CLEANUP(prepared_create(&w->layout, w->data, &prepared));
    LOPT_TRY_CLEANUP(unroll_workspace_create(&ws));
    LOPT_TRY_CLEANUP(unroll_run_create(&w->layout, t, &run));
    LOPT_TRY_CLEANUP(unroll_run_start(run, prepared, o.seed, o.init_lr_min, o.init_lr_max, ws));
    if (gradient) LOPT_TRY_CLEANUP(memory_floats(w->layout.count, "a meta-gradient", &own));
    unroll_window_args window = {o.steps, o.second_derivatives, own, NULL};
    LOPT_TRY_CLEANUP(unroll_window(run, prepared, &window, ws, &result));
    /* The losses may have been numbers where what they were differentiated through was none. */
    if (own && !floats_finite(own, w->layout.count)) {
        result.meta_loss = NAN;
        memset(own, 0, w->layout.count * sizeof(float));
    }
    *meta_loss = result.meta_loss;
    if (gradient) memcpy(gradient, own, w->layout.count * sizeof(float));
cleanup:
    subnormals_restore(mode);
    free(own);
    unroll_run_free(run);
    unroll_workspace_free(ws);
    prepared_free(prepared);
    return status;
}
