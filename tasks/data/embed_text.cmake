# cmake -DTEXT=... -DOUT=... -P embed_text.cmake: the text as a C array.
file(READ ${TEXT} bytes HEX)
string(REGEX REPLACE "(................................)" "\\1\n    " bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
file(WRITE ${OUT} "/* Generated from data/text/pride-and-prejudice.txt. */\n#include \"tasks/data/text.h\"\n\n"
                  "const unsigned char text_bytes[TEXT_BYTES] = {\n    ${bytes}};\n")
