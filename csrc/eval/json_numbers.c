#include "csrc/eval/json_numbers.h"

#include <math.h>

json_t *json_number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

json_t *json_numbers(const double *values, size_t count) {
    json_t *array = json_array();
    for (size_t i = 0; array && i < count; i++) {
        if (json_array_append_new(array, json_number(values[i])) != 0) {
            json_decref(array);
            array = NULL;
        }
    }
    return array;
}

int json_read_number(const json_t *value, double *out) {
    if (!json_is_number(value) && !json_is_null(value)) return 0;
    *out = json_is_null(value) ? NAN : json_number_value(value);
    return 1;
}

int json_read_numbers(const json_t *array, size_t count, double *out) {
    if (!json_is_array(array) || json_array_size(array) != count) return 0;
    for (size_t i = 0; i < count; i++)
        if (!json_read_number(json_array_get(array, i), &out[i])) return 0;
    return 1;
}
