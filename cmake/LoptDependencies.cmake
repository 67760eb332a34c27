# What lopt stands on. The library needs jansson (JSON), xxHash (checksums) and zlib (gzipped data sets); OpenMP is taken where there is one.
find_package(PkgConfig REQUIRED)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.11)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
find_package(OpenMP COMPONENTS C)
if(NOT OpenMP_C_FOUND)
  target_compile_options(lopt_flags INTERFACE -Wno-unknown-pragmas) # its pragmas mean nothing then: one thread
endif()
