/* Numbers in JSON: what is not finite is null there and NaN here. */
#ifndef LOPT_EVAL_JSON_NUMBERS_H
#define LOPT_EVAL_JSON_NUMBERS_H

#include <jansson.h>
#include <stddef.h>

/* NULL when memory ran out, which json_object_set_new and json_array_append_new accept and report. */
json_t *json_number(double value);
json_t *json_numbers(const double *values, size_t count);

/* Reads an array of exactly `count` numbers and nulls. 0: it is something else, and `out` may be partly written. */
int json_read_numbers(const json_t *array, size_t count, double *out);
/* Reads a number or null. */
int json_read_number(const json_t *value, double *out);

#endif
