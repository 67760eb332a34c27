/* Handwritten digits, 8 x 8 pixels (data/digits/README.md). Train rows come first. */
#ifndef LOPT_TASKS_DATA_DIGITS_H
#define LOPT_TASKS_DATA_DIGITS_H

enum { DIGITS_ROWS = 1797, DIGITS_TRAIN = 1500, DIGITS_PIXELS = 64 };

extern const unsigned char digits_rows[DIGITS_ROWS][DIGITS_PIXELS + 1]; /* 64 pixels 0..16, then the label 0..9 */

#endif
