/* Options structs that grow from version to version: the caller says how much of one it knows. */
#ifndef LOPT_BASE_STRUCT_SIZE_H
#define LOPT_BASE_STRUCT_SIZE_H

#include <stddef.h>

enum { STRUCT_SIZE_MAX = 4096 };

/* 1: size may be that of some version of the struct. One that cuts a field in two is none: half a pointer would be read. */
#define STRUCT_SIZE_FITS(type, size) ((size) >= sizeof(size_t) && (size) <= STRUCT_SIZE_MAX && (size) % _Alignof(type) == 0)

#endif
