# cmake -DCSV=... -DOUT=... -P embed_digits.cmake: the digits as a C array.
file(READ ${CSV} text)
string(STRIP "${text}" text)
string(REPLACE "\n" "},\n    {" text "${text}")
file(WRITE ${OUT} "/* Generated from data/digits/digits.csv. */\n#include \"tasks/data/digits.h\"\n\n"
                  "const unsigned char digits_rows[DIGITS_ROWS][DIGITS_PIXELS + 1] = {\n    {${text}}};\n")
