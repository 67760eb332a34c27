# Compiler flags for all of lopt: GNU C11, warnings are errors, hidden symbols.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(CMAKE_C_FLAGS_RELEASE STREQUAL "-O3 -DNDEBUG") # CMake's own, and not the user's
  set(CMAKE_C_FLAGS_RELEASE "-O3 -g1")
endif()
if(CMAKE_CXX_FLAGS_RELEASE STREQUAL "-O3 -DNDEBUG")
  set(CMAKE_CXX_FLAGS_RELEASE "-O1 -fstrict-aliasing -g1") # tests alone are C++: as fast to run as with -O2, and much faster to compile
endif()

add_library(lopt_flags INTERFACE)
target_include_directories(lopt_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
target_compile_definitions(lopt_flags INTERFACE LOPT_VERSION="${PROJECT_VERSION}" _GNU_SOURCE)
target_compile_options(
  lopt_flags
  INTERFACE -Wall -Wextra -Werror -Wshadow -Wvla
            -Wno-missing-field-initializers # tables end with what few entries need: the others leave it 0
            $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes -Wno-psabi>
            # The cell's polynomials need these three, and would break under -ffast-math (kernels/cell/vf.h).
            -ffp-contract=fast -fno-math-errno -fno-trapping-math)
if(LOPT_SANITIZE)
  set(LOPT_SANITIZE_FLAGS -fsanitize=${LOPT_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer
                          # GCC's sees null pointers where the sanitizers look for them; Clang has no such warning
                          "$<$<COMPILE_LANG_AND_ID:C,GNU>:-Wno-format-truncation>" "$<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-format-truncation>")
  add_compile_options(${LOPT_SANITIZE_FLAGS})
  add_link_options(-fsanitize=${LOPT_SANITIZE})
endif()
