/* The beginning of a novel (data/text/README.md), byte by byte. */
#ifndef LOPT_TASKS_DATA_TEXT_H
#define LOPT_TASKS_DATA_TEXT_H

enum { TEXT_BYTES = 144367, TEXT_SYMBOLS = 64 };

/* The characters that occur in the text; a symbol's number is its place. */
#define TEXT_ALPHABET "\n ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!\"',-.:;?_"

extern const unsigned char text_bytes[TEXT_BYTES];

#endif
