// What nearly every test includes, compiled once for all binaries.
#ifndef LOPT_TESTS_SUPPORT_PRECOMPILED_H
#define LOPT_TESTS_SUPPORT_PRECOMPILED_H

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

#endif
